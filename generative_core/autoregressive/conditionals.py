"""The law of one element given its parameters: what a network's outputs mean.

P parameters an element, on the last axis.  Binary elements are 0 or 1.  Level k of L > 2 is 2 k / (L - 1) - 1.
"""

import math
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor


@runtime_checkable
class Conditional(Protocol):
    """p(x | parameters), element by element."""

    @property
    def n_parameters(self) -> int:
        """P, the parameters an element."""
        ...

    def log_prob(self, parameters: Float[Tensor, "*S P"], x: Float[Tensor, "*S"]) -> Float[Tensor, "*S"]:
        """log p(x | parameters), nats an element."""
        ...

    def sample(
        self, parameters: Float[Tensor, "*S P"], *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "*S"]:
        """One draw an element, from random numbers whose count depends on the shape alone."""
        ...


@runtime_checkable
class DiscreteConditional(Conditional, Protocol):
    """A law on `levels` values, which an entropy coder can tabulate."""

    @property
    def levels(self) -> int: ...

    def log_table(self, parameters: Float[Tensor, "*S P"]) -> Float[Tensor, "*S L"]:
        """log p of every level, nats; exp sums to one."""
        ...

    def index(self, x: Float[Tensor, "*S"]) -> Int64[Tensor, "*S"]:
        """The level of each value, 0 to levels - 1."""
        ...

    def value(self, index: Int64[Tensor, "*S"], like: Tensor) -> Float[Tensor, "*S"]:
        """The inverse of `index`, in the dtype and on the device of `like`."""
        ...


@dataclass(frozen=True)
class Bernoulli:
    """p(x = 1) = sigmoid(l), x in {0, 1}; the parameter is the logit l."""

    n_parameters: ClassVar[int] = 1
    levels: ClassVar[int] = 2

    def log_prob(self, parameters: Float[Tensor, "*S P"], x: Float[Tensor, "*S"]) -> Float[Tensor, "*S"]:
        """x l + log sigmoid(-l), nats: linear in x, so it has a slope there."""
        logit = parameters.squeeze(-1)
        return x * logit + F.logsigmoid(-logit)

    def sample(
        self, parameters: Float[Tensor, "*S P"], *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "*S"]:
        """[u < sigmoid(l)] with one uniform number an element."""
        logit = parameters.squeeze(-1)
        return (_uniform(logit.shape, logit, generator) < logit.sigmoid()).to(logit.dtype)

    def log_table(self, parameters: Float[Tensor, "*S P"]) -> Float[Tensor, "*S L"]:
        logit = parameters.squeeze(-1)
        return torch.stack([F.logsigmoid(-logit), F.logsigmoid(logit)], dim=-1)

    def index(self, x: Float[Tensor, "*S"]) -> Int64[Tensor, "*S"]:
        return _index(x, 2)

    def value(self, index: Int64[Tensor, "*S"], like: Tensor) -> Float[Tensor, "*S"]:
        return _value(index, 2, like)


@dataclass(frozen=True)
class Categorical:
    """p(level k) = softmax(parameters)_k; the parameters are `levels` logits.

    Two levels are the values 0 and 1, more are spread over [-1, 1]; values between levels count as the nearest one.
    """

    levels: int

    def __post_init__(self) -> None:
        if self.levels < 2:
            raise ValueError(f"Categorical needs at least two levels, got {self.levels}")

    @property
    def n_parameters(self) -> int:
        return self.levels

    def log_prob(self, parameters: Float[Tensor, "*S P"], x: Float[Tensor, "*S"]) -> Float[Tensor, "*S"]:
        """log softmax(parameters) at x's level, nats; flat in x."""
        return self.log_table(parameters).gather(-1, self.index(x).unsqueeze(-1)).squeeze(-1)

    def sample(
        self, parameters: Float[Tensor, "*S P"], *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "*S"]:
        """The inverse distribution function of one uniform number an element."""
        u = _uniform(parameters.shape[:-1], parameters, generator)
        return self.value(_choose(parameters, u), parameters)

    def log_table(self, parameters: Float[Tensor, "*S P"]) -> Float[Tensor, "*S L"]:
        return parameters.log_softmax(-1)

    def index(self, x: Float[Tensor, "*S"]) -> Int64[Tensor, "*S"]:
        return _index(x, self.levels)

    def value(self, index: Int64[Tensor, "*S"], like: Tensor) -> Float[Tensor, "*S"]:
        return _value(index, self.levels, like)


