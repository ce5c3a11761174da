"""Gated PixelCNN: two stacks that together see the whole past, and multiplicative gates."""

from collections.abc import Sequence
from typing import final

from jaxtyping import Float
from torch import Tensor, nn

from generative_core.autoregressive.conditionals import Bernoulli, Conditional
from generative_core.autoregressive.pixel_model import AbstractPixelModel, check_channels, image_shape
from generative_core.autoregressive.pixel_trunk import Condition, as_condition, by_element
from generative_core.nets.masked_conv import OffsetConv2d
from generative_core.nets.pixel_cache import PixelCache


@final
class GatedPixelCNN(AbstractPixelModel):
    """p(x) = prod p(x_cij | x before cij) with layers tanh(W_f * x + V_f h) sigmoid(W_g * x + V_g h).

    The vertical stack sees all rows above, the horizontal one the pixel's own row to its left, and is fed by the other:
    there is no blind spot.  h is the context (B, K): a one-hot class, an embedding, the latent of an autoencoder.

    Events (C, H, W) in the values of `conditional`: {0, 1} for `Bernoulli()`, levels of [-1, 1] for `Categorical(256)`
    or `DiscretisedLogisticMixture`.  Red, green and blue of a pixel are drawn in this order, each given those before.
    `channels` must be a multiple of C (ValueError).

    Paper: van den Oord et al. 2016, https://arxiv.org/abs/1606.05328, eq. 2-4 and figure 2.  Differs: the kernels stop
    at the pixel instead of being masked or shifted.
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        conditional: Conditional = Bernoulli(),  # noqa: B008  frozen, so one instance serves all
        channels: int = 48,
        layers: int = 6,
        kernel_size: int = 3,
        context_features: int = 0,
    ) -> None:
        super().__init__()
        self.event_shape = image_shape(event_shape)
        if kernel_size < 3 or kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd and at least 3, got {kernel_size}")
        self.conditional = conditional
        self.context_features = context_features
        n_colours = self.event_shape[0]
        check_channels(channels, 1, n_colours)
        reach = kernel_size // 2
        self.above = OffsetConv2d(n_colours, channels, rows=(-3, -1), columns=(-3, 3))
        self.left = OffsetConv2d(n_colours, channels, columns=(-3, 0), mask="A", n_groups=n_colours)
        self.vertical = nn.ModuleList([_Vertical(channels, reach, context_features) for _ in range(layers)])
        self.horizontal = nn.ModuleList(
            [_Horizontal(channels, reach, context_features, n_colours) for _ in range(layers)]
        )
        self.head = OffsetConv2d(channels, channels, mask="B", n_groups=n_colours)
        self.output = OffsetConv2d(channels, conditional.n_parameters * n_colours, mask="B", n_groups=n_colours)

    def element_parameters(
        self,
        x: Float[Tensor, "B C H W"],
        context: Float[Tensor, "B K"] | None = None,
        cache: PixelCache | None = None,
    ) -> Float[Tensor, "B C h w P"]:
        """Parameters of each element's law, from all elements before it that the depth reaches."""
        condition = as_condition(context)
        if cache is None:
            links = self._vertical_stack(x, condition, None)
        else:  # the rows above are complete, so the vertical stack is run for a whole row at once
            row = cache.per_row(self, lambda: self._vertical_stack(x, condition, cache))
            links = [cache.at_pixel(link) for link in row]
        y = self.left.on_image(x, cache)
        for layer, link in zip(self.horizontal, links, strict=True):
            y = layer(y, link, condition, cache)
        y = self.head(y.relu(), cache)
        y = self.output(y.relu(), cache)
        return by_element(y, self.event_shape[0])

    def _vertical_stack(self, x: Tensor, condition: Tensor | None, cache: PixelCache | None) -> list[Tensor]:
        """What each vertical layer tells its horizontal one: (B, 2 channels, H, W), or (B, 2 channels, 1, W)."""
        y = self.above.on_image(x, cache, whole_row=True)
        links = []
        for layer in self.vertical:
            y, link = layer(y, condition, cache)
            links.append(link)
        return links


class _Vertical(nn.Module):
    """Sees rows i - reach to i of a map that at row i knows the rows above i of the image."""

    def __init__(self, channels: int, reach: int, context_features: int) -> None:
        super().__init__()
        self.look = OffsetConv2d(channels, 2 * channels, rows=(-reach, 0), columns=(-reach, reach))
        self.condition = Condition(context_features, 2 * channels)
        self.link = OffsetConv2d(2 * channels, 2 * channels)

    def forward(self, y: Tensor, condition: Tensor | None, cache: PixelCache | None) -> tuple[Tensor, Tensor]:
        """The next vertical map and the link, which the paper takes before the gate."""
        h = self.look(y, cache) + self.condition(condition)
        return _gate(h), self.link(h, cache)


class _Horizontal(nn.Module):
    """Sees columns j - reach to j of its own map and the link at (i, j); residual."""

    def __init__(self, channels: int, reach: int, context_features: int, n_groups: int) -> None:
        super().__init__()
        self.look = OffsetConv2d(channels, 2 * channels, columns=(-reach, 0), mask="B", n_groups=n_groups)
        self.condition = Condition(context_features, 2 * channels)
        self.mix = OffsetConv2d(channels, channels, mask="B", n_groups=n_groups)

    def forward(self, y: Tensor, link: Tensor, condition: Tensor | None, cache: PixelCache | None) -> Tensor:
        h = self.look(y, cache) + link + self.condition(condition)
        return y + self.mix(_gate(h), cache)


def _gate(h: Tensor) -> Tensor:
    """tanh(f) sigmoid(g) with h = [f, g]: (B, 2 F, H, W) -> (B, F, H, W)."""
    f, g = h.chunk(2, dim=1)
    return f.tanh() * g.sigmoid()
