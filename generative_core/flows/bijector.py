"""Invertible maps with their log-determinants, and how they compose."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import cast, final

from jaxtyping import Float
from torch import Tensor, nn


class AbstractBijector(nn.Module, ABC):
    """y = f(x; context), invertible in x.  Required: `forward_and_log_det` and `inverse_and_log_det`.

    Both return (B,) log-determinants, nats, of the map that they apply: log|det df/dx| and log|det df^-1/dy|, which is
    its negative at the matching point.  y may have another shape than x, of equally many elements.
    """

    @abstractmethod
    def forward_and_log_det(
        self, x: Float[Tensor, "B *E"], context: Float[Tensor, "B K"] | None = None
    ) -> tuple[Float[Tensor, "B *F"], Float[Tensor, "B"]]:
        """f(x) and log|det df/dx|."""

    @abstractmethod
    def inverse_and_log_det(
        self, y: Float[Tensor, "B *F"], context: Float[Tensor, "B K"] | None = None
    ) -> tuple[Float[Tensor, "B *E"], Float[Tensor, "B"]]:
        """f^-1(y) and log|det df^-1/dy|."""

    def forward(self, x: Float[Tensor, "B *E"], context: Float[Tensor, "B K"] | None = None) -> Float[Tensor, "B *F"]:
        """f(x)."""
        return self.forward_and_log_det(x, context)[0]

    @final
    def inverse(self, y: Float[Tensor, "B *F"], context: Float[Tensor, "B K"] | None = None) -> Float[Tensor, "B *E"]:
        """f^-1(y)."""
        return self.inverse_and_log_det(y, context)[0]


@final
class Chain(AbstractBijector):
    """y = f_n(... f_2(f_1(x))): the first in the list is applied first; log-determinants add."""

    def __init__(self, bijectors: Iterable[AbstractBijector]) -> None:
        super().__init__()
        self.bijectors = nn.ModuleList(bijectors)
        if len(self.bijectors) == 0:
            raise ValueError("Chain needs at least one bijector")

    def _in_order(self) -> list[AbstractBijector]:
        return cast(list[AbstractBijector], list(self.bijectors))

    def forward_and_log_det(
        self, x: Float[Tensor, "B *E"], context: Float[Tensor, "B K"] | None = None
    ) -> tuple[Float[Tensor, "B *F"], Float[Tensor, "B"]]:
        first, *rest = self._in_order()
        y, total = first.forward_and_log_det(x, context)
        for bijector in rest:
            y, log_det = bijector.forward_and_log_det(y, context)
            total = total + log_det
        return y, total

    def inverse_and_log_det(
        self, y: Float[Tensor, "B *F"], context: Float[Tensor, "B K"] | None = None
    ) -> tuple[Float[Tensor, "B *E"], Float[Tensor, "B"]]:
        *rest, last = self._in_order()
        x, total = last.inverse_and_log_det(y, context)
        for bijector in reversed(rest):
            x, log_det = bijector.inverse_and_log_det(x, context)
            total = total + log_det
        return x, total


@final
class Inverse(AbstractBijector):
    """y = f^-1(x): the same map with its directions swapped."""

    def __init__(self, bijector: AbstractBijector) -> None:
        super().__init__()
        self.bijector = bijector

    def forward_and_log_det(
        self, x: Float[Tensor, "B *E"], context: Float[Tensor, "B K"] | None = None
    ) -> tuple[Float[Tensor, "B *F"], Float[Tensor, "B"]]:
        return self.bijector.inverse_and_log_det(x, context)

    def inverse_and_log_det(
        self, y: Float[Tensor, "B *F"], context: Float[Tensor, "B K"] | None = None
    ) -> tuple[Float[Tensor, "B *E"], Float[Tensor, "B"]]:
        return self.bijector.forward_and_log_det(y, context)


@final
class Flatten(AbstractBijector):
    """(B, *E) -> (B, prod E)."""

    def __init__(self, event_shape: Sequence[int]) -> None:
        super().__init__()
        self.event_shape = tuple(event_shape)

    def forward_and_log_det(
        self, x: Float[Tensor, "B *E"], context: Float[Tensor, "B K"] | None = None
    ) -> tuple[Float[Tensor, "B D"], Float[Tensor, "B"]]:
        return x.flatten(1), x.new_zeros(len(x))

    def inverse_and_log_det(
        self, y: Float[Tensor, "B D"], context: Float[Tensor, "B K"] | None = None
    ) -> tuple[Float[Tensor, "B *E"], Float[Tensor, "B"]]:
        return y.unflatten(1, self.event_shape), y.new_zeros(len(y))


def flatten_unless_flat(event_shape: Sequence[int]) -> list[AbstractBijector]:
    """What leads events to vectors (B, D): nothing where they are."""
    return [] if len(event_shape) == 1 else [Flatten(event_shape)]
