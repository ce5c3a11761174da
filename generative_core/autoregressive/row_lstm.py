"""Row LSTM: a recurrent layer that goes down the image, a whole row at a time."""

from collections.abc import Sequence
from typing import final

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from generative_core.autoregressive.conditionals import Bernoulli, Conditional
from generative_core.autoregressive.pixel_model import AbstractPixelModel, check_channels, image_shape
from generative_core.autoregressive.pixel_trunk import Condition, PixelTrunk, as_condition
from generative_core.nets.lstm import lstm_step
from generative_core.nets.masked_conv import OffsetConv2d
from generative_core.nets.pixel_cache import PixelCache


@final
class RowLSTM(AbstractPixelModel):
    """p(x) = prod p(x_cij | x before cij), every factor from LSTMs whose state moves from row to row.

        [o, f, i, g] = K_ss * h[row - 1] + K_is * y[row],  c = f c[row - 1] + i g,  h = o tanh(c)

    with 1 x 3 convolutions along the row.  Of the past it sees a triangle: r rows above the pixel (i, j) the columns
    j - r - 3 - layers to j + r + 2, of its own row the last 3 + layers pixels.

    Events (C, H, W) in the values of `conditional`: {0, 1} for `Bernoulli()`, levels of [-1, 1] for `Categorical(256)`
    or `DiscretisedLogisticMixture`.  Red, green and blue of a pixel are drawn in this order, each given those before.
    `channels` must be a multiple of 2 C (ValueError).  A context (B, K) is added to all gates.

    Paper: van den Oord et al. 2016, https://arxiv.org/abs/1601.06759, eq. 3 and sec. 3.1.  Differs: takes a context.
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
            layers=[RowLSTMLayer(channels, n_colours, context_features) for _ in range(layers)],
        )

    def element_parameters(
        self,
        x: Float[Tensor, "B C H W"],
        context: Float[Tensor, "B K"] | None = None,
        cache: PixelCache | None = None,
    ) -> Float[Tensor, "B C h w P"]:
        """Parameters of each element's law, from the elements before it in the triangle."""
        return self.trunk(x, as_condition(context), cache)


class RowLSTMLayer(nn.Module):
    """y + (1 x 1: h -> 2h) LSTM(y), with 2h channels."""

    def __init__(self, channels: int, n_groups: int, condition_features: int) -> None:
        super().__init__()
        self.hidden = channels // 2
        self.input_to_state = OffsetConv2d(channels, 4 * self.hidden, columns=(-1, 0), mask="B", n_groups=n_groups)
        # the rows above are past in all their colours: no mask
        self.state_to_state = OffsetConv2d(self.hidden, 4 * self.hidden, rows=(-1, -1), columns=(-1, 1), bias=False)
        self.condition = Condition(condition_features, 4 * self.hidden)
        self.output = OffsetConv2d(self.hidden, channels, mask="B", n_groups=n_groups)

    def forward(self, y: Tensor, x: Tensor, condition: Tensor | None = None, cache: PixelCache | None = None) -> Tensor:
        gates = self.input_to_state(y, cache) + self.condition(condition)  # (B, 4h, H, W)
        h = self._all_rows(gates) if cache is None else self._one_pixel(gates, cache)
        return y + self.output(h, cache)

    def _all_rows(self, gates: Float[Tensor, "B h4 H W"]) -> Float[Tensor, "B h H W"]:
        h = c = gates.new_zeros(len(gates), self.hidden, 1, gates.shape[3])
        rows = []
        for row in gates.split(1, dim=2):
            h, c = lstm_step(row + self.state_to_state.convolve(F.pad(h, (1, 1))), c, dim=1)
            rows.append(h)
        return torch.cat(rows, dim=2)

    def _one_pixel(self, gates: Float[Tensor, "n h4 1 1"], cache: PixelCache) -> Float[Tensor, "n h 1 1"]:
        states = cache.buffer((self, "states"), 2 * self.hidden, above=1, left=1, right=1)
        h_above, c_above = states.read((-1, -1), (-1, 1)).split(self.hidden, dim=1)  # (n, h, 1, 3) each
        h, c = lstm_step(gates + self.state_to_state.convolve(h_above, cache), c_above[..., 1:2], dim=1)
        states.write(torch.cat([h, c], dim=1))
        return h
