"""Diagonal BiLSTM: two recurrent layers that sweep the image along its diagonals and see all of the past."""

from collections.abc import Sequence
from typing import final

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from generative_core.autoregressive.conditionals import Bernoulli, Conditional
from generative_core.autoregressive.pixel_model import AbstractPixelModel, check_channels, image_shape
from generative_core.autoregressive.pixel_trunk import Condition, PixelTrunk, as_condition
from generative_core.nets.lstm import lstm_step
from generative_core.nets.masked_conv import OffsetConv2d
from generative_core.nets.pixel_cache import PixelCache, RowBuffer


@final
class DiagonalBiLSTM(AbstractPixelModel):
    """p(x) = prod p(x_cij | x before cij), every factor from LSTMs along the diagonals in both directions.

    The state at (i, j) follows from those at (i, j - 1) and (i - 1, j), and in the other direction from those at
    (i, j + 1) and (i - 1, j); the second map is moved down a row, so that it tells of the rows above only.  Together
    they see the entire past in every layer.

    Events (C, H, W) in the values of `conditional`: {0, 1} for `Bernoulli()`, levels of [-1, 1] for `Categorical(256)`
    or `DiscretisedLogisticMixture`.  Red, green and blue of a pixel are drawn in this order, each given those before.
    `channels` must be a multiple of 2 C (ValueError).  A context (B, K) is added to all gates.

    Paper: van den Oord et al. 2016, https://arxiv.org/abs/1601.06759, sec. 3.2 and figure 3.  Differs: the
    layers to the left also read the pixel itself, or no row would ever learn of the last pixel of the one above; takes
    a context; pixels are sorted by diagonal, which is skewing without the padding.
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        conditional: Conditional = Bernoulli(),  # noqa: B008  frozen, so one instance serves all
        channels: int = 48,
        layers: int = 4,
        context_features: int = 0,
    ) -> None:
        super().__init__()
        self.event_shape = image_shape(event_shape)
        self.conditional = conditional
        self.context_features = context_features
        n_colours = self.event_shape[0]
        check_channels(channels, 2, n_colours)
        self.trunk = PixelTrunk(
            n_colours,
            conditional.n_parameters,
            channels=channels,
            layers=[DiagonalLayer(channels, n_colours, context_features) for _ in range(layers)],
        )

    def element_parameters(
        self,
        x: Float[Tensor, "B C H W"],
        context: Float[Tensor, "B K"] | None = None,
        cache: PixelCache | None = None,
    ) -> Float[Tensor, "B C h w P"]:
        """Parameters of each element's law, from all elements before it."""
        return self.trunk(x, as_condition(context), cache)


