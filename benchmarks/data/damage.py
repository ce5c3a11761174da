"""Damage done to images of which all is known: wear in levels, and scratches."""

import torch
from torch import Tensor

WEAR_LEVELS = 6
FADE = 0.16  # of the brightness, a level
MOTH_HOLES = 1  # of 2 x 2 pixels, a level


def wear(images: Tensor, level: Tensor, *, generator: torch.Generator) -> Tensor:
    """Images (n, C, H, W) in [-1, 1] as worn as `level` (n,) of 0 .. 5 says; level 0 is as new.

    A level takes 16 per cent of the brightness above black and puts one more hole of 2 x 2 black pixels anywhere.
    """
    n, _, height, width = images.shape
    kept = (1 - FADE * level).view(-1, 1, 1, 1)
    worn = (images + 1) * kept - 1
    most = MOTH_HOLES * (WEAR_LEVELS - 1)
    tops = torch.randint(height - 1, (n, most), generator=generator)
    lefts = torch.randint(width - 1, (n, most), generator=generator)
    is_there = torch.arange(most) < MOTH_HOLES * level[:, None]
    row, hole = is_there.nonzero(as_tuple=True)
    for down in (0, 1):
        for right in (0, 1):
            worn[row, :, tops[row, hole] + down, lefts[row, hole] + right] = -1
    return worn


def scratch(images: Tensor, *, generator: torch.Generator, thickness: float = 1.0) -> tuple[Tensor, Tensor]:
    """(images with one straight scratch each, where it is (n, 1, H, W) bool).

    A scratch crosses the middle half of the image at any angle, two thirds of a side long.  It is white where the image
    is dark on the whole of the line, and black where it is bright, so that it is seen.
    """
    n, _, height, width = images.shape
    centre = torch.tensor([height, width]) * (0.25 + 0.5 * torch.rand(n, 2, generator=generator))
    angle = torch.pi * torch.rand(n, generator=generator)
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    dy, dx = y - centre[:, 0, None, None], x - centre[:, 1, None, None]  # (n, H, W)
    sin, cos = angle.sin()[:, None, None], angle.cos()[:, None, None]
    along, across = dx * cos + dy * sin, dy * cos - dx * sin
    mask = ((along.abs() <= min(height, width) / 3) & (across.abs() <= thickness))[:, None]
    brightness = (images * mask).sum((1, 2, 3)) / (mask.sum((1, 2, 3)) * images.shape[1]).clamp_min(1)
    colour = torch.where(brightness > 0, -1.0, 1.0).view(-1, 1, 1, 1)
    return torch.where(mask, colour, images), mask
