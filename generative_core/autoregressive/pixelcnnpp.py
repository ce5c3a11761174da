"""PixelCNN++: whole pixels at once, a U-shape of resolutions, and a mixture of logistics for each pixel."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple, final

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from generative_core.autoregressive.conditionals import Conditional, DiscretisedLogisticMixture
from generative_core.autoregressive.pixel_model import AbstractPixelModel, image_shape
from generative_core.autoregressive.pixel_trunk import Condition, as_condition
from generative_core.nets.masked_conv import OffsetConv2d
from generative_core.nets.pixel_cache import Offsets, PixelCache


@final
class PixelCNNPlusPlus(AbstractPixelModel):
    """p(x) = prod over pixels of sum_k w_k prod over colours of logistic_k(x_c; mean + links to the colours before).

    One network output a pixel, from all pixels before it, gives weights, means and scales of K components and, between
    colours, linear links: mean_G = m_G + a R, mean_B = m_B + b R + c G with a, b, c in (-1, 1).  The network is two
    streams, one for the rows above and one for the own row, each down to half the resolution `scales` - 1 times and up
    again, with skips between equal resolutions.

    Events (C, H, W) on the levels of `conditional`.  Images of one colour may have any `conditional` ({0, 1} for
    `Bernoulli()`); colours that are linked need `DiscretisedLogisticMixture`, else ValueError.  A context (B, K) enters
    every block.  Dropout is on in training mode only, and draws from torch's global generator.

    Paper: Salimans et al. 2017, https://arxiv.org/abs/1701.05517, eq. 2-3 and figure 2.  Differs: no weight
    normalisation nor its initialisation from data; strided 2 x 2 upsampling; the same number of blocks on both ways.
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        conditional: Conditional = DiscretisedLogisticMixture(10, 256),  # noqa: B008  frozen, so one instance serves all
        channels: int = 32,
        blocks: int = 2,
        scales: int = 3,
        dropout: float = 0.1,
        context_features: int = 0,
    ) -> None:
        super().__init__()
        self.event_shape = image_shape(event_shape)
        self.conditional = conditional
        self.context_features = context_features
        n_colours = self.event_shape[0]
        if n_colours > 1 and not isinstance(conditional, DiscretisedLogisticMixture):
            raise ValueError(
                f"the colours of a pixel are linked through DiscretisedLogisticMixture, got {conditional} for "
                f"{n_colours} colours; GatedPixelCNN takes any conditional"
            )
        if scales < 1 or blocks < 1:
            raise ValueError(f"scales and blocks must be at least 1, got {scales=}, {blocks=}")
        n_outputs = conditional.n_parameters
        if isinstance(conditional, DiscretisedLogisticMixture):
            n_outputs = conditional.components * (1 + 2 * n_colours + n_colours * (n_colours - 1) // 2)

        self.above = OffsetConv2d(n_colours, channels, rows=(-2, -1), columns=(-1, 1))
        self.just_above = OffsetConv2d(n_colours, channels, rows=(-1, -1), columns=(-1, 1))
        self.beside = OffsetConv2d(n_colours, channels, rows=(-1, 0), columns=(-1, -1), bias=False)
        block = _BlockShape(channels, blocks, dropout, context_features)
        self.rows = _Scale(block, scales, columns=(-1, 1), guided=False)
        self.pixels = _Scale(block, scales, columns=(-1, 0), guided=True)
        self.output = OffsetConv2d(channels, n_outputs)

    def element_parameters(
        self,
        x: Float[Tensor, "B C H W"],
        context: Float[Tensor, "B K"] | None = None,
        cache: PixelCache | None = None,
    ) -> Float[Tensor, "B C h w P"]:
        """Parameters of each element's law, from all pixels before it and the colours before it in its own."""
        raw = (
            self._whole_pixels(x, context, cache)
            if cache is None
            else cache.per_pixel(self, lambda: self._whole_pixels(x, context, cache))
        )
        if not isinstance(self.conditional, DiscretisedLogisticMixture):
            return raw.unsqueeze(1)
        return link_colours(raw, x if cache is None else cache.at_pixel(x), self.conditional)

    def _whole_pixels(self, x: Tensor, context: Tensor | None, cache: PixelCache | None) -> Float[Tensor, "B h w F"]:
        """What the network says of each pixel before it has seen anything of it."""
        condition = as_condition(context)
        if cache is None:
            guides = self._row_stream(x, condition, None)
        else:  # the rows above are complete, so their stream is run for a whole row at once
            guides = cache.per_row(self, lambda: self._row_stream(x, condition, cache))
        y = self.just_above.on_image(x, cache) + self.beside.on_image(x, cache)
        y, _ = self.pixels(y, guides, condition, cache)
        return self.output(F.elu(y), cache).permute(0, 2, 3, 1)  # (B, F, h, w) -> (B, h, w, F)

    def _row_stream(self, x: Tensor, condition: Tensor | None, cache: PixelCache | None) -> "_Maps":
        return self.rows(self.above.on_image(x, cache, whole_row=True), None, condition, cache)[1]


def link_colours(
    raw: Float[Tensor, "B h w F"], x: Float[Tensor, "B C h w"], law: DiscretisedLogisticMixture
) -> Float[Tensor, "B C h w P"]:
    """Parameters of p(colour | colours before it), each an ordinary mixture of K components.

    A component is shared by the colours of a pixel, so what has been seen of them changes its weight (Bayes):
    w_k p_k(R) / sum over components for green, and again for blue.  The product of these laws is eq. 3 of the paper.
    """
    k, n_colours = law.components, x.shape[1]
    weights, means, scales, links = raw.split(
        [k, n_colours * k, n_colours * k, raw.shape[-1] - (1 + 2 * n_colours) * k], -1
    )
    log_weight = weights.log_softmax(-1)  # (B, h, w, K)
    link = iter(links.tanh().split(k, dim=-1))
    component = replace(law, components=1)
    laws = []
    for colour, (mean, scale) in enumerate(zip(means.split(k, dim=-1), scales.split(k, dim=-1), strict=True)):
        for before in range(colour):
            mean = mean + next(link) * x[:, before].unsqueeze(-1)
        laws.append(torch.cat([log_weight, mean, scale], dim=-1))  # (B, h, w, 3 K)
        one = torch.stack([torch.zeros_like(mean), mean, scale], dim=-1)  # (B, h, w, K, 3)
        log_weight = log_weight + component.log_prob(one, x[:, colour].unsqueeze(-1).expand_as(mean))
    return torch.stack(laws, dim=1)


class _BlockShape(NamedTuple):
    channels: int
    blocks: int
    dropout: float
    context_features: int


class _Maps(NamedTuple):
    """The outputs of all blocks of a stream at one resolution, and at those below it."""

    down: list[Tensor]
    up: list[Tensor]
    coarser: "_Maps | None"


class _Scale(nn.Module):
    """One resolution of a stream: blocks, the coarser resolutions, and blocks again with skips from the first ones.

    `guided` is the stream that reads, block by block, the maps of the other one.
    """

    def __init__(self, shape: _BlockShape, scales: int, *, columns: Offsets, guided: bool) -> None:
        super().__init__()
        channels = shape.channels
        n_guide = channels if guided else 0
        self.down = nn.ModuleList([_GatedBlock(shape, columns, n_guide) for _ in range(shape.blocks)])
        self.up = nn.ModuleList([_GatedBlock(shape, columns, n_guide + channels) for _ in range(shape.blocks)])
        self.coarser = _Scale(shape, scales - 1, columns=columns, guided=guided) if scales > 1 else None
        if scales > 1:
            self.shrink = OffsetConv2d(channels, channels, rows=(-1, 0), columns=columns, stride=2)
            self.grow = nn.ConvTranspose2d(channels, channels, 2, stride=2)

    def forward(
        self, y: Tensor, guides: _Maps | None, condition: Tensor | None, cache: PixelCache | None
    ) -> tuple[Tensor, _Maps]:
        """The last map and all of them; at (i, j) no map sees more than y up to (i, j)."""

        def aside(maps: list[Tensor]) -> Tensor | None:
            if cache is not None:
                maps = [cache.at_pixel(m) if y.shape[3] == 1 else m for m in maps]
            return torch.cat(maps, dim=1) if maps else None

        down: list[Tensor] = []
        for i, block in enumerate(self.down):
            y = block(y, aside([guides.down[i]] if guides else []), condition, cache)
            down.append(y)
        coarser = None
        if self.coarser is not None:
            y, coarser = self._through_coarser(y, guides and guides.coarser, condition, cache)
        up: list[Tensor] = []
        for i, block in enumerate(self.up):
            y = block(y, aside([down[-1 - i], *([guides.up[i]] if guides else [])]), condition, cache)
            up.append(y)
        return y, _Maps(down, up, coarser)

    def _through_coarser(
        self, y: Tensor, guides: _Maps | None, condition: Tensor | None, cache: PixelCache | None
    ) -> tuple[Tensor, _Maps]:
        """Down, through all coarser resolutions and up again; with a cache once in a block of 2 x 2 pixels."""
        coarser = self.coarser
        assert coarser is not None
        window = self.shrink.window(y, cache)  # stored at every pixel, looked at in every second

        def go(half: PixelCache | None) -> tuple[Tensor, _Maps]:
            small, maps = coarser(self.shrink.convolve(window, cache), guides, condition, half)
            return self.grow(small), maps

        height, width = y.shape[2:]
        if cache is None:
            grown, maps = go(None)
            return grown[:, :, :height, :width], maps
        whole_row = width == cache.width
        half = cache.half
        grown, maps = half.per_row((self, 0 if whole_row else half.column), lambda: go(half))
        row, column = cache.row % 2, 0 if whole_row else cache.column % 2
        return grown[:, :, row : row + 1, column : column + width], maps


class _GatedBlock(nn.Module):
    """y + a sigmoid(b), [a, b] = conv(dropout(f(conv(f(y)) + 1 x 1 f(aside)))) + context, f = concatenated ELU."""

    def __init__(self, shape: _BlockShape, columns: Offsets, n_aside: int) -> None:
        super().__init__()
        channels = shape.channels
        self.first = OffsetConv2d(2 * channels, channels, rows=(-1, 0), columns=columns)
        self.aside = OffsetConv2d(2 * n_aside, channels, bias=False) if n_aside else None
        self.dropout = nn.Dropout(shape.dropout)
        self.second = OffsetConv2d(2 * channels, 2 * channels, rows=(-1, 0), columns=columns)
        self.condition = Condition(shape.context_features, 2 * channels)
        with torch.no_grad():
            self.second.conv.weight.mul_(0.1)  # the stream begins as nearly the identity, as in the paper's own code

    def forward(self, y: Tensor, aside: Tensor | None, condition: Tensor | None, cache: PixelCache | None) -> Tensor:
        h = self.first(_concat_elu(y), cache)
        if self.aside is not None and aside is not None:
            h = h + self.aside(_concat_elu(aside), cache)
        h = self.second(self.dropout(_concat_elu(h)), cache) + self.condition(condition)
        a, b = h.chunk(2, dim=1)
        return y + a * b.sigmoid()


def _concat_elu(y: Tensor) -> Tensor:
    """elu of [y, -y]: (B, F, h, w) -> (B, 2 F, h, w)."""
    return F.elu(torch.cat([y, -y], dim=1))
