"""Images with holes in them, images with text over them, and the ways to fill a hole that know no other images."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


class Damaged(NamedTuple):
    """n images and what was done to them."""

    images: Tensor
    """(n, C, H, W) in [-1, 1]."""
    mask: Tensor
    """(n, 1, H, W): 1 where the image was changed, else 0."""


def square_holes(n: int, *, generator: torch.Generator, side: int = 28, hole: int = 12, margin: int = 2) -> Tensor:
    """Masks (n, 1, side, side) of a square of `hole` pixels each, at any place `margin` pixels inside the border."""
    last = side - margin - hole
    if last < margin:
        raise ValueError(f"a hole of {hole} pixels does not fit {margin} pixels inside an image of {side}")
    corner = torch.randint(margin, last + 1, (n, 2), generator=generator, device=generator.device)
    place = torch.arange(side, device=generator.device)
    inside = (place >= corner[..., None]) & (place < corner[..., None] + hole)  # (n, 2, side): rows, columns
    return (inside[:, 0, :, None] & inside[:, 1, None, :]).float().unsqueeze(1)


def punch(x: Tensor, mask: Tensor, *, fill: float = 0.0) -> Damaged:
    """x with `fill` where the mask is 1."""
    return Damaged(torch.where(mask > 0, x.new_full((), fill), x), mask)


def watermark(
    x: Tensor, *, generator: torch.Generator, text: str = "COPY", opacity: float = 0.6, max_angle: float = 0.6
) -> Damaged:
    """x under rows of white text of this opacity, turned by up to `max_angle` radians and shifted at random.

        images = (1 - a) x + a,   a = opacity times the coverage of the pixel by a letter

    The mask is 1 where a > 0.02.
    """
    n, _, height, width = x.shape
    angle = max_angle * (2 * torch.rand(n, generator=generator, device=x.device) - 1)
    shift = torch.rand(n, 2, generator=generator, device=x.device) - 0.5
    turn = torch.stack([angle.cos(), -angle.sin(), shift[:, 0], angle.sin(), angle.cos(), shift[:, 1]], dim=1)
    # the sheet of text is twice as wide as what is seen of it, so that it covers the image at every angle and shift
    theta = 0.5 * turn.view(n, 2, 3)
    grid = F.affine_grid(theta, [n, 1, height, width], align_corners=False)
    sheet = _sheet(text).to(x).expand(n, 1, -1, -1)
    cover = opacity * F.grid_sample(sheet, grid, align_corners=False, mode="bilinear")
    cover = torch.where(cover > 0.02, cover, 0.0)
    return Damaged((1 - cover) * x + cover, (cover > 0).to(x.dtype))


@lru_cache
def _sheet(text: str, side: int = 112) -> Tensor:
    """(1, 1, side, side) in [0, 1]: rows of the text, staggered."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1, 1), dpi=2 * side)
    canvas = FigureCanvasAgg(figure)
    for row in range(5):
        words = " ".join([text] * 6)
        figure.text(
            -0.3 * (row % 2), 0.1 + 0.2 * row, words, family="DejaVu Sans", weight="bold", size=8, va="center_baseline"
        )
    canvas.draw()
    ink = 1 - np.asarray(canvas.buffer_rgba())[:, :, :3].mean(2) / 255
    return F.avg_pool2d(torch.from_numpy(ink).float()[None, None], 2)


def fill_nearest(damaged: Damaged) -> Tensor:
    """Each changed pixel takes the value of the nearest unchanged one."""
    from scipy.ndimage import distance_transform_edt

    images, masks = damaged.images.cpu().numpy(), damaged.mask.cpu().numpy()[:, 0]
    filled = np.empty_like(images)
    for i, mask in enumerate(masks):
        row, column = distance_transform_edt(mask, return_distances=False, return_indices=True)
        filled[i] = images[i][:, row, column]
    return torch.from_numpy(filled).to(damaged.images)


def fill_biharmonic(damaged: Damaged) -> Tensor:
    """The smoothest filling: the changed pixels u that minimise |L u|^2, L the Laplacian, the others given.

    At the border of the image L has only the neighbours that there are.
    """
    n, _, height, width = damaged.images.shape
    laplacian = _laplacian(height, width)
    curvature = laplacian.T @ laplacian
    images = damaged.images.cpu().double().flatten(2)  # (n, C, H W)
    masks = damaged.mask.cpu().flatten(1) > 0
    filled = images.clone()
    for i in range(n):
        hole, known = masks[i].nonzero()[:, 0], (~masks[i]).nonzero()[:, 0]
        if len(hole) == 0:
            continue
        right = -curvature[hole][:, known] @ images[i][:, known].T
        filled[i][:, hole] = torch.linalg.solve(curvature[hole][:, hole], right).T
    return filled.view(damaged.images.shape).to(damaged.images)


@lru_cache
def _laplacian(height: int, width: int) -> Tensor:
    """(H W, H W): the sum over a pixel's neighbours of their difference from it."""
    index = torch.arange(height * width).view(height, width)
    matrix = torch.zeros(height * width, height * width, dtype=torch.float64)
    for a, b in ((index[1:], index[:-1]), (index[:, 1:], index[:, :-1])):
        for here, there in ((a.flatten(), b.flatten()), (b.flatten(), a.flatten())):
            matrix[here, there] += 1
            matrix[here, here] -= 1
    return matrix
