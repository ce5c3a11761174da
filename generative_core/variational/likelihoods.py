"""p(x | z): what the outputs of a decoder mean.  Any law of `autoregressive.conditionals` with a mean, or this one."""

import math
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from generative_core.autoregressive.conditionals import Conditional, DiscreteConditional
from generative_core.densities import normal_log_prob


@runtime_checkable
class ConditionalWithMean(Conditional, Protocol):
    """A law that knows its mean in closed form."""

    def mean(self, parameters: Float[Tensor, "*S P"]) -> Float[Tensor, "*S"]:
        """E[x | parameters]."""
        ...


class GaussianLikelihood(nn.Module):
    """x = parameter + scale * noise, with a scale that belongs to the model and not to the event; x real.

    The scale is one number for all elements, or of a `shape` that broadcasts to the event: (3, 1, 1) is one a channel,
    the event's own shape one an element.  It is trained unless `learned` is False: the best scale is the root mean
    squared error of the reconstruction, so it weighs that against the KL by itself.  Nothing holds it above zero: with
    one an element, elements that never vary take the density to infinity, so leave them out.

    Paper: Rybkin et al. 2021, https://arxiv.org/abs/2006.13202 (sigma-VAE).
    """

    n_parameters = 1

    def __init__(self, shape: Sequence[int] = (), *, scale: float = 1.0, learned: bool = True) -> None:
        super().__init__()
        if not scale > 0:
            raise ValueError(f"the scale is a standard deviation and must be positive, got {scale}")
        self.log_scale = nn.Parameter(torch.full(tuple(shape), math.log(scale)), requires_grad=learned)

    def log_prob(self, parameters: Float[Tensor, "*S P"], x: Float[Tensor, "*S"]) -> Float[Tensor, "*S"]:
        """log N(x; parameter, scale^2), nats an element."""
        return normal_log_prob(x, parameters.squeeze(-1), self.log_scale)

    def sample(
        self, parameters: Float[Tensor, "*S P"], *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "*S"]:
        """One normal number an element."""
        loc = self.mean(parameters)
        return loc + self.log_scale.exp() * torch.randn(
            loc.shape, generator=generator, device=loc.device, dtype=loc.dtype
        )

    def mean(self, parameters: Float[Tensor, "*S P"]) -> Float[Tensor, "*S"]:
        """The parameter itself."""
        return parameters.squeeze(-1)


def require_mean(law: Conditional) -> None:
    """ValueError where `conditional_mean` could not answer."""
    if not isinstance(law, ConditionalWithMean | DiscreteConditional):
        raise ValueError(
            f"a decoder's likelihood needs `mean(parameters)` or a table of levels, {type(law).__name__} has neither; "
            "use Bernoulli() for events of 0 and 1 and GaussianLikelihood() for real ones"
        )


def conditional_mean(law: Conditional, parameters: Float[Tensor, "*S P"]) -> Float[Tensor, "*S"]:
    """E[x | parameters]: in closed form where the law has one, else the sum over its levels."""
    if isinstance(law, ConditionalWithMean):
        return law.mean(parameters)
    assert isinstance(law, DiscreteConditional), "require_mean was not asked"
    values = law.value(torch.arange(law.levels, device=parameters.device), parameters)  # (L,)
    return (law.log_table(parameters).exp() * values).sum(-1)
