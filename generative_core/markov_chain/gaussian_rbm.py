"""The restricted Boltzmann machine on real vectors: a Gaussian mixture of exponentially many components."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from generative_core.markov_chain.gibbs import AbstractGibbs, check_widths
from generative_core.markov_chain.states import coin_flips, draw, log_sum_over_states


@final
class GaussianRBM(AbstractGibbs):
    """E(v, h) = sum_i (v_i - b_i)^2 / (2 s_i^2) - c.h - (v / s^2) W h, real v and binary h.

        p(v | h) = N(b + W h, diag s^2),    p(h_j = 1 | v) = sigmoid(c + (v / s^2) W)_j
        energy(v) = sum_i (v_i - b_i)^2 / (2 s_i^2) - sum_j softplus(c + (v / s^2) W)_j

    So p(v) is a mixture of 2^n_hidden normal laws of one covariance, their means on the corners b + W h.  Events should
    be standardised: variances near one.

    The variances s^2 are learned, one a dimension, and are the residual spread around those corners, not the data's:
    with s = 1 on standardised data no hidden unit could act without making the model broader than the data.  They start
    at the data's variances (`initialise(x)` makes the model close to the diagonal normal law of x) and fall as hidden
    units explain the data; they stay above `min_variance`, in x's unit squared, so that a constant dimension does not
    take the likelihood to infinity.

    Clusters that lie many s apart stop the chain: persistent chains then cannot cross, and the clusters' shares drift.
    Train such data with `ContrastiveDivergenceStep(..., persistent=False)`, whose chains start in every cluster.

    Papers: Welling et al. 2004, "Exponential family harmoniums"; the parameters: Cho et al. 2011, "Improved learning of
    Gaussian-Bernoulli restricted Boltzmann machines", eq. 2.
    """

    def __init__(self, event_shape: Sequence[int], *, n_hidden: int = 128, min_variance: float = 1e-3) -> None:
        super().__init__()
        check_widths(n_hidden=n_hidden)
        if not min_variance > 0:
            raise ValueError(f"min_variance must be positive, got {min_variance}")
        self.event_shape = tuple(event_shape)
        self.n_hidden = n_hidden
        self.min_variance = min_variance
        self.weight = nn.Parameter(0.5 * self.n_visible**-0.5 * torch.randn(self.n_visible, n_hidden))
        self.visible_bias = nn.Parameter(torch.zeros(self.n_visible))
        self.hidden_bias = nn.Parameter(torch.zeros(n_hidden))
        self.log_excess_variance = nn.Parameter(torch.full((self.n_visible,), math.log1p(-min(min_variance, 0.5))))

    @torch.no_grad()
    def initialise(self, x: Float[Tensor, "N *E"]) -> None:
        """The diagonal normal law of x; for a model that has not been trained yet."""
        rows = self.rows(x)
        # hidden units begin as fair coins, so that W h is W / 2 on average
        self.visible_bias.copy_(rows.mean(0) - 0.5 * self.weight.sum(1))
        self.hidden_bias.copy_(-(rows.mean(0) / rows.var(0, correction=0).clamp_min(self.min_variance)) @ self.weight)
        excess = (rows.var(0, correction=0) - self.min_variance).clamp_min(0.01 * self.min_variance)
        self.log_excess_variance.copy_(excess.log())

    def variance(self) -> Float[Tensor, "D"]:
        """s^2."""
        return self.min_variance + self.log_excess_variance.exp()

    def energy(self, x: Float[Tensor, "B *E"], context: Float[Tensor, "B *K"] | None = None) -> Float[Tensor, "B"]:
        """The free energy, nats."""
        return self.chain_energy(self.rows(x, context))

    def chain_energy(self, state: Float[Tensor, "n D"]) -> Float[Tensor, "n"]:
        """The chain's state is v: its free energy."""
        variance = self.variance()
        spring = 0.5 * ((state - self.visible_bias).square() / variance).sum(1)
        return spring - F.softplus(self._hidden_logits(state, variance)).sum(1)

    def joint_energy(self, v: Float[Tensor, "n D"], h: Float[Tensor, "n H"]) -> Float[Tensor, "n"]:
        """E(v, h), nats, of flattened events and hidden units."""
        variance = self.variance()
        spring = 0.5 * ((v - self.visible_bias).square() / variance).sum(1)
        return spring - (self._hidden_logits(v, variance) * h).sum(1)

    @torch.no_grad()
    def gibbs(
        self, state: Float[Tensor, "n D"], n_sweeps: int, *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "n D"]:
        """`n_sweeps` times h ~ p(h | v), v ~ p(v | h)."""
        variance = self.variance()
        std = variance.sqrt()
        for _ in range(n_sweeps):
            h = draw(self._hidden_logits(state, variance), generator)
            state = torch.addmm(self.visible_bias, h, self.weight.T) + std * _normal_like(state, generator)
        return state

    @torch.no_grad()
    def random_chains(self, n: int, *, generator: torch.Generator | None = None) -> Float[Tensor, "n D"]:
        """Normal draws with the moments that the visible units would have if the hidden ones were fair coins."""
        std = (self.variance() + 0.25 * self.weight.square().sum(1)).sqrt()
        noise = _normal_like(self.weight.new_empty(n, self.n_visible), generator)
        return self.visible_bias + 0.5 * self.weight.sum(1) + std * noise

    def chains_from(
        self, x: Float[Tensor, "B *E"], *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "B D"]:
        return self.rows(x)

    def visible(
        self, state: Float[Tensor, "n D"], *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "n *E"]:
        return state.unflatten(1, self.event_shape)

    def exact_log_partition(self) -> Float[Tensor, ""]:
        """log Z, nats, by a sum over all hidden states.  Raises ValueError above 25 hidden units."""
        variance = self.variance()
        log_volume = 0.5 * (2 * math.pi * variance).log().sum()

        def log_weight(h: Tensor) -> Tensor:
            pull = h @ self.weight.T
            return h @ self.hidden_bias + ((self.visible_bias * pull + 0.5 * pull.square()) / variance).sum(1)

        return log_volume + log_sum_over_states(log_weight, self.n_hidden, self.weight)

    @torch.no_grad()
    def annealed_path(self, x: Float[Tensor, "N *E"] | None = None) -> "GaussianPath":
        """For `annealed_importance_sampling`; `x` is not needed here."""
        return GaussianPath(
            self.weight.detach(), self.visible_bias.detach(), self.hidden_bias.detach(), self.variance()
        )

    def _hidden_logits(self, v: Tensor, variance: Tensor) -> Tensor:
        return torch.addmm(self.hidden_bias, v / variance, self.weight)


