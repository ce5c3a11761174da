"""Models with closed-form answers, one a family."""

import math

import torch
from torch import Tensor, nn

from generative_core import AbstractEnergy, AbstractTractable, AbstractVariational


class ToyGaussian(AbstractTractable):
    """N(loc, exp(log_scale)^2 I) on vectors; the context, where given, is added to loc."""

    def __init__(self, loc: list[float], scale: float = 1.0) -> None:
        super().__init__()
        self.event_shape = (len(loc),)
        self.loc = nn.Parameter(torch.tensor(loc))
        self.log_scale = nn.Parameter(torch.full((len(loc),), math.log(scale)))

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        loc = self.loc if context is None else self.loc + context
        return torch.distributions.Normal(loc, self.log_scale.exp(), validate_args=False).log_prob(x).sum(1)

    def sample(self, n: int, context: Tensor | None = None, *, generator: torch.Generator | None = None) -> Tensor:
        noise = torch.randn(n, *self.event_shape, generator=generator)
        return (self.loc if context is None else self.loc + context) + noise * self.log_scale.exp()


class ToyEnergy(AbstractEnergy):
    """E(x) = ||x||^2 / 2: N(0, I) with its constant dropped."""

    def __init__(self) -> None:
        super().__init__()
        self.event_shape = (2,)

    def energy(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        return 0.5 * x.square().sum(1)

    def sample(self, n: int, context: Tensor | None = None, *, generator: torch.Generator | None = None) -> Tensor:
        return torch.randn(n, 2, generator=generator)


class ToyVariational(AbstractVariational):
    """A bound that draws noise: log N(x; loc, I) - z^2 / 2 with z ~ N(0, 1), so below log p(x) by 1/2 on average."""

    def __init__(self) -> None:
        super().__init__()
        self.event_shape = (2,)
        self.loc = nn.Parameter(torch.zeros(2))

    def elbo(self, x: Tensor, context: Tensor | None = None, *, generator: torch.Generator | None = None) -> Tensor:
        z = torch.randn(len(x), generator=generator)
        return torch.distributions.Normal(self.loc, 1.0).log_prob(x).sum(1) - 0.5 * z.square()

    def encode(self, x: Tensor, context: Tensor | None = None, *, generator: torch.Generator | None = None) -> Tensor:
        return x - self.loc

    def decode(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        return z + self.loc

    def sample(self, n: int, context: Tensor | None = None, *, generator: torch.Generator | None = None) -> Tensor:
        return self.decode(torch.randn(n, 2, generator=generator))
