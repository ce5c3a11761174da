"""What a causal network remembers while an image is visited pixel by pixel.

Called with a cache, a network sees the pixel that is being visited instead of the whole image: its maps are
(n, F, 1, 1), or (n, F, 1, W) in the parts that work on a row at once.  Layers without spatial extent do not notice;
each layer that looks around keeps the last few rows of its input here.  So a pixel costs the same in any image.
"""

from collections.abc import Callable, Hashable
from typing import TypeVar

import torch.nn.functional as F
from torch import Tensor

T = TypeVar("T")

Offsets = tuple[int, int]
"""First and last row (or column) of a window, relative to the pixel and inclusive: (-1, 0) is the last and its own."""


class PixelCache:
    """Row buffers and remembered values of every layer, at the pixel (row, column) of an image of height x width.

    `like` (n, ...) gives the number of images, the device and the dtype.  Keys are the layers themselves.
    """

    def __init__(self, like: Tensor, height: int, width: int) -> None:
        self.like, self.height, self.width = like, height, width
        self.row = self.column = 0
        self._buffers: dict[Hashable, RowBuffer] = {}
        self._of_walk: dict[Hashable, object] = {}
        self._of_row: dict[Hashable, object] = {}
        self._of_pixel: dict[Hashable, object] = {}
        self._half: PixelCache | None = None

    def move_to(self, row: int, column: int) -> None:
        """Go on to the next pixel; a new row scrolls the buffers."""
        if (row, column) == (self.row, self.column):
            return
        self._of_pixel.clear()
        if row != self.row:
            self._of_row.clear()
            for buffer in self._buffers.values():
                buffer.scroll()
        self.row, self.column = row, column
        if self._half is not None:
            self._half.move_to(row // 2, column // 2)

    @property
    def half(self) -> "PixelCache":
        """The cache of the image at half the resolution, which moves on at every other pixel and row."""
        if self._half is None:
            self._half = PixelCache(self.like, (self.height + 1) // 2, (self.width + 1) // 2)
            self._half.move_to(self.row // 2, self.column // 2)
        return self._half

    def buffer(self, key: Hashable, n_features: int, *, above: int = 0, left: int = 0, right: int = 0) -> "RowBuffer":
        """The rows of `key`: the present one and `above` before it, with zeros beside and above the image."""
        if key not in self._buffers:
            self._buffers[key] = RowBuffer(self, n_features, above, left, right)
        return self._buffers[key]

    def per_walk(self, key: Hashable, compute: Callable[[], T]) -> T:
        """compute(), once an image."""
        return _remember(self._of_walk, key, compute)

    def per_row(self, key: Hashable, compute: Callable[[], T]) -> T:
        """compute(), once a row."""
        return _remember(self._of_row, key, compute)

    def per_pixel(self, key: Hashable, compute: Callable[[], T]) -> T:
        """compute(), once a pixel."""
        return _remember(self._of_pixel, key, compute)

    def crop(self, image: Tensor, rows: Offsets, columns: Offsets, *, whole_row: bool = False) -> Tensor:
        """The window of an image (n, F, height, width) around the pixel, or around all of its row; zeros outside."""
        first, last = (0, self.width - 1) if whole_row else (self.column, self.column)
        left, right = -first - columns[0], last + columns[1] + 1 - self.width
        top, bottom = -self.row - rows[0], self.row + rows[1] + 1 - self.height
        return F.pad(image, (left, right, top, bottom))  # negative sides crop

    def at_pixel(self, x: Tensor) -> Tensor:
        """(n, F, 1, 1) of an image or a row; what has no extent stays as it is."""
        row = x if x.shape[2] == 1 else x[:, :, self.row : self.row + 1]
        return row if row.shape[3] == 1 else row[:, :, :, self.column : self.column + 1]

    def at_row(self, x: Tensor) -> Tensor:
        """(n, F, 1, W) of an image; what has no extent stays as it is."""
        return x if x.shape[2] == 1 else x[:, :, self.row : self.row + 1]


class RowBuffer:
    """The last rows of one map: (n, F, above + 1, left + W + right), the present row last."""

    def __init__(self, cache: PixelCache, n_features: int, above: int, left: int, right: int) -> None:
        self._cache, self._left = cache, left
        like = cache.like
        self._rows = like.new_zeros(len(like), n_features, above + 1, left + cache.width + right)

    def scroll(self) -> None:
        """A new row begins: the oldest is forgotten."""
        self._rows = F.pad(self._rows[:, :, 1:], (0, 0, 0, 1))

    def write(self, x: Tensor) -> None:
        """Store the map at the pixel, (n, F, 1, 1), or at the whole row, (n, F, 1, W)."""
        start = self._start(x.shape[3] == self._cache.width)
        self._rows[:, :, -1:, self._left + start : self._left + start + x.shape[3]] = x

    def read(self, rows: Offsets, columns: Offsets, *, whole_row: bool = False) -> Tensor:
        """The window around the pixel, or around the whole row."""
        start = self._left + self._start(whole_row)
        n_columns = self._cache.width if whole_row else 1
        n_rows = self._rows.shape[2]
        top, bottom = n_rows - 1 + rows[0], n_rows + rows[1]
        return self._rows[:, :, top:bottom, start + columns[0] : start + columns[1] + n_columns]

    def _start(self, whole_row: bool) -> int:
        return 0 if whole_row else self._cache.column


def _remember(memory: dict[Hashable, object], key: Hashable, compute: Callable[[], T]) -> T:
    if key not in memory:
        memory[key] = compute()
    return memory[key]  # type: ignore[return-value]  # one key, one type