@dataclass(frozen=True)
class MixtureOfGaussians:
    """p(x) = sum_k w_k N(x; m_k, s_k^2), x real; the parameters are K logits of w, K means and K raw log scales.

    The scales are held inside (min_scale, max_scale), in the unit of x, by a smooth bound: log s = c + h tanh((raw - c)
    / h) with c and h the middle and half width of the log range.  So log p is at most -log(min_scale sqrt(2 pi)) an
    element (3.7 nats by default), and a constant or repeated value in the data cannot drive it to infinity; the
    defaults suit standardised data.
    """

    components: int
    min_scale: float = 1e-2
    max_scale: float = 1e2

    def __post_init__(self) -> None:
        _check_mixture(self.components, self.min_scale, self.max_scale)

    @property
    def n_parameters(self) -> int:
        return 3 * self.components

    def log_prob(self, parameters: Float[Tensor, "*S P"], x: Float[Tensor, "*S"]) -> Float[Tensor, "*S"]:
        """log-density, nats."""
        logits, means, raw = parameters.chunk(3, dim=-1)  # each (*S, K)
        log_scales = _bounded_log_scale(raw, self.min_scale, self.max_scale)
        z = (x.unsqueeze(-1) - means) * (-log_scales).exp()
        log_normal = -0.5 * z.square() - log_scales - 0.5 * math.log(2 * math.pi)
        return torch.logsumexp(logits.log_softmax(-1) + log_normal, dim=-1)

    def sample(
        self, parameters: Float[Tensor, "*S P"], *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "*S"]:
        """One uniform number for the component, then one normal number, an element."""
        logits, means, raw = parameters.chunk(3, dim=-1)
        k = _choose(logits, _uniform(logits.shape[:-1], logits, generator)).unsqueeze(-1)
        mean = means.gather(-1, k).squeeze(-1)
        scale = _bounded_log_scale(raw, self.min_scale, self.max_scale).gather(-1, k).squeeze(-1).exp()
        noise = torch.randn(mean.shape, generator=generator, device=mean.device, dtype=mean.dtype)
        return mean + scale * noise


