"""Invertible maps of single elements, whose parameters a network or a table gives; and the learnt diagonal scale."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from generative_core.flows.bijector import AbstractBijector


class AbstractElementwise(ABC):
    """y_i = g(x_i; parameters_i), invertible; all parameters zero is the identity.

    `parameters` is a sequence of `n_parameters` tensors shaped like x.  Log-determinants are (B,), of the map applied.
    """

    n_parameters: int

    @abstractmethod
    def forward_and_log_det(
        self, x: Float[Tensor, "B *E"], parameters: Sequence[Float[Tensor, "B *E"]]
    ) -> tuple[Float[Tensor, "B *E"], Float[Tensor, "B"]]:
        """g(x) and the sum of log|dg/dx| over the elements."""

    @abstractmethod
    def inverse_and_log_det(
        self, y: Float[Tensor, "B *E"], parameters: Sequence[Float[Tensor, "B *E"]]
    ) -> tuple[Float[Tensor, "B *E"], Float[Tensor, "B"]]:
        """g^-1(y) and the sum of log|dg^-1/dy| over the elements."""


@final
class Additive(AbstractElementwise):
    """y = x + shift.  Volume is kept: log|dy/dx| = 0."""

    n_parameters = 1

    def forward_and_log_det(
        self, x: Float[Tensor, "B *E"], parameters: Sequence[Float[Tensor, "B *E"]]
    ) -> tuple[Float[Tensor, "B *E"], Float[Tensor, "B"]]:
        (shift,) = parameters
        return x + shift, x.new_zeros(len(x))

    def inverse_and_log_det(
        self, y: Float[Tensor, "B *E"], parameters: Sequence[Float[Tensor, "B *E"]]
    ) -> tuple[Float[Tensor, "B *E"], Float[Tensor, "B"]]:
        (shift,) = parameters
        return y - shift, y.new_zeros(len(y))


@final
class Affine(AbstractElementwise):
    """y = x exp(s) + shift with s = m tanh(raw / m), so |s| < m = `max_log_scale`: no step of training can blow up x.

    Parameters: shift, raw.  Raises ValueError where `max_log_scale` is not positive.
    """

    n_parameters = 2

    def __init__(self, max_log_scale: float = 3.0) -> None:
        if not 0 < max_log_scale < math.inf:
            raise ValueError(f"max_log_scale must be positive and finite, got {max_log_scale}")
        self.max_log_scale = max_log_scale

    def forward_and_log_det(
        self, x: Float[Tensor, "B *E"], parameters: Sequence[Float[Tensor, "B *E"]]
    ) -> tuple[Float[Tensor, "B *E"], Float[Tensor, "B"]]:
        shift, raw = parameters
        log_scale = self._log_scale(raw)
        return torch.addcmul(shift, x, log_scale.exp()), log_scale.flatten(1).sum(1)

    def inverse_and_log_det(
        self, y: Float[Tensor, "B *E"], parameters: Sequence[Float[Tensor, "B *E"]]
    ) -> tuple[Float[Tensor, "B *E"], Float[Tensor, "B"]]:
        shift, raw = parameters
        log_scale = -self._log_scale(raw)
        return (y - shift) * log_scale.exp(), log_scale.flatten(1).sum(1)

    def _log_scale(self, raw: Tensor) -> Tensor:
        return self.max_log_scale * torch.tanh(raw / self.max_log_scale)


@final
class DiagonalScale(AbstractBijector):
    """y = x exp(log_scale), one learnt scale an element; the last layer of NICE, which alone can change volume."""

    def __init__(self, event_shape: Sequence[int]) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.zeros(*event_shape))

    def forward_and_log_det(
        self, x: Float[Tensor, "B *E"], context: Float[Tensor, "B K"] | None = None
    ) -> tuple[Float[Tensor, "B *E"], Float[Tensor, "B"]]:
        return x * self.log_scale.exp(), self.log_scale.sum().expand(len(x))

    def inverse_and_log_det(
        self, y: Float[Tensor, "B *E"], context: Float[Tensor, "B K"] | None = None
    ) -> tuple[Float[Tensor, "B *E"], Float[Tensor, "B"]]:
        return y * (-self.log_scale).exp(), -self.log_scale.sum().expand(len(y))
