"""The restricted Boltzmann machine on binary events."""

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
class RBM(AbstractGibbs):
    """E(v, h) = -b.v - c.h - v W h, binary v and h; `energy` is the free energy, hidden units summed out exactly.

        energy(v) = -log sum_h exp(-E(v, h)) = -b.v - sum_j softplus(c + v W)_j,    p(v) = exp(-energy(v)) / Z

    Events are 0 or 1, of any shape.  Train it with `ContrastiveDivergenceStep`, after `initialise(x)`: its visible bias
    then starts at the data's log-odds, and its energy is centred, -(v - v0).b - (h - h0).c - (v - v0) W (h - h0), with
    v0 the data's mean and h0 = 1/2.  That is the same family of laws in coordinates whose gradients are less tangled;
    without `initialise` the offsets are zero and the energy is the textbook's.

    Papers: Smolensky 1986, "Information processing in dynamical systems"; Hinton 2002, "Training products of experts by
    minimizing contrastive divergence"; the centring: Montavon & Mueller 2012, "Deep Boltzmann machines and the
    centering trick", and Melchior et al. 2016, https://arxiv.org/abs/1311.1354.
    """

    visible_offset: Tensor
    hidden_offset: Tensor

    def __init__(self, event_shape: Sequence[int], *, n_hidden: int = 256) -> None:
        super().__init__()
        check_widths(n_hidden=n_hidden)
        self.event_shape = tuple(event_shape)
        self.n_hidden = n_hidden
        self.weight = nn.Parameter(0.01 * torch.randn(self.n_visible, n_hidden))
        self.visible_bias = nn.Parameter(torch.zeros(self.n_visible))
        self.hidden_bias = nn.Parameter(torch.zeros(n_hidden))
        self.register_buffer("visible_offset", torch.zeros(self.n_visible))
        self.register_buffer("hidden_offset", torch.zeros(n_hidden))

    @torch.no_grad()
    def initialise(self, x: Float[Tensor, "N *E"]) -> None:
        """Visible bias from the data's rates, and the centring; for a model that has not been trained yet."""
        rate = self.rows(x).mean(0)
        self.visible_bias.copy_(log_odds(rate, len(x)))
        self.visible_offset.copy_(rate)
        self.hidden_offset.fill_(0.5)

    def energy(self, x: Float[Tensor, "B *E"], context: Float[Tensor, "B *K"] | None = None) -> Float[Tensor, "B"]:
        """The free energy, nats."""
        return self.chain_energy(self.rows(x, context))

    def chain_energy(self, state: Float[Tensor, "n D"]) -> Float[Tensor, "n"]:
        """The chain's state is v: its free energy."""
        b, c = self.biases()
        return -(state @ b) - F.softplus(state @ self.weight + c).sum(1)

    def joint_energy(self, v: Float[Tensor, "n D"], h: Float[Tensor, "n H"]) -> Float[Tensor, "n"]:
        """E(v, h), nats, of flattened events and hidden units."""
        b, c = self.biases()
        return -(v @ b) - h @ c - ((v @ self.weight) * h).sum(1)

    def biases(self) -> tuple[Float[Tensor, "D"], Float[Tensor, "H"]]:
        """(b, c) of the uncentred energy."""
        return (
            self.visible_bias - self.weight @ self.hidden_offset,
            self.hidden_bias - self.visible_offset @ self.weight,
        )

    @torch.no_grad()
    def gibbs(
        self, state: Float[Tensor, "n D"], n_sweeps: int, *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "n D"]:
        """`n_sweeps` times h ~ p(h | v), v ~ p(v | h), all units of a layer at once."""
        b, c = self.biases()
        for _ in range(n_sweeps):
            h = draw(torch.addmm(c, state, self.weight), generator)
            state = draw(torch.addmm(b, h, self.weight.T), generator)
        return state

    def random_chains(self, n: int, *, generator: torch.Generator | None = None) -> Float[Tensor, "n D"]:
        return coin_flips(n, self.n_visible, self.weight, generator)

    def chains_from(
        self, x: Float[Tensor, "B *E"], *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "B D"]:
        return self.rows(x)

    def visible(
        self, state: Float[Tensor, "n D"], *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "n *E"]:
        return state.unflatten(1, self.event_shape)

    def exact_log_partition(self) -> Float[Tensor, ""]:
        """log Z, nats, by a sum over all states of the smaller layer.  Raises ValueError above 25 units."""
        b, c = self.biases()
        if self.n_visible <= self.n_hidden:
            return log_sum_over_states(lambda v: -self.chain_energy(v), self.n_visible, self.weight)
        return log_sum_over_states(
            lambda h: h @ c + F.softplus(h @ self.weight.T + b).sum(1), self.n_hidden, self.weight
        )

    @torch.no_grad()
    def annealed_path(self, x: Float[Tensor, "N *E"] | None = None) -> BinaryPath:
        """For `annealed_importance_sampling`: from independent units with the rates of `x`, or without x fair coins."""
        b, c = self.biases()
        base = torch.zeros_like(b) if x is None else log_odds(self.rows(x).mean(0), len(x))
        return BinaryPath(self.weight.detach(), b, c, base, torch.zeros_like(c))