@dataclass(frozen=True)
class DiscretisedLogisticMixture:
    """P(level v) = sum_k w_k [sigmoid((v + b - m_k) / s_k) - sigmoid((v - b - m_k) / s_k)], b = 1 / (levels - 1).

    The lowest bin reaches to -infinity and the highest to +infinity, so the levels' probabilities sum to one.  The
    parameters are K logits of w, K means and K raw log scales, the scales bounded as in `MixtureOfGaussians`.

    Paper: Salimans et al. 2017, https://arxiv.org/abs/1701.05517, eq. 2.  Differs: log(sigmoid(a) - sigmoid(b)) is
    computed as log sigmoid(a) + log sigmoid(-b) + log(1 - exp(b - a)), which needs no special case for small bins.
    """

    components: int
    levels: int
    min_scale: float = 1e-3
    max_scale: float = 1e2

    def __post_init__(self) -> None:
        _check_mixture(self.components, self.min_scale, self.max_scale)
        if self.levels < 3:
            raise ValueError(
                f"DiscretisedLogisticMixture needs at least three levels, got {self.levels}; use Bernoulli() for two"
            )

    @property
    def n_parameters(self) -> int:
        return 3 * self.components

    def log_prob(self, parameters: Float[Tensor, "*S P"], x: Float[Tensor, "*S"]) -> Float[Tensor, "*S"]:
        """log P(x), nats, at x on the levels."""
        logits, means, raw = parameters.chunk(3, dim=-1)  # each (*S, K)
        inverse_scale = (-_bounded_log_scale(raw, self.min_scale, self.max_scale)).exp()
        half_bin = 1 / (self.levels - 1)
        x = x.unsqueeze(-1)
        is_lowest, is_highest = x < -1 + half_bin, x > 1 - half_bin
        log_below = F.logsigmoid((x + half_bin - means) * inverse_scale)  # log P(logistic < upper edge)
        log_above = F.logsigmoid((means + half_bin - x) * inverse_scale)  # log P(logistic > lower edge)
        log_width = torch.log(-torch.expm1(-2 * half_bin * inverse_scale))
        log_bin = log_below + log_above + log_width
        log_bin = torch.where(is_lowest, log_below, torch.where(is_highest, log_above, log_bin))
        return torch.logsumexp(logits.log_softmax(-1) + log_bin, dim=-1)

    def sample(
        self, parameters: Float[Tensor, "*S P"], *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "*S"]:
        """Two uniform numbers an element, for the component and for the place in its logistic; to the nearest level."""
        logits, means, raw = parameters.chunk(3, dim=-1)
        u = _uniform((2, *logits.shape[:-1]), logits, generator)
        k = _choose(logits, u[0]).unsqueeze(-1)
        mean = means.gather(-1, k).squeeze(-1)
        scale = _bounded_log_scale(raw, self.min_scale, self.max_scale).gather(-1, k).squeeze(-1).exp()
        return self.value(self.index((mean + scale * u[1].logit()).clamp(-1, 1)), mean)

    def log_table(self, parameters: Float[Tensor, "*S P"]) -> Float[Tensor, "*S L"]:
        levels = self.value(torch.arange(self.levels, device=parameters.device), parameters)
        shape = parameters.shape[:-1]
        wide = parameters.unsqueeze(-2).expand(*shape, self.levels, -1)  # (*S, P) -> (*S, L, P)
        return self.log_prob(wide, levels.expand(*shape, -1))

    def index(self, x: Float[Tensor, "*S"]) -> Int64[Tensor, "*S"]:
        return _index(x, self.levels)

    def value(self, index: Int64[Tensor, "*S"], like: Tensor) -> Float[Tensor, "*S"]:
        return _value(index, self.levels, like)


def _uniform(shape: tuple[int, ...], like: Tensor, generator: torch.Generator | None) -> Tensor:
    return torch.rand(shape, generator=generator, device=like.device, dtype=like.dtype)


def _choose(logits: Tensor, u: Tensor) -> Tensor:
    """The index at which the distribution function of softmax(logits) passes u: (*S, K), (*S) -> (*S)."""
    below = logits.softmax(-1).cumsum(-1)[..., :-1]  # the last sum is one, and rounding must not say otherwise
    return (below <= u.unsqueeze(-1)).sum(-1)


def _index(x: Tensor, levels: int) -> Tensor:
    unit = x if levels == 2 else (x + 1) / 2  # in [0, 1]
    return (unit * (levels - 1)).round().long()


def _value(index: Tensor, levels: int, like: Tensor) -> Tensor:
    k = index.to(device=like.device, dtype=like.dtype)
    return k if levels == 2 else 2 * k / (levels - 1) - 1


def _bounded_log_scale(raw: Tensor, min_scale: float, max_scale: float) -> Tensor:
    low, high = math.log(min_scale), math.log(max_scale)
    middle, half = (low + high) / 2, (high - low) / 2
    return middle + half * torch.tanh((raw - middle) / half)


def _check_mixture(components: int, min_scale: float, max_scale: float) -> None:
    if components < 1:
        raise ValueError(f"a mixture needs at least one component, got {components}")
    if not 0 < min_scale < max_scale < math.inf:
        raise ValueError(f"scales need 0 < min_scale < max_scale < inf, got {min_scale} and {max_scale}")
