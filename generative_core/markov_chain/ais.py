"""Annealed importance sampling: log Z of an energy model, with its standard error."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Float, Float64
from torch import Tensor

from generative_core.families import AbstractEnergy
from generative_core.markov_chain.states import draw


@runtime_checkable
class AnnealedPath(Protocol):
    """Laws p_beta(state) = f_beta(state) / Z_beta from a simple one at beta = 0 to the model at beta = 1."""

    @property
    def log_z_start(self) -> float:
        """log Z_0, exact."""
        ...

    def start(self, n: int, *, generator: torch.Generator | None = None) -> Float[Tensor, "n S"]:
        """Exact draws from p_0."""
        ...

    def fields(self, state: Float[Tensor, "n S"]) -> Float[Tensor, "n F"]:
        """The matrix product that the other two methods share."""
        ...

    def log_ratio(
        self, state: Float[Tensor, "n S"], fields: Float[Tensor, "n F"], beta: float, next_beta: float
    ) -> Float[Tensor, "n"]:
        """log f_next_beta(state) - log f_beta(state)."""
        ...

    def move(
        self, fields: Float[Tensor, "n F"], beta: float, *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "n S"]:
        """One Gibbs sweep that leaves p_beta as it is."""
        ...


class AISEstimate(NamedTuple):
    """log Z, estimated."""

    log_z: float
    """Nats.  exp(log_z) is unbiased for Z, so log_z is too small on average: the likelihoods it gives are flattered."""
    standard_error: float
    """Of log_z, nats, from the spread of the weights; trust it only while `effective_sample_size` is not small."""
    effective_sample_size: float
    """(sum w)^2 / sum w^2, between 1 and the number of chains."""
    log_weights: Float64[Tensor, "n"]
    """log w of each chain, with log Z_0 in it: log_z is the log of their mean."""


@torch.no_grad()
def annealed_importance_sampling(
    path: AnnealedPath,
    *,
    n_chains: int = 100,
    n_temperatures: int = 10_000,
    betas: Sequence[float] | None = None,
    generator: torch.Generator | None = None,
) -> AISEstimate:
    """log Z of the end of `path`, from `n_chains` chains that are warmed from beta = 0 to 1 side by side.

    `path` comes from `model.annealed_path(x)`.  The temperatures are `warming(n_temperatures)`, or `betas`, which must
    rise from 0 to 1.  A step costs two matrix products of all chains: with 784 visible and 500 hidden units and the
    defaults one to two minutes on one core.  Weights are summed in float64, whatever the model's dtype.

    Papers: Neal 2001, https://arxiv.org/abs/physics/9803008; Salakhutdinov & Murray 2008, "On the quantitative analysis
    of deep belief networks".
    """
    if n_chains < 2:
        raise ValueError(f"n_chains must be at least 2, for a standard error; got {n_chains}")
    betas = warming(n_temperatures) if betas is None else list(betas)
    if len(betas) < 2 or betas[0] != 0 or betas[-1] != 1 or any(b <= a for a, b in pairwise(betas)):
        raise ValueError("betas must rise from exactly 0 to exactly 1; leave them out for a schedule that works")
    state = path.start(n_chains, generator=generator)
    log_weights = torch.full((n_chains,), path.log_z_start, dtype=torch.float64, device=state.device)
    for beta, next_beta in pairwise(betas):
        fields = path.fields(state)
        log_weights += path.log_ratio(state, fields, beta, next_beta).double()
        state = path.move(fields, next_beta, generator=generator)
    return summarise(log_weights.cpu())


def warming(n_temperatures: int) -> list[float]:
    """Inverse temperatures 0 to 1, dense near 1: 1/29 of the steps up to 0.5, 8/29 up to 0.9, 20/29 up to 1.

    The shares of Salakhutdinov & Murray 2008, sec. 4: 500, 4 000 and 10 000 temperatures.
    """
    if n_temperatures < 29:
        raise ValueError(f"n_temperatures must be at least 29, got {n_temperatures}; a good estimate takes thousands")
    first, second = n_temperatures // 29, 8 * n_temperatures // 29
    third = n_temperatures - first - second
    pieces = [(0.0, 0.5, first), (0.5, 0.9, second), (0.9, 1.0, third)]
    return [low + (high - low) * i / n for low, high, n in pieces for i in range(n)] + [1.0]


def summarise(log_weights: Float64[Tensor, "n"]) -> AISEstimate:
    """The mean weight's logarithm and, by the delta method, its standard error."""
    n = len(log_weights)
    log_z = torch.logsumexp(log_weights, 0) - math.log(n)
    weights = (log_weights - log_z).exp()  # mean 1
    standard_error = weights.std() / math.sqrt(n)
    effective_sample_size = n / weights.square().mean()
    return AISEstimate(log_z.item(), standard_error.item(), effective_sample_size.item(), log_weights)


def nll(model: AbstractEnergy, x: Float[Tensor, "B *E"], log_z: float) -> Float[Tensor, "B"]:
    """-log p(x) = energy(x) + log Z, nats; `log_z` from `annealed_importance_sampling` or `exact_log_partition`.

    Exact up to the error of log_z where the energy is; an upper bound for models whose energy is one, such as
    `DeepBoltzmannMachine`.
    """
    return model.energy(x) + log_z


@dataclass(frozen=True)
class BinaryPath:
    """Two layers of binary units, state s and others o, that see only each other: the others are summed out.

        log f_beta(s) = a_beta . s + sum_j softplus(o_beta + beta s W)_j

    The biases a_beta of s and o_beta of the others go in a straight line from `base_...` to the model's.
    """

    weight: Float[Tensor, "S O"]
    state_bias: Float[Tensor, "S"]
    other_bias: Float[Tensor, "O"]
    base_state_bias: Float[Tensor, "S"]
    base_other_bias: Float[Tensor, "O"]

    @property
    def log_z_start(self) -> float:
        """Every unit alone."""
        return F.softplus(torch.cat([self.base_state_bias, self.base_other_bias]).double()).sum().item()

    def start(self, n: int, *, generator: torch.Generator | None = None) -> Float[Tensor, "n S"]:
        return draw(self.base_state_bias.expand(n, -1), generator)

    def fields(self, state: Float[Tensor, "n S"]) -> Float[Tensor, "n O"]:
        return state @ self.weight

    def log_ratio(
        self, state: Float[Tensor, "n S"], fields: Float[Tensor, "n O"], beta: float, next_beta: float
    ) -> Float[Tensor, "n"]:
        # the difference is taken unit by unit: the sums themselves would lose it in float32
        others = F.softplus(self._other_logits(fields, next_beta)) - F.softplus(self._other_logits(fields, beta))
        return (next_beta - beta) * (state @ (self.state_bias - self.base_state_bias)) + others.sum(1)

    def move(
        self, fields: Float[Tensor, "n O"], beta: float, *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "n S"]:
        others = draw(self._other_logits(fields, beta), generator)
        bias = torch.lerp(self.base_state_bias, self.state_bias, beta)
        return draw(torch.addmm(bias, others, self.weight.T, alpha=beta), generator)

    def _other_logits(self, fields: Tensor, beta: float) -> Tensor:
        return torch.lerp(self.base_other_bias, self.other_bias, beta) + beta * fields
