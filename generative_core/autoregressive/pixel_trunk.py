"""What the models of the PixelRNN paper share: all but the layers in the middle."""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn

from generative_core.nets.masked_conv import OffsetConv2d, masked_conv
from generative_core.nets.pixel_cache import PixelCache


class PixelTrunk(nn.Module):
    """Masked 7 x 7 "A", the layers, then twice ReLU and a masked 1 x 1 "B": x (B, C, H, W) -> (B, C, H, W, P).

    A layer is called as layer(y, x, condition, cache) with y (B, channels, H, W) and returns the like; at (i, j) it may
    read y up to and including (i, j), and x before it.  `condition` is (B, K, 1, 1), (B, K, H, W) or None.

    Paper: van den Oord et al. 2016, https://arxiv.org/abs/1601.06759, table 1.
    """

    def __init__(self, n_colours: int, n_parameters: int, *, channels: int, layers: Sequence[nn.Module]) -> None:
        super().__init__()
        self.n_colours, self.n_parameters = n_colours, n_parameters
        self.first = masked_conv(n_colours, channels, 7, mask="A", n_groups=n_colours)
        self.layers = nn.ModuleList(layers)
        self.head = OffsetConv2d(channels, channels, mask="B", n_groups=n_colours)
        self.output = OffsetConv2d(channels, n_parameters * n_colours, mask="B", n_groups=n_colours)

    def forward(
        self, x: Float[Tensor, "B C H W"], condition: Tensor | None = None, cache: PixelCache | None = None
    ) -> Float[Tensor, "B C h w P"]:
        """With a cache, x and condition are whole images still, and the result is that of one pixel."""
        if cache is not None and condition is not None:
            condition = cache.at_pixel(condition)
        y = self.first.on_image(x, cache)
        for layer in self.layers:
            y = layer(y, x, condition, cache)
        y = self.head(y.relu(), cache)
        y = self.output(y.relu(), cache)
        return by_element(y, self.n_colours)


class Condition(nn.Module):
    """What a context adds to a layer: an unmasked 1 x 1 convolution without bias, or 0 where n_in is 0."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.project = OffsetConv2d(n_in, n_out, bias=False) if n_in else None

    def forward(self, condition: Tensor | None) -> Tensor | float:
        return 0.0 if self.project is None or condition is None else self.project(condition)


def as_condition(context: Float[Tensor, "B K"] | None) -> Float[Tensor, "B K 1 1"] | None:
    """The same context at every pixel."""
    return None if context is None else context[:, :, None, None]


def by_element(y: Float[Tensor, "B CP h w"], n_colours: int) -> Float[Tensor, "B C h w P"]:
    """Feature f is parameter f div C of colour f mod C."""
    return y.unflatten(1, (-1, n_colours)).permute(0, 2, 3, 4, 1)  # (B, P*C, h, w) -> (B, C, h, w, P)