@dataclass(frozen=True)
class GaussianPath:
    """An `AnnealedPath` over the hidden units, the visible ones integrated out: c and W grow from 0 with beta."""

    weight: Float[Tensor, "D H"]
    visible_bias: Float[Tensor, "D"]
    hidden_bias: Float[Tensor, "H"]
    variance: Float[Tensor, "D"]

    @property
    def log_z_start(self) -> float:
        """Fair coins beside N(b, diag s^2)."""
        log_volume = 0.5 * (2 * math.pi * self.variance.double()).log().sum().item()
        return len(self.hidden_bias) * math.log(2) + log_volume

    def start(self, n: int, *, generator: torch.Generator | None = None) -> Float[Tensor, "n H"]:
        return coin_flips(n, len(self.hidden_bias), self.weight, generator)

    def fields(self, state: Float[Tensor, "n H"]) -> Float[Tensor, "n D"]:
        """How far the hidden units pull the visible means."""
        return state @ self.weight.T

    def log_ratio(
        self, state: Float[Tensor, "n H"], fields: Float[Tensor, "n D"], beta: float, next_beta: float
    ) -> Float[Tensor, "n"]:
        linear = state @ self.hidden_bias + fields @ (self.visible_bias / self.variance)
        square = 0.5 * fields.square() @ (1 / self.variance)
        return (next_beta - beta) * (linear + (next_beta + beta) * square)

    def move(
        self, fields: Float[Tensor, "n D"], beta: float, *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "n H"]:
        v = self.visible_bias + beta * fields + self.variance.sqrt() * _normal_like(fields, generator)
        return draw(beta * torch.addmm(self.hidden_bias, v / self.variance, self.weight), generator)


def _normal_like(x: Tensor, generator: torch.Generator | None) -> Tensor:
    return torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
