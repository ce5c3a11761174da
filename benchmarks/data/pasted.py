"""Things in scenes: an image recoloured and pasted small on clutter, for models that find it and clean it."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class Pasted(NamedTuple):
    """n scenes and what is in them."""

    images: Tensor
    """(n, 3, H, W) in [-1, 1]."""
    mask: Tensor
    """(n, 1, H, W) in [0, 1]: how much of the pixel is the item's."""
    colour: Tensor
    """(n, 3) in [0, 1], what white in the item becomes."""
    centre: Tensor
    """(n, 2) x and y of the item's middle, in [-1, 1] from left and top."""
    scale: Tensor
    """(n,) side of the item over that of the scene."""


def paste_on_clutter(items: Tensor, *, scale: tuple[float, float] = (0.6, 0.75), generator: torch.Generator) -> Pasted:
    """Scenes of grey items (n, 1, H, W) that are bright on black: wholly inside, at places and sizes that are drawn.

    What is darker than a tenth of the grey scale is transparent.
    """
    n, _, height, width = items.shape
    shrunk = scale[0] + (scale[1] - scale[0]) * torch.rand(n, generator=generator)
    centre = (1 - shrunk)[:, None] * (2 * torch.rand(n, 2, generator=generator) - 1)
    colour = 0.4 + 0.6 * torch.rand(n, 3, generator=generator)
    # from the scene to the item: the offset of the middle undone, then the shrinking
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0] = theta[:, 1, 1] = 1 / shrunk
    theta[:, :, 2] = -centre / shrunk[:, None]
    brightness = ((items + 1) / 2).cpu()
    layers = torch.cat([brightness, (brightness > 0.1).to(brightness.dtype)], dim=1)  # (n, 2, H, W)
    grid = F.affine_grid(theta, [n, 2, height, width], align_corners=False)
    small, mask = F.grid_sample(layers, grid, align_corners=False).split(1, dim=1)
    item = 2 * small * colour[:, :, None, None] - 1
    images = mask * item + (1 - mask) * clutter(n, (height, width), generator=generator)
    return Pasted(images.to(items), mask.to(items), colour, centre, shrunk)


def clutter(n: int, sides: tuple[int, int], *, n_boxes: int = 6, generator: torch.Generator) -> Tensor:
    """(n, 3, H, W) in [-1, 0.2]: boxes of any colour over each other, on one colour."""

    def colours() -> Tensor:
        return 1.2 * torch.rand(n, 3, 1, 1, generator=generator) - 1

    y, x = (torch.linspace(0, 1, side) for side in sides)
    images = colours().expand(n, 3, *sides)
    for _ in range(n_boxes):
        low = torch.rand(n, 2, 1, generator=generator) - 0.2
        high = low + 0.15 + 0.45 * torch.rand(n, 2, 1, generator=generator)
        in_rows = (y >= low[:, 0]) & (y <= high[:, 0])  # (n, H)
        in_columns = (x >= low[:, 1]) & (x <= high[:, 1])  # (n, W)
        is_box = (in_rows[:, :, None] & in_columns[:, None, :])[:, None]
        images = torch.where(is_box, colours(), images)
    return images
