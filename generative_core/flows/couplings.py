"""Coupling layers: one part of the event passes unchanged and decides how the other part moves."""

from collections.abc import Sequence
from typing import final

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from generative_core.flows.bijector import AbstractBijector
from generative_core.flows.conditioners import NetFactory
from generative_core.flows.elementwise import AbstractElementwise


@final
class Coupling(AbstractBijector):
    """(kept, moved) -> (kept, g(moved; net(kept, context))), split once along the first event dimension.

    The first `n_first` features or channels are kept and the rest moves; with `move_first` it is the other way round.
    `net` maps (kept, context) to the map's parameters, stacked along that same dimension.  Unlike in `MaskedCoupling`
    no input, output or arithmetic is spent on what is masked.

    Papers: Dinh et al. 2014, https://arxiv.org/abs/1410.8516, eq. 4-7 (additive); Dinh et al. 2017,
    https://arxiv.org/abs/1605.08803, eq. 4-8 (affine).
    """

    def __init__(
        self, net: nn.Module, elementwise: AbstractElementwise, *, n_first: int, move_first: bool = False
    ) -> None:
        super().__init__()
        self.net = net
        self.elementwise = elementwise
        self.n_first = n_first
        self.move_first = move_first

    def forward_and_log_det(
        self, x: Float[Tensor, "B C *S"], context: Float[Tensor, "B K"] | None = None
    ) -> tuple[Float[Tensor, "B C *S"], Float[Tensor, "B"]]:
        kept, moved = self._split(x)
        moved, log_det = self.elementwise.forward_and_log_det(moved, self._parameters_at(kept, context))
        return self._join(kept, moved), log_det

    def inverse_and_log_det(
        self, y: Float[Tensor, "B C *S"], context: Float[Tensor, "B K"] | None = None
    ) -> tuple[Float[Tensor, "B C *S"], Float[Tensor, "B"]]:
        kept, moved = self._split(y)
        moved, log_det = self.elementwise.inverse_and_log_det(moved, self._parameters_at(kept, context))
        return self._join(kept, moved), log_det

    def _parameters_at(self, kept: Tensor, context: Tensor | None) -> Sequence[Tensor]:
        # the net may compute in a shorter dtype, the event and its log-determinant never do
        return self.net(kept, context).to(kept.dtype).chunk(self.elementwise.n_parameters, dim=1)

    def _split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        first, last = x.split([self.n_first, x.shape[1] - self.n_first], dim=1)
        return (last, first) if self.move_first else (first, last)

    def _join(self, kept: Tensor, moved: Tensor) -> Tensor:
        return torch.cat([moved, kept] if self.move_first else [kept, moved], dim=1)


def couple_halves(
    n_features: int, make_net: NetFactory, elementwise: AbstractElementwise, *, move_first: bool
) -> Coupling:
    """A coupling of the first half, the larger where `n_features` is odd, and the second."""
    n_first = (n_features + 1) // 2
    n_moved = n_first if move_first else n_features - n_first
    net = make_net(n_features - n_moved, elementwise.n_parameters * n_moved)
    return Coupling(net, elementwise, n_first=n_first, move_first=move_first)


@final
class MaskedCoupling(AbstractBijector):
    """y = keep x + (1 - keep) g(x; net(keep x, context)) for any mask `keep` over the event.

    `net` sees the whole event with zeros where it moves, and gives parameters for all of it.  Raises ValueError where
    the mask keeps all or nothing.

    Paper: Dinh et al. 2017, https://arxiv.org/abs/1605.08803, eq. 9.
    """

    kept: Tensor
    moved: Tensor

    def __init__(self, net: nn.Module, elementwise: AbstractElementwise, *, keep: Bool[Tensor, "C *S"]) -> None:
        super().__init__()
        if keep.all() or not keep.any():
            raise ValueError("a coupling keeps one part of the event and moves the other: its mask is constant")
        self.net = net
        self.elementwise = elementwise
        self.register_buffer("kept", keep.float())
        moved = torch.cat([~keep] * elementwise.n_parameters)  # over the stacked parameters
        self.register_buffer("moved", moved.float())

    def forward_and_log_det(
        self, x: Float[Tensor, "B C *S"], context: Float[Tensor, "B K"] | None = None
    ) -> tuple[Float[Tensor, "B C *S"], Float[Tensor, "B"]]:
        return self.elementwise.forward_and_log_det(x, self._parameters_at(x, context))

    def inverse_and_log_det(
        self, y: Float[Tensor, "B C *S"], context: Float[Tensor, "B K"] | None = None
    ) -> tuple[Float[Tensor, "B C *S"], Float[Tensor, "B"]]:
        return self.elementwise.inverse_and_log_det(y, self._parameters_at(y, context))

    def _parameters_at(self, x: Tensor, context: Tensor | None) -> Sequence[Tensor]:
        # zero parameters are the identity, on the kept part
        return (self.net(x * self.kept, context) * self.moved).chunk(self.elementwise.n_parameters, dim=1)


def checkerboard(event_shape: Sequence[int]) -> Bool[Tensor, "C H W"]:
    """True where row + column is even, alike in all channels."""
    n_channels, height, width = event_shape
    return ((torch.arange(height)[:, None] + torch.arange(width)) % 2 == 0).expand(n_channels, -1, -1).clone()
