"""Letters drawn from the font that comes with matplotlib: every attribute of an image is known."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

LETTERS = "ABCDEFGHKR"
COLOURS = torch.tensor([[1.0, 0.25, 0.2], [0.2, 0.85, 0.3], [0.25, 0.45, 1.0], [0.95, 0.85, 0.2]])
"""Red, green, blue and yellow, in [0, 1]."""
_MASK_SIDE = 64


class Glyphs(NamedTuple):
    """n letters and what they are."""

    images: Tensor
    """(n, 3, side, side) in [-1, 1], the letter in its colour on black."""
    letter: Tensor
    """(n,) index into the letters that were asked for."""
    is_bold: Tensor
    """(n,) 0 or 1."""
    colour: Tensor
    """(n,) index into `COLOURS`."""
    slant: Tensor
    """(n,) shear of the upright strokes, in [-1, 1] times the greatest one."""
    angle: Tensor
    """(n,) rotation, radians, counter-clockwise."""
    scale: Tensor
    """(n,) size, 1 fills the image."""


def draw_glyphs(
    letter: Tensor,
    *,
    generator: torch.Generator,
    letters: str = LETTERS,
    is_bold: Tensor | None = None,
    colour: Tensor | None = None,
    slant: Tensor | None = None,
    angle: Tensor | None = None,
    scale: Tensor | None = None,
    serif: bool = False,
    max_slant: float = 0.35,
    side: int = 28,
) -> Glyphs:
    """Images of these letters (n,); attributes that are not given are drawn: the angle is 0 and the scale 0.75 to 0.95.

    `serif` takes the font's serif face.
    """
    n = len(letter)

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(n, generator=generator)

    is_bold = torch.randint(2, (n,), generator=generator) if is_bold is None else is_bold
    colour = torch.randint(len(COLOURS), (n,), generator=generator) if colour is None else colour
    slant = uniform(-1, 1) if slant is None else slant
    angle = torch.zeros(n) if angle is None else angle
    scale = uniform(0.75, 0.95) if scale is None else scale
    masks = _masks(letters, serif)[letter, is_bold]  # (n, M, M)
    # affine_grid wants the way from the image back to the mask, with y downwards: turn, shear and shrink undone
    one, zero = torch.ones(n), torch.zeros(n)
    turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], dim=1).view(n, 2, 2)
    shear = torch.stack([one, max_slant * slant, zero, one], dim=1).view(n, 2, 2)
    matrix = shear @ turn / scale[:, None, None]
    theta = torch.cat([matrix, torch.zeros(n, 2, 1)], dim=2)
    grid = F.affine_grid(theta, [n, 1, side, side], align_corners=False)
    shape = F.grid_sample(masks[:, None], grid, align_corners=False)  # (n, 1, side, side), 0 to 1
    images = 2 * shape * COLOURS[colour][:, :, None, None] - 1
    return Glyphs(images, letter, is_bold, colour, slant, angle, scale)


@lru_cache
def _masks(letters: str, serif: bool) -> Tensor:
    """(letters, 2, M, M) in [0, 1]: plain and bold, each letter in the middle."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    masks = np.zeros((len(letters), 2, _MASK_SIDE, _MASK_SIDE), dtype=np.float32)
    family = "DejaVu Serif" if serif else "DejaVu Sans"
    for i, letter in enumerate(letters):
        for bold in range(2):
            figure = Figure(figsize=(1, 1), dpi=_MASK_SIDE)
            canvas = FigureCanvasAgg(figure)
            weight = "bold" if bold else "normal"
            figure.text(0.5, 0.5, letter, family=family, weight=weight, size=76, ha="center", va="center_baseline")
            canvas.draw()
            masks[i, bold] = 1 - np.asarray(canvas.buffer_rgba())[:, :, :3].mean(2) / 255
    return torch.from_numpy(masks)
