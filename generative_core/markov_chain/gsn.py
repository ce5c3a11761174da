"""The generative stochastic network: a denoiser whose corrupt-and-denoise chain has the data as its stationary law."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, final, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from generative_core.autoregressive.conditionals import Bernoulli, Conditional
from generative_core.nets.mlp import MLP


@runtime_checkable
class Corruption(Protocol):
    """C(corrupted | x)."""

    def __call__(self, x: Float[Tensor, "B *E"], *, generator: torch.Generator | None = None) -> Float[Tensor, "B *E"]:
        """x, corrupted."""
        ...

    def noise(self, x: Float[Tensor, "B *E"], *, generator: torch.Generator | None = None) -> Float[Tensor, "B *E"]:
        """What x would be if nothing of it were left: where chains start.  The values of x are not read."""
        ...


@dataclass(frozen=True)
class RandomReplacement:
    """Each element is, with probability `rate`, replaced by one of its `levels` values, all alike; 2 levels: salt and
    pepper.

    Two levels are 0 and 1, more are spread over [-1, 1].
    """

    rate: float = 0.4
    levels: int = 2

    def __post_init__(self) -> None:
        if not 0 < self.rate <= 1:
            raise ValueError(f"rate must be in (0, 1], got {self.rate}: without noise the chain cannot move")
        if self.levels < 2:
            raise ValueError(f"levels must be at least 2, got {self.levels}")

    def __call__(self, x: Float[Tensor, "B *E"], *, generator: torch.Generator | None = None) -> Float[Tensor, "B *E"]:
        is_replaced = torch.rand(x.shape, generator=generator, device=x.device, dtype=x.dtype) < self.rate
        return torch.where(is_replaced, self.noise(x, generator=generator), x)

    def noise(self, x: Float[Tensor, "B *E"], *, generator: torch.Generator | None = None) -> Float[Tensor, "B *E"]:
        k = torch.randint(self.levels, x.shape, generator=generator, device=x.device).to(x.dtype)
        return k if self.levels == 2 else 2 * k / (self.levels - 1) - 1


@dataclass(frozen=True)
class AdditiveGaussian:
    """corrupted = x + std * N(0, I), for real events; chains start from N(0, I)."""

    std: float = 0.5

    def __post_init__(self) -> None:
        if not self.std > 0:
            raise ValueError(f"std must be positive, got {self.std}: without noise the chain cannot move")

    def __call__(self, x: Float[Tensor, "B *E"], *, generator: torch.Generator | None = None) -> Float[Tensor, "B *E"]:
        return x + self.std * self.noise(x, generator=generator)

    def noise(self, x: Float[Tensor, "B *E"], *, generator: torch.Generator | None = None) -> Float[Tensor, "B *E"]:
        return torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)


@final
class GSN(nn.Module):
    """The chain  corrupted ~ C(. | x),  x' ~ P(. | corrupted),  P learned as the posterior of x given its corruption.

    If P is that posterior the chain leaves the data's law as it is, and if it can reach every state it tends to it: so
    samples come from the chain, while p(x) itself stays implicit.  `loss` is -log P(x | corrupted), in nats, the mean
    over `n_walkback` corruptions of each event: the first from the event, each next one from the model's own
    reconstruction of the one before.  The chain then learns to walk back from where it strays; the law that it tends to
    is the same.

    `denoiser` maps a corrupted event (B, *E) to the parameters (B, D, P) of `conditional`, element by element in the
    flattened event, so P(x | corrupted) is a product over elements; by default a perceptron of `hidden` widths.

    Papers: Bengio et al. 2013, https://arxiv.org/abs/1305.6663 (theorem 1; walkback: algorithm 1 with a fixed number of
    steps); Bengio et al. 2014, https://arxiv.org/abs/1306.1091.  Differs: the state is the event alone, without the
    latent layers of the second paper.
    """

    _like: Tensor

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        conditional: Conditional | None = None,
        corruption: Corruption | None = None,
        denoiser: nn.Module | None = None,
        hidden: Sequence[int] = (512, 512),
        n_walkback: int = 5,
    ) -> None:
        super().__init__()
        if n_walkback < 1:
            raise ValueError(f"n_walkback must be at least 1, got {n_walkback}")
        self.event_shape = tuple(event_shape)
        self.conditional = Bernoulli() if conditional is None else conditional
        self.corruption = RandomReplacement() if corruption is None else corruption
        self.n_walkback = n_walkback
        n_dims = math.prod(self.event_shape)
        if denoiser is None:
            denoiser = nn.Sequential(
                nn.Flatten(),
                MLP(n_dims, n_dims * self.conditional.n_parameters, hidden=hidden),
                nn.Unflatten(1, (n_dims, self.conditional.n_parameters)),
            )
        self.denoiser = denoiser
        self.register_buffer("_like", torch.empty(0), persistent=False)  # the device and dtype of chains from nothing

    def log_posterior(self, x: Float[Tensor, "B *E"], corrupted: Float[Tensor, "B *E"]) -> Float[Tensor, "B"]:
        """log P(x | corrupted), nats, summed over elements."""
        return self.conditional.log_prob(self.denoiser(corrupted), x.flatten(1)).sum(1)

    def loss(
        self,
        x: Float[Tensor, "B *E"],
        context: Float[Tensor, "B *K"] | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "B"]:
        """-log P(x | corrupted), nats, the mean over the walkback.  Raises ValueError on a context or another shape."""
        self._check(x, context)
        total = x.new_zeros(len(x))
        reached = x
        for step in range(self.n_walkback):
            corrupted = self.corruption(reached, generator=generator)
            parameters = self.denoiser(corrupted)
            total = total - self.conditional.log_prob(parameters, x.flatten(1)).sum(1)
            if step + 1 < self.n_walkback:
                with torch.no_grad():
                    reached = self.conditional.sample(parameters, generator=generator).view_as(x)
        return total / self.n_walkback

    @torch.no_grad()
    def transition(
        self, x: Float[Tensor, "n *E"], *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "n *E"]:
        """One step of n chains."""
        parameters = self.denoiser(self.corruption(x, generator=generator))
        return self.conditional.sample(parameters, generator=generator).view_as(x)

    @torch.no_grad()
    def chain(
        self, x: Float[Tensor, "n *E"], n_steps: int, *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "n_steps n *E"]:
        """The `n_steps` states after x: what shows how the chain moves between modes."""
        states = []
        for _ in range(n_steps):
            x = self.transition(x, generator=generator)
            states.append(x)
        return torch.stack(states)

    @torch.no_grad()
    def sample(
        self,
        n: int,
        context: Float[Tensor, "n *K"] | None = None,
        *,
        generator: torch.Generator | None = None,
        n_steps: int = 200,
    ) -> Float[Tensor, "n *E"]:
        """The ends of n chains of `n_steps` steps from pure noise."""
        x = self.corruption.noise(self._like.new_empty(n, *self.event_shape), generator=generator)
        self._check(x, context)
        for _ in range(n_steps):
            x = self.transition(x, generator=generator)
        return x

    def _check(self, x: Tensor, context: Tensor | None) -> None:
        if context is not None:
            raise ValueError("GSN is unconditional: call it without context")
        if tuple(x.shape[1:]) != self.event_shape:
            raise ValueError(f"GSN was built for events {self.event_shape}, got {len(x)} of {tuple(x.shape[1:])}")
