"""A domain beside grey images with a known map between the two: inverted, and coloured by what is shown."""

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.data.glyphs import COLOURS

KINDS = torch.tensor([2, 1, 2, 1, 2, 0, 2, 0, 3, 0])
"""Class of Fashion-MNIST -> index into `COLOURS`: footwear red, trousers and dresses green, tops blue, bags yellow."""


def recolour(x: Tensor, labels: Tensor) -> Tensor:
    """Grey (n, 1, H, W) in [-1, 1], bright on black -> (n, 3, H, W): as much ink of the kind's colour on white paper.

    y = 1 - ink (1 - colour) in [0, 1], with ink = (x + 1) / 2.
    """
    ink = (x + 1) / 2
    colour = COLOURS.to(x.device)[KINDS.to(x.device)[labels]][:, :, None, None]
    return 2 * (1 - ink * (1 - colour)) - 1


def read_kind(y: Tensor) -> Tensor:
    """(n, 3, H, W) on white paper -> (n,) the index of the colour whose direction the sum of the ink is nearest to."""
    ink = (1 - y).flatten(2).sum(2)  # (n, 3), twice ink (1 - colour) summed over the pixels
    directions = 1 - COLOURS.to(y.device)
    ink, directions = (part / part.norm(dim=1, keepdim=True).clamp_min(1e-6) for part in (ink, directions))
    return (ink @ directions.T).argmax(1)


def on_clutter(x: Tensor, *, generator: torch.Generator) -> Tensor:
    """Grey (n, 1, H, W) in [-1, 1], bright on black -> (n, 3, H, W): in a bright colour on dim, coloured clouds."""
    n, _, height, width = x.shape
    ink = (x + 1) / 2
    colour = 0.5 + 0.5 * torch.rand(n, 3, 1, 1, generator=generator)
    clouds = draw_clouds(n, (3, height, width), brightness=0.5, generator=generator)
    return 2 * (ink * colour + (1 - ink) * clouds) - 1


def draw_clouds(
    n: int, shape: tuple[int, int, int], *, brightness: float, generator: torch.Generator, cells: int = 4
) -> torch.Tensor:
    """(n, C, H, W) in [0, `brightness`]: even noise of `cells` x `cells`, with all between interpolated."""
    channels, height, width = shape
    coarse = brightness * torch.rand(n, channels, cells, cells, generator=generator)
    return F.interpolate(coarse, size=(height, width), mode="bilinear")
