"""The deep Boltzmann machine with two hidden layers."""

from collections.abc import Sequence
from typing import final

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from generative_core.densities import log_odds
from generative_core.markov_chain.ais import BinaryPath
from generative_core.markov_chain.gibbs import AbstractGibbs, check_widths
from generative_core.markov_chain.states import coin_flips, draw, log_sum_over_states


@final
class DeepBoltzmannMachine(AbstractGibbs):
    """E(v, h, g) = -b.v - c.h - d.g - v W h - h U g, all units binary; h the first hidden layer, g the second.

    The posterior of the hidden layers is out of reach, so `energy` is the mean-field bound on the free energy,

        energy(v) = min_q E_q[E(v, h, g)] - H(q) >= -log sum_hg exp(-E(v, h, g)),    q(h, g) fully factorised,

    and `score` is a lower bound on log p(v) + log Z.  The minimum is sought by `n_mean_field` sweeps over the layers.
    Its slope in v is taken at the q found: at a minimum it is the bound's own.

    Given h the other two layers are independent, so the chain's state is h, and v and g are summed out exactly.
    Train it with `ContrastiveDivergenceStep`, after `initialise(x)`, which centres every unit as in `RBM`.

    Papers: Salakhutdinov & Hinton 2009, "Deep Boltzmann machines"; Montavon & Mueller 2012, "Deep Boltzmann machines
    and the centering trick"; Melchior et al. 2016, https://arxiv.org/abs/1311.1354.  Differs: both layers are trained
    together from the start, without layer-wise pretraining.  So the posterior that training needs is drawn, by
    `n_clamped_sweeps` Gibbs sweeps from the mean field, and is not the mean field itself: that one knows no correlation
    between the layers, and training on it from small weights turns the second layer off.
    """

    visible_offset: Tensor
    hidden_offset: Tensor
    top_offset: Tensor

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        n_hidden: tuple[int, int] = (256, 256),
        n_mean_field: int = 10,
        n_clamped_sweeps: int = 3,
    ) -> None:
        super().__init__()
        check_widths(first_hidden=n_hidden[0], second_hidden=n_hidden[1])
        check_widths(n_mean_field=n_mean_field, n_clamped_sweeps=n_clamped_sweeps)
        self.event_shape = tuple(event_shape)
        self.n_hidden = n_hidden
        self.n_mean_field = n_mean_field
        self.n_clamped_sweeps = n_clamped_sweeps
        self.weight = nn.Parameter(0.01 * torch.randn(self.n_visible, n_hidden[0]))
        self.top_weight = nn.Parameter(0.01 * torch.randn(*n_hidden))
        self.visible_bias = nn.Parameter(torch.zeros(self.n_visible))
        self.hidden_bias = nn.Parameter(torch.zeros(n_hidden[0]))
        self.top_bias = nn.Parameter(torch.zeros(n_hidden[1]))
        self.register_buffer("visible_offset", torch.zeros(self.n_visible))
        self.register_buffer("hidden_offset", torch.zeros(n_hidden[0]))
        self.register_buffer("top_offset", torch.zeros(n_hidden[1]))

    @torch.no_grad()
    def initialise(self, x: Float[Tensor, "N *E"]) -> None:
        """Visible bias from the data's rates, and the centring; for a model that has not been trained yet."""
        rate = self.rows(x).mean(0)
        self.visible_bias.copy_(log_odds(rate, len(x)))
        self.visible_offset.copy_(rate)
        self.hidden_offset.fill_(0.5)
        self.top_offset.fill_(0.5)

    def energy(self, x: Float[Tensor, "B *E"], context: Float[Tensor, "B *K"] | None = None) -> Float[Tensor, "B"]:
        """The mean-field bound on the free energy, nats, at least the free energy itself."""
        v = self.rows(x, context)
        h, _ = self.mean_field(v)
        # q(g) at its best for this q(h) leaves a softplus, which spares its entropy
        return self._energy_below(v, h) - _entropy(h)

    def clamped_energy(
        self, x: Float[Tensor, "B *E"], *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "B"]:
        """-log sum_g exp(-E(v, h, g)) at h drawn given v."""
        return self._energy_below(self.rows(x), self.chains_from(x, generator=generator))

    def _energy_below(self, v: Tensor, h: Tensor) -> Tensor:
        """-log sum_g exp(-E(v, h, g))."""
        b, c, d = self.biases()
        return -(v @ b) - h @ c - ((v @ self.weight) * h).sum(1) - F.softplus(h @ self.top_weight + d).sum(1)

    @torch.no_grad()
    def mean_field(self, v: Float[Tensor, "B D"]) -> tuple[Float[Tensor, "B H"], Float[Tensor, "B G"]]:
        """q(h = 1), q(g = 1) after `n_mean_field` rounds; each update lowers the bound, or leaves it."""
        _, c, d = self.biases()
        from_below = v @ self.weight + c
        g = torch.sigmoid(torch.sigmoid(from_below) @ self.top_weight + d)
        h = from_below
        for _ in range(self.n_mean_field):
            h = torch.sigmoid(torch.addmm(from_below, g, self.top_weight.T))
            g = torch.sigmoid(torch.addmm(d, h, self.top_weight))
        return h, g

    def chain_energy(self, state: Float[Tensor, "n H"]) -> Float[Tensor, "n"]:
        """The chain's state is h: -log sum_vg exp(-E(v, h, g))."""
        b, c, d = self.biases()
        below, above = F.softplus(state @ self.weight.T + b), F.softplus(state @ self.top_weight + d)
        return -(state @ c) - below.sum(1) - above.sum(1)

    def joint_energy(
        self, v: Float[Tensor, "n D"], h: Float[Tensor, "n H"], g: Float[Tensor, "n G"]
    ) -> Float[Tensor, "n"]:
        """E(v, h, g), nats, of flattened events and hidden units."""
        b, c, d = self.biases()
        pairs = ((v @ self.weight) * h).sum(1) + ((h @ self.top_weight) * g).sum(1)
        return -(v @ b) - h @ c - g @ d - pairs

    def biases(self) -> tuple[Float[Tensor, "D"], Float[Tensor, "H"], Float[Tensor, "G"]]:
        """(b, c, d) of the uncentred energy."""
        return (
            self.visible_bias - self.weight @ self.hidden_offset,
            self.hidden_bias - self.visible_offset @ self.weight - self.top_weight @ self.top_offset,
            self.top_bias - self.hidden_offset @ self.top_weight,
        )

    @torch.no_grad()
    def gibbs(
        self, state: Float[Tensor, "n H"], n_sweeps: int, *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "n H"]:
        """`n_sweeps` times (v, g) ~ p(v, g | h), h ~ p(h | v, g)."""
        b, c, d = self.biases()
        for _ in range(n_sweeps):
            v = draw(torch.addmm(b, state, self.weight.T), generator)
            g = draw(torch.addmm(d, state, self.top_weight), generator)
            state = draw(torch.addmm(c + g @ self.top_weight.T, v, self.weight), generator)
        return state

    def random_chains(self, n: int, *, generator: torch.Generator | None = None) -> Float[Tensor, "n H"]:
        return coin_flips(n, self.n_hidden[0], self.weight, generator)

    @torch.no_grad()
    def chains_from(
        self, x: Float[Tensor, "B *E"], *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "B H"]:
        """h given v, after `n_clamped_sweeps` sweeps over the hidden layers from their mean field."""
        v = self.rows(x)
        _, c, d = self.biases()
        from_below = v @ self.weight + c
        h = draw(torch.logit(self.mean_field(v)[0]), generator)
        for _ in range(self.n_clamped_sweeps):
            g = draw(torch.addmm(d, h, self.top_weight), generator)
            h = draw(torch.addmm(from_below, g, self.top_weight.T), generator)
        return h

    @torch.no_grad()
    def visible(
        self, state: Float[Tensor, "n H"], *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "n *E"]:
        """v ~ p(v | h)."""
        b, _, _ = self.biases()
        return draw(torch.addmm(b, state, self.weight.T), generator).unflatten(1, self.event_shape)

    def exact_energy(self, x: Float[Tensor, "B *E"]) -> Float[Tensor, "B"]:
        """The free energy, by a sum over the first hidden layer.  Raises ValueError above 25 units there."""
        v = self.rows(x)
        b, c, d = self.biases()
        from_below = v @ self.weight + c

        def log_weight(h: Tensor) -> Tensor:
            return h @ from_below.T + F.softplus(h @ self.top_weight + d).sum(1, keepdim=True)  # (chunk, B)

        return -(v @ b) - log_sum_over_states(log_weight, self.n_hidden[0], self.weight)

    def exact_log_partition(self) -> Float[Tensor, ""]:
        """log Z, nats, by a sum over the first hidden layer.  Raises ValueError above 25 units there."""
        return log_sum_over_states(lambda h: -self.chain_energy(h), self.n_hidden[0], self.weight)

    @torch.no_grad()
    def annealed_path(self, x: Float[Tensor, "N *E"] | None = None) -> BinaryPath:
        """For `annealed_importance_sampling`: from independent units with the rates of `x`, or without x fair coins."""
        b, c, d = self.biases()
        base = torch.zeros_like(b) if x is None else log_odds(self.rows(x).mean(0), len(x))
        weight = torch.cat([self.weight.detach().T, self.top_weight.detach()], dim=1)  # (H, D + G): what h sees
        return BinaryPath(weight, c, torch.cat([b, d]), torch.zeros_like(c), torch.cat([base, torch.zeros_like(d)]))


def _entropy(p: Tensor) -> Tensor:
    """Of independent Bernoulli units, nats, summed over the last axis."""
    return -(torch.special.xlogy(p, p) + torch.special.xlog1py(1 - p, -p)).sum(-1)
