"""Image flows over several resolutions: trade space for channels, and factor half of them out at each scale."""

import math
from collections.abc import Sequence
from typing import cast, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from generative_core.flows.bijector import AbstractBijector


@final
class Squeeze(AbstractBijector):
    """(C, H, W) -> (4 C, H/2, W/2): each 2x2 block of pixels becomes four channels."""

    # torch's pixel_unshuffle does the same, but leaves the shape of an empty batch as it is

    def forward_and_log_det(
        self, x: Float[Tensor, "B C H W"], context: Float[Tensor, "B K"] | None = None
    ) -> tuple[Float[Tensor, "B C4 H2 W2"], Float[Tensor, "B"]]:
        n, c, h, w = x.shape
        blocks = x.reshape(n, c, h // 2, 2, w // 2, 2).permute(0, 1, 3, 5, 2, 4)  # -> (B, C, 2, 2, H/2, W/2)
        return blocks.reshape(n, 4 * c, h // 2, w // 2), x.new_zeros(n)

    def inverse_and_log_det(
        self, y: Float[Tensor, "B C4 H2 W2"], context: Float[Tensor, "B K"] | None = None
    ) -> tuple[Float[Tensor, "B C H W"], Float[Tensor, "B"]]:
        n, c4, h2, w2 = y.shape
        rows = y.reshape(n, c4 // 4, 2, 2, h2, w2).permute(0, 1, 4, 2, 5, 3)  # -> (B, C, H/2, 2, W/2, 2)
        return rows.reshape(n, c4 // 4, 2 * h2, 2 * w2), y.new_zeros(n)


@final
class MultiScale(AbstractBijector):
    """Levels one after another; after each but the last, the second half of the channels is done and leaves.

    z (B, D) lists what left first, and the last level's output at the end.  `shapes` are the (C, H, W) that each level
    gives.  Raises ValueError where a level that must be halved has an odd number of channels.

    Paper: Dinh et al. 2017, https://arxiv.org/abs/1605.08803, sec. 3.6, eq. 14-16.
    """

    def __init__(self, levels: Sequence[AbstractBijector], shapes: Sequence[Sequence[int]]) -> None:
        super().__init__()
        for n_channels, _, _ in shapes[:-1]:
            if n_channels % 2 == 1:
                raise ValueError(f"half of the channels leave after each level, got {n_channels} of them")
        self.levels = nn.ModuleList(levels)
        self.parts = [(c // 2, h, w) for c, h, w in shapes[:-1]] + [tuple(shapes[-1])]

    def _in_order(self) -> list[AbstractBijector]:
        return cast(list[AbstractBijector], list(self.levels))

    def forward_and_log_det(
        self, x: Float[Tensor, "B C H W"], context: Float[Tensor, "B K"] | None = None
    ) -> tuple[Float[Tensor, "B D"], Float[Tensor, "B"]]:
        done: list[Tensor] = []
        total = x.new_zeros(len(x))
        for i, level in enumerate(self._in_order()):
            x, log_det = level.forward_and_log_det(x, context)
            total = total + log_det
            if i < len(self.levels) - 1:
                x, half = x.chunk(2, dim=1)
                done.append(half.flatten(1))
        return torch.cat([*done, x.flatten(1)], dim=1), total

    def inverse_and_log_det(
        self, y: Float[Tensor, "B D"], context: Float[Tensor, "B K"] | None = None
    ) -> tuple[Float[Tensor, "B C H W"], Float[Tensor, "B"]]:
        flat_parts = y.split([math.prod(part) for part in self.parts], dim=1)
        parts = [flat.unflatten(1, part) for flat, part in zip(flat_parts, self.parts, strict=True)]
        x = parts[-1]
        total = y.new_zeros(len(y))
        for i, level in reversed(list(enumerate(self._in_order()))):
            if i < len(self.levels) - 1:
                x = torch.cat([x, parts[i]], dim=1)
            x, log_det = level.inverse_and_log_det(x, context)
            total = total + log_det
        return x, total


def choose_halvings(event_shape: Sequence[int], asked: int | None, *, at_least: int) -> int:
    """How often to halve the sides: `asked`, or as often as leaves them whole and at least 4.

    Raises ValueError where `asked` or `at_least` is more than the sides allow; vectors have none to halve.
    """
    sides = event_shape[1:]
    most = min((side & -side).bit_length() - 1 for side in sides) if sides else 0  # factors of two
    chosen = max(at_least, sum(min(sides) >> k >= 4 for k in range(1, most + 1))) if asked is None else asked
    if not at_least <= chosen <= most:
        raise ValueError(
            f"the sides of {tuple(event_shape)} can be halved {most} times, this model halves them at least {at_least} "
            f"times and was asked for {chosen}; ask for fewer scales or levels, or pad the images to an even size"
        )
    return chosen
