"""q(z | x): Gaussians whose parameters an encoder gives, for a batch of events at once."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from generative_core.densities import normal_log_prob, standard_normal_kl, standard_normal_log_prob

WIDE_LOG_SCALE = 5.0
"""Above it an encoder's log scale counts by its logarithm: far from the data its exp would overflow."""


@runtime_checkable
class Posterior(Protocol):
    """B densities over z, one an event; draws are differentiable in their parameters."""

    def draw(self, *, generator: torch.Generator | None = None) -> tuple[Float[Tensor, "B Z"], Float[Tensor, "B Z"]]:
        """One z ~ q for each event, and the terms of log q(z), whose sum over Z is the log-density in nats."""
        ...

    def repeat(self, k: int) -> "Posterior":
        """The batch k times over, (k B): all events, then all again."""
        ...


@dataclass(frozen=True)
class DiagonalGaussian:
    """q(z) = N(loc, diag(exp(log_scale)^2)), drawn as loc + scale * noise."""

    loc: Float[Tensor, "B Z"]
    log_scale: Float[Tensor, "B Z"]

    @classmethod
    def from_raw(cls, raw: Float[Tensor, "B two_Z"]) -> "DiagonalGaussian":
        """From an encoder's output [loc, r]: log_scale = r up to m = `WIDE_LOG_SCALE`, then m + log(1 + r - m)."""
        loc, log_scale = raw.chunk(2, dim=1)
        excess = (log_scale - WIDE_LOG_SCALE).clamp_min(0)
        return cls(loc, log_scale.clamp_max(WIDE_LOG_SCALE) + excess.log1p())

    def draw(self, *, generator: torch.Generator | None = None) -> tuple[Float[Tensor, "B Z"], Float[Tensor, "B Z"]]:
        return self.push(self.noise(generator=generator))

    def noise(self, *, generator: torch.Generator | None = None) -> Float[Tensor, "B Z"]:
        """Standard normal numbers, as many as a draw takes."""
        loc = self.loc
        return torch.randn(loc.shape, generator=generator, device=loc.device, dtype=loc.dtype)

    def push(self, noise: Float[Tensor, "B Z"]) -> tuple[Float[Tensor, "B Z"], Float[Tensor, "B Z"]]:
        """z = loc + scale * noise, and log q(z_j) of its elements, nats."""
        return self.loc + self.log_scale.exp() * noise, standard_normal_log_prob(noise) - self.log_scale

    def log_prob(self, z: Float[Tensor, "B Z"]) -> Float[Tensor, "B"]:
        """log q(z), nats."""
        return normal_log_prob(z, self.loc, self.log_scale).sum(1)

    def kl_terms(self) -> Float[Tensor, "B Z"]:
        """KL(q(z_j) || N(0, 1)) >= 0, nats; their sum over j is KL(q || N(0, I))."""
        return standard_normal_kl(self.loc, self.log_scale)

    def repeat(self, k: int) -> "DiagonalGaussian":
        return DiagonalGaussian(self.loc.repeat(k, 1), self.log_scale.repeat(k, 1))
