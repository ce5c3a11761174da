"""The flow: an invertible map and the noise that it ends in."""

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from generative_core.families import AbstractTractable
from generative_core.flows.base import AbstractBase, StandardNormal
from generative_core.flows.bijector import AbstractBijector


class AbstractFlow(AbstractTractable):
    """z = f(x; context), z ~ base:  log p(x) = log p_base(f(x)) + log|det df/dx|.

    A concrete flow is a constructor that builds f, an invertible map from (B, *E) to (B, D) with D = prod E.
    """

    @abstractmethod
    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        bijector: AbstractBijector,
        base: AbstractBase,
        context_features: int,
    ) -> None:
        super().__init__()
        self.event_shape = tuple(event_shape)
        self.context_features = context_features
        self.n_dims = math.prod(self.event_shape)
        self.bijector = bijector
        self.base = base

    @final
    def log_prob(self, x: Float[Tensor, "B *E"], context: Float[Tensor, "B K"] | None = None) -> Float[Tensor, "B"]:
        """log p(x | context), nats.  Raises ValueError where x or context has another shape than declared."""
        self._check(x, self.event_shape, context)
        z, log_det = self.bijector.forward_and_log_det(x, context)
        return self.base.log_prob(z) + log_det

    @final
    def encode(self, x: Float[Tensor, "B *E"], context: Float[Tensor, "B K"] | None = None) -> Float[Tensor, "B D"]:
        """z = f(x): independent draws of the base, where x is a draw of the model."""
        self._check(x, self.event_shape, context)
        return self.bijector(x, context)

    @final
    def decode(self, z: Float[Tensor, "B D"], context: Float[Tensor, "B K"] | None = None) -> Float[Tensor, "B *E"]:
        """x = f^-1(z), the exact inverse of `encode`."""
        self._check(z, (self.n_dims,), context)
        return self.bijector.inverse(z, context)

    @final
    def sample(
        self,
        n: int,
        context: Float[Tensor, "n K"] | None = None,
        *,
        generator: torch.Generator | None = None,
        temperature: float = 1.0,
    ) -> Float[Tensor, "n *E"]:
        """f^-1(temperature * z): exact draws at 1; below 1 likelier and less varied events; at 0 the base's mode."""
        if not temperature >= 0:
            raise ValueError(f"temperature must be >= 0, got {temperature}")
        like = next(self.parameters(), torch.empty(0))  # a bijector of one's own may have none
        z = self.base.sample((n, self.n_dims), generator=generator, device=like.device, dtype=like.dtype)
        return self.decode(temperature * z, context)

    def _check(self, x: Tensor, event_shape: tuple[int, ...], context: Tensor | None) -> None:
        n_context = 0 if context is None else context.shape[1]
        if tuple(x.shape[1:]) != event_shape or n_context != self.context_features:
            raise ValueError(
                f"this {type(self).__name__} takes {event_shape} with {self.context_features} context features, got "
                f"{tuple(x.shape[1:])} with {n_context}"
            )
        if context is not None and len(context) != len(x):
            raise ValueError(f"one row of context an event: got {len(x)} events and {len(context)} rows")


@final
class Flow(AbstractFlow):
    """A flow from a bijector of your own, which maps (B, *event_shape) to (B, D)."""

    def __init__(
        self,
        event_shape: Sequence[int],
        bijector: AbstractBijector,
        *,
        base: AbstractBase | None = None,
        context_features: int = 0,
    ) -> None:
        super().__init__(
            event_shape, bijector=bijector, base=base or StandardNormal(), context_features=context_features
        )


def require_elements(event_shape: Sequence[int], model: str) -> None:
    """Raises ValueError on events that cannot be cut in two."""
    if math.prod(event_shape) < 2:
        raise ValueError(
            f"{model} moves one part of an event by another, but events {tuple(event_shape)} have a single element; "
            "take MAF, whose layers also move a single element"
        )


def require_vector_or_image(event_shape: Sequence[int], model: str) -> bool:
    """True for vectors, False for images.  Raises ValueError on others, and on events that cannot be cut in two."""
    if len(event_shape) not in (1, 3):
        raise ValueError(f"{model} takes vectors (D,) or images (C, H, W), got event_shape={tuple(event_shape)}")
    require_elements(event_shape, model)
    return len(event_shape) == 1


def require_positive(name: str, n: int) -> None:
    """Raises ValueError on a flow without a layer."""
    if n < 1:
        raise ValueError(f"a flow needs at least one layer, got {name}={n}")