class DiagonalLayer(nn.Module):
    """y + (1 x 1: h -> 2h) [LSTM to the right + LSTM to the left, a row down], with 2h channels."""

    def __init__(self, channels: int, n_groups: int, condition_features: int) -> None:
        super().__init__()
        self.hidden = channels // 2
        # the gates of both directions; the states are past in all their colours, so only the input is masked
        self.input_to_state = OffsetConv2d(channels, 8 * self.hidden, mask="B", n_groups=n_groups)
        self.itself = OffsetConv2d(n_groups, 4 * self.hidden, bias=False)  # to the left only, which is a row late
        self.condition = Condition(condition_features, 8 * self.hidden)
        bound = (2 * self.hidden) ** -0.5
        # (direction, [h beside, h above], gates); no bias, so that states outside the image stay zero
        self.state_to_state = nn.Parameter(torch.empty(2, 2 * self.hidden, 4 * self.hidden).uniform_(-bound, bound))
        self.output = OffsetConv2d(self.hidden, channels, mask="B", n_groups=n_groups)

    def forward(self, y: Tensor, x: Tensor, condition: Tensor | None = None, cache: PixelCache | None = None) -> Tensor:
        gates = self.input_to_state(y, cache) + self.condition(condition)  # (B, 8h, H, W)
        h = self._all_diagonals(gates, x) if cache is None else self._one_pixel(gates, x, cache)
        return y + self.output(h, cache)

    def _all_diagonals(self, gates: Float[Tensor, "B h8 H W"], x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B h H W"]:
        """Both directions at once, a diagonal a step: the second one sees the image mirrored."""
        n, _, height, width = gates.shape
        order, spans = diagonals(height, width)
        mirrored = order // width * width + width - 1 - order % width
        rightward, leftward = gates.chunk(2, dim=1)
        rightward = rightward.flatten(2).permute(2, 0, 1)  # (H*W, B, 4h)
        leftward = (leftward + self.itself(x)).flatten(2).permute(2, 0, 1)
        both = torch.stack([rightward[order], leftward[mirrored]])  # (2, H*W, B, 4h), diagonal after diagonal

        h = c = gates.new_zeros(2, 0, n, self.hidden)  # of the rows first to end of the last diagonal
        first, end, states = 0, 0, []
        for diagonal, span in zip(both.split([b - a for a, b in spans], dim=1), spans, strict=True):
            # on the diagonal before, the pixel beside is in the same row and the pixel above a row higher
            dropped, added = first - span[0], span[1] - end  # 0 or -1 rows at the top, 0 or 1 at the bottom
            beside = F.pad(h, (0, 0, 0, 0, dropped, added))
            above = F.pad(h, (0, 0, 0, 0, dropped + 1, added - 1))
            past = torch.cat([beside, above], dim=3).flatten(1, 2)  # (2, rows*B, 2h)
            told = torch.baddbmm(diagonal.flatten(1, 2), past, self.state_to_state).view_as(diagonal)
            h, c = lstm_step(told, F.pad(c, (0, 0, 0, 0, dropped, added)), dim=3)
            states.append(h)
            first, end = span
        rightward, leftward = torch.cat(states, dim=1)  # (H*W, B, h) each
        rightward, leftward = rightward[order.argsort()], leftward[mirrored.argsort()]
        told_from_above = F.pad(leftward[:-width], (0, 0, 0, 0, width, 0))  # a row down
        return (rightward + told_from_above).permute(1, 2, 0).unflatten(2, (height, width))

    def _one_pixel(
        self, gates: Float[Tensor, "n h8 1 1"], x: Float[Tensor, "n C H W"], cache: PixelCache
    ) -> Float[Tensor, "n h 1 1"]:
        """The step to the right is made here; the steps to the left were made for the whole row above, now complete."""
        rightward, leftward = gates.chunk(2, dim=1)
        waiting = cache.buffer((self, "gates to the left"), leftward.shape[1], above=1)
        waiting.write(leftward)
        told_from_above = cache.at_pixel(cache.per_row(self, lambda: self._row_above(waiting, x, cache)))

        states = cache.buffer((self, "states to the right"), 2 * self.hidden, above=1, left=1)
        window = states.read((-1, 0), (-1, 0))  # (n, 2h, 2, 2)
        h_beside, c_beside = window[:, :, 1, 0].chunk(2, dim=1)
        h_above = window[:, : self.hidden, 0, 1]
        h, c = self._step(0, rightward[:, :, 0, 0], h_beside, h_above, c_beside)
        states.write(torch.cat([h, c], dim=1)[:, :, None, None])
        return h[:, :, None, None] + told_from_above

    def _row_above(
        self, waiting: RowBuffer, x: Float[Tensor, "n C H W"], cache: PixelCache
    ) -> Float[Tensor, "n h 1 W"]:
        """The states to the left of the row above the present one, from its right end."""
        if cache.row == 0:
            return x.new_zeros(len(x), self.hidden, 1, cache.width)
        own = self.itself(cache.crop(x, (-1, -1), (0, 0), whole_row=True), cache)
        gates = waiting.read((-1, -1), (0, 0), whole_row=True) + own  # (n, 4h, 1, W)
        states = cache.buffer((self, "states to the left"), self.hidden, above=1)  # a row late itself
        h_above = states.read((-1, -1), (0, 0), whole_row=True)  # (n, h, 1, W)
        h = c = gates.new_zeros(len(gates), self.hidden)
        row = []
        for column in reversed(range(cache.width)):
            h, c = self._step(1, gates[:, :, 0, column], h, h_above[:, :, 0, column], c)
            row.append(h)
        result = torch.stack(row[::-1], dim=2).unsqueeze(2)  # (n, h, 1, W)
        states.write(result)
        return result

    def _step(
        self, direction: int, gates: Tensor, h_beside: Tensor, h_above: Tensor, c_beside: Tensor
    ) -> tuple[Tensor, Tensor]:
        h = torch.cat([h_beside, h_above], dim=1)
        return lstm_step(torch.addmm(gates, h, self.state_to_state[direction]), c_beside, dim=1)


def diagonals(height: int, width: int) -> tuple[Int64[Tensor, "HW"], list[tuple[int, int]]]:
    """The flat indices of an image sorted by i + j and then i; and of each diagonal the first row and the one past it.

    This is the paper's skewing without its padding: what it has in a column is what lies between two cuts here.
    """
    row, column = torch.arange(height).unsqueeze(1), torch.arange(width)
    order = (row + column).flatten().argsort(stable=True)
    return order, [(max(0, t - width + 1), min(height, t + 1)) for t in range(height + width - 1)]
