"""The general Boltzmann machine: every unit may be coupled to every other."""

from collections.abc import Sequence
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from generative_core.densities import log_odds
from generative_core.markov_chain.gibbs import AbstractGibbs, check_widths
from generative_core.markov_chain.states import coin_flips, draw, log_sum_over_states


@final
class BoltzmannMachine(AbstractGibbs):
    """E(s) = -a.s - sum_{i<j} J_ij s_i s_j over binary units s = (v, h): visible-visible and hidden-hidden pairs too.

    Without hidden units `energy` is E itself and the model is the pairwise maximum-entropy law: at its best the means
    and the pair correlations are the data's.  With them `energy` is the mean-field bound on the free energy, as in
    `DeepBoltzmannMachine`, by `n_mean_field` sweeps over the hidden units one after the other; without hidden-hidden
    couplings one sweep makes it exact.

    The chain's state is all of s; a sweep redraws the units one by one, so its cost grows with the square of their
    number and it is meant for tens of units.  Train it with `ContrastiveDivergenceStep`; with data clamped, hidden
    units are drawn by `n_clamped_sweeps` Gibbs sweeps from their mean field.

    Paper: Ackley et al. 1985, "A learning algorithm for Boltzmann machines".  Differs: units are 0 or 1, and the chains
    are persistent instead of annealed.
    """

    def __init__(
        self, event_shape: Sequence[int], *, n_hidden: int = 0, n_mean_field: int = 10, n_clamped_sweeps: int = 3
    ) -> None:
        super().__init__()
        check_widths(n_mean_field=n_mean_field, n_clamped_sweeps=n_clamped_sweeps)
        if n_hidden < 0:
            raise ValueError(f"n_hidden must be at least 0, got {n_hidden}")
        self.event_shape = tuple(event_shape)
        self.n_hidden = n_hidden
        self.n_mean_field = n_mean_field
        self.n_clamped_sweeps = n_clamped_sweeps
        self.n_units = self.n_visible + n_hidden
        n_pairs = self.n_units * (self.n_units - 1) // 2
        self.pair_couplings = nn.Parameter(0.01 * torch.randn(n_pairs))
        self.bias = nn.Parameter(torch.zeros(self.n_units))

    @torch.no_grad()
    def initialise(self, x: Float[Tensor, "N *E"]) -> None:
        """Visible biases from the data's rates; for a model that has not been trained yet."""
        self.bias[: self.n_visible] = log_odds(self.rows(x).mean(0), len(x))

    def couplings(self) -> Float[Tensor, "U U"]:
        """J, symmetric, zero on the diagonal."""
        rows, columns = torch.triu_indices(self.n_units, self.n_units, offset=1, device=self.bias.device)
        upper = self.bias.new_zeros(self.n_units, self.n_units).index_put((rows, columns), self.pair_couplings)
        return upper + upper.T

    def energy(self, x: Float[Tensor, "B *E"], context: Float[Tensor, "B *K"] | None = None) -> Float[Tensor, "B"]:
        """E(v), or with hidden units the mean-field bound: at least the free energy.  Nats."""
        v = self.rows(x, context)
        h = self.mean_field(v)
        entropy = -(torch.special.xlogy(h, h) + torch.special.xlog1py(1 - h, -h)).sum(1)
        return self.chain_energy(torch.cat([v, h], dim=1)) - entropy

    def clamped_energy(
        self, x: Float[Tensor, "B *E"], *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "B"]:
        """E(v, h) at h drawn given v."""
        return self.chain_energy(self.chains_from(x, generator=generator))

    @torch.no_grad()
    def mean_field(self, v: Float[Tensor, "B D"]) -> Float[Tensor, "B H"]:
        """q(h = 1) after `n_mean_field` sweeps; each update lowers the bound, or leaves it."""
        couplings = self.couplings()
        s = torch.cat([v, v.new_full((len(v), self.n_hidden), 0.5)], dim=1)
        for _ in range(self.n_mean_field if self.n_hidden else 0):
            for i in range(self.n_visible, self.n_units):
                s[:, i] = torch.sigmoid(self.bias[i] + s @ couplings[i])
        return s[:, self.n_visible :]

    def chain_energy(self, state: Float[Tensor, "n U"]) -> Float[Tensor, "n"]:
        """The chain's state is s: E(s)."""
        return -(state @ self.bias) - 0.5 * ((state @ self.couplings()) * state).sum(1)

    @torch.no_grad()
    def gibbs(
        self, state: Float[Tensor, "n U"], n_sweeps: int, *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "n U"]:
        """`n_sweeps` times every unit, one after the other, from its law given all others."""
        return self._sweep(state, n_sweeps, range(self.n_units), generator)

    def _sweep(
        self, state: Tensor, n_sweeps: int, units: range, generator: torch.Generator | None
    ) -> Float[Tensor, "n U"]:
        """Redraw some units, the others clamped."""
        couplings = self.couplings()
        state = state.clone()
        for _ in range(n_sweeps):
            u = torch.rand(len(units), len(state), generator=generator, device=state.device, dtype=state.dtype)
            for i, u_i in zip(units, u, strict=True):
                state[:, i] = (u_i < torch.sigmoid(self.bias[i] + state @ couplings[i])).to(state.dtype)
        return state

    def random_chains(self, n: int, *, generator: torch.Generator | None = None) -> Float[Tensor, "n U"]:
        return coin_flips(n, self.n_units, self.bias, generator)

    @torch.no_grad()
    def chains_from(
        self, x: Float[Tensor, "B *E"], *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "B U"]:
        """(v, h) with h given v, after `n_clamped_sweeps` sweeps over the hidden units from their mean field."""
        v = self.rows(x)
        if self.n_hidden == 0:
            return v
        h = draw(torch.logit(self.mean_field(v)), generator)
        return self._sweep(
            torch.cat([v, h], dim=1), self.n_clamped_sweeps, range(self.n_visible, self.n_units), generator
        )

    def visible(
        self, state: Float[Tensor, "n U"], *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "n *E"]:
        return state[:, : self.n_visible].unflatten(1, self.event_shape)

    def exact_energy(self, x: Float[Tensor, "B *E"]) -> Float[Tensor, "B"]:
        """The free energy, by a sum over all hidden states.  Raises ValueError above 25 hidden units."""
        v = self.rows(x)
        if self.n_hidden == 0:
            return self.chain_energy(v)
        couplings = self.couplings()
        d = self.n_visible
        from_visible = v @ couplings[:d, d:] + self.bias[d:]  # (B, H)

        def log_weight(h: Tensor) -> Tensor:
            among = 0.5 * ((h @ couplings[d:, d:]) * h).sum(1, keepdim=True)
            return h @ from_visible.T + among  # (chunk, B)

        clamped = -(v @ self.bias[:d]) - 0.5 * ((v @ couplings[:d, :d]) * v).sum(1)
        return clamped - log_sum_over_states(log_weight, self.n_hidden, self.bias)

    def exact_log_partition(self) -> Float[Tensor, ""]:
        """log Z, nats, by a sum over all states.  Raises ValueError above 25 units."""
        return log_sum_over_states(lambda s: -self.chain_energy(s), self.n_units, self.bias)
