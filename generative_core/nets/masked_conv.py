"""Convolutions that look only where they may: at a window of offsets, and behind a mask on the channels of a pixel."""

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from generative_core.nets.pixel_cache import Offsets, PixelCache


class OffsetConv2d(nn.Module):
    """y[:, i, j] = bias + sum over r in rows, c in columns of W[r, c] x[:, i + r, j + c], zeros outside the image.

    `rows` and `columns` are first and last offsets, inclusive: rows=(-1, 0), columns=(-1, 1) is a 2 x 3 kernel over the
    row above and the pixel's own.  Half of a masked k x k kernel is zeros, so only the other half is ever computed.

    A `mask` forbids what comes later in raster order.  Of the pixel itself, with the features in `n_groups` groups
    (feature f belongs to group f mod n_groups, one a colour), "A" leaves the groups before and "B" the own one too.
    Paper: van den Oord et al. 2016, https://arxiv.org/abs/1601.06759, sec. 3.4.

    With a cache, forward takes and returns one pixel or one row.
    """

    mask: Tensor | None

    def __init__(
        self,
        n_in: int,
        n_out: int,
        *,
        rows: Offsets = (0, 0),
        columns: Offsets = (0, 0),
        mask: Literal["A", "B"] | None = None,
        n_groups: int = 1,
        stride: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        if rows[0] > rows[1] or rows[1] > 0 or columns[0] > columns[1] or columns[0] > 0:
            raise ValueError(f"offsets must be ordered and must not begin after the pixel, got {rows=}, {columns=}")
        self.rows, self.columns, self.stride = rows, columns, stride
        kernel_size = (rows[1] - rows[0] + 1, columns[1] - columns[0] + 1)
        self.conv = nn.Conv2d(n_in, n_out, kernel_size, stride=stride, bias=bias)
        allowed = None if mask is None else _mask(n_in, n_out, rows, columns, mask, n_groups)
        needed = allowed is not None and not bool(allowed.all())
        self.register_buffer("mask", allowed if needed else None, persistent=False)

    def forward(self, x: Tensor, cache: PixelCache | None = None) -> Tensor:
        """(B, n_in, H, W) -> (B, n_out, H / stride, W / stride); a pixel or a row with a cache."""
        return self.convolve(self.window(x, cache), cache)

    def on_image(self, image: Tensor, cache: PixelCache | None = None, *, whole_row: bool = False) -> Tensor:
        """forward for the first layer, which with a cache still is given the whole image."""
        if cache is None:
            return self.forward(image)
        return self.convolve(cache.crop(image, self.rows, self.columns, whole_row=whole_row), cache)

    def window(self, x: Tensor, cache: PixelCache | None = None) -> Tensor:
        """All that `convolve` needs to see: x with its borders; with a cache, x is stored on the way."""
        (top, bottom), (left, right) = self.rows, self.columns
        if cache is None:
            return F.pad(x, (-left, right, -top, bottom))
        if self.rows == self.columns == (0, 0):
            return x
        buffer = cache.buffer(self, x.shape[1], above=-top, left=-left, right=max(right, 0))
        buffer.write(x)
        return buffer.read(self.rows, self.columns, whole_row=x.shape[3] == cache.width)

    def convolve(self, window: Tensor, cache: PixelCache | None = None) -> Tensor:
        """The sum of products over a window."""
        weight = self.masked_weight() if cache is None else cache.per_walk(self, self.masked_weight)
        if window.shape[2:] == weight.shape[2:]:  # one output pixel: a matrix product has the least overhead
            pixel = F.linear(window.flatten(1), weight.flatten(1), self.conv.bias)
            return pixel[:, :, None, None]  # (n, n_out) -> (n, n_out, 1, 1)
        return F.conv2d(window, weight, self.conv.bias, stride=self.stride)

    def masked_weight(self) -> Float[Tensor, "n_out n_in rows columns"]:
        """The kernel, zero where the mask is."""
        return self.conv.weight if self.mask is None else self.conv.weight * self.mask


def masked_conv(n_in: int, n_out: int, kernel_size: int, *, mask: Literal["A", "B"], n_groups: int = 1) -> OffsetConv2d:
    """The masked kernel_size x kernel_size convolution, without the rows that the mask would forbid altogether."""
    if kernel_size % 2 == 0:
        raise ValueError(f"a centred kernel has an odd size, got {kernel_size}")
    reach = kernel_size // 2
    return OffsetConv2d(n_in, n_out, rows=(-reach, 0), columns=(-reach, reach), mask=mask, n_groups=n_groups)


def _mask(n_in: int, n_out: int, rows: Offsets, columns: Offsets, mask: str, n_groups: int) -> Tensor:
    """(n_out, n_in, rows, columns): 1 where the offset, or at the pixel itself the group, comes earlier."""
    r = torch.arange(rows[0], rows[1] + 1).unsqueeze(1)
    c = torch.arange(columns[0], columns[1] + 1)
    group_in, group_out = torch.arange(n_in) % n_groups, torch.arange(n_out).unsqueeze(1) % n_groups
    itself = group_in <= group_out if mask == "B" else group_in < group_out  # (n_out, n_in)
    before, at = (r < 0) | ((r == 0) & (c < 0)), (r == 0) & (c == 0)  # (rows, columns)
    return (before | (at & itself[:, :, None, None])).float()
