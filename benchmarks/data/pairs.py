"""Pairs of images for translation, made of any images in [-1, 1]: what is lost on the way is known exactly."""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


class Damaged(NamedTuple):
    """Images with a part replaced."""

    images: Tensor
    """(n, C, H, W) in [-1, 1]."""
    mask: Tensor
    """(n, 1, H, W), share of a pixel that was replaced, in [0, 1]."""


def edges(images: Tensor, *, threshold: float = 0.4) -> Tensor:
    """(n, 1, H, W): 1 where the Sobel gradient of the mean channel exceeds `threshold`, grey values a pixel, else -1.

    An edge of height 1 between two flat sides has gradient 1/2 at the two pixels beside it.
    """
    kernel = images.new_tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]]) / 8
    grey = F.pad(images.mean(1, keepdim=True), (1, 1, 1, 1), "replicate")
    gradient = F.conv2d(grey, torch.stack([kernel, kernel.T])[:, None])  # (n, 2, H, W)
    return 2 * (gradient.square().sum(1, keepdim=True).sqrt() > threshold).to(images.dtype) - 1


def shrink(images: Tensor, *, factor: int = 4) -> Tensor:
    """(n, C, H / factor, W / factor): means over squares."""
    return F.avg_pool2d(images, factor)


def enlarge(images: Tensor, *, factor: int = 4, mode: str = "nearest") -> Tensor:
    """(n, C, factor H, factor W), by 'nearest', 'bilinear' or 'bicubic', clipped to [-1, 1]."""
    return F.interpolate(images, scale_factor=factor, mode=mode).clamp(-1, 1)


def cut_hole(images: Tensor, *, side: int = 12, generator: torch.Generator, fill: float = 0.0) -> Damaged:
    """A square of `side` pixels, wholly inside, at a place drawn for each image, filled with one value."""
    n, _, height, width = images.shape
    top = torch.randint(height - side + 1, (n, 1, 1, 1), generator=generator, device=generator.device)
    left = torch.randint(width - side + 1, (n, 1, 1, 1), generator=generator, device=generator.device)
    y = torch.arange(height, device=generator.device).view(1, 1, -1, 1)
    x = torch.arange(width, device=generator.device).view(1, 1, 1, -1)
    is_hole = (y >= top) & (y < top + side) & (x >= left) & (x < left + side)
    mask = is_hole.to(images.device, images.dtype)
    return Damaged(images * (1 - mask) + fill * mask, mask)


def watermark(images: Tensor, *, text: str = "COPY", opacity: float = 0.9, generator: torch.Generator) -> Damaged:
    """White text over each image, rolled to a place that is drawn."""
    n, _, height, width = images.shape
    stamp = torch.from_numpy(_stamp(text, height, width))
    down = torch.randint(height, (n,), generator=generator, device=generator.device).tolist()
    mask = torch.stack([stamp.roll(shift, dims=0) for shift in down])[:, None]
    mask = opacity * mask.to(images.device, images.dtype)
    return Damaged(images * (1 - mask) + mask, mask)


def colourise(images: Tensor, colour: Tensor) -> Tensor:
    """(n, 1, H, W) grey, colour (n, 3) in [0, 1] -> (n, 3, H, W): black stays black, white becomes the colour."""
    brightness = (images + 1) / 2
    return 2 * brightness * colour[:, :, None, None].to(images) - 1


def class_colours(labels: Tensor, *, n_classes: int = 10) -> Tensor:
    """(n, 3) in [0, 1]: hues at equal distances, one a class, each with one channel at 1."""
    hue = 2 * math.pi * labels[:, None].float() / n_classes
    offset = 2 * math.pi / 3 * torch.arange(3, device=labels.device)
    wave = 0.5 + 0.5 * (hue - offset).cos()  # (n, 3)
    return wave / wave.max(dim=1, keepdim=True).values


def rotate(images: Tensor, angle: Tensor, *, fill: float = -1.0) -> Tensor:
    """Each image turned counter-clockwise about its middle by its angle (n,), radians; bilinear, `fill` around it."""
    zero = torch.zeros_like(angle)
    rows = [torch.stack([angle.cos(), -angle.sin(), zero], 1), torch.stack([angle.sin(), angle.cos(), zero], 1)]
    theta = torch.stack(rows, dim=1).to(images)  # from the turned image to the upright one, y downwards
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    return F.grid_sample(images - fill, grid, align_corners=False) + fill


@lru_cache
def _stamp(text: str, height: int, width: int) -> np.ndarray:
    """(height, width) in [0, 1]: the text as wide as the image, in its middle."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=8)
    canvas = FigureCanvasAgg(figure)
    points = 72 * width / (0.72 * len(text))  # a capital is about 0.7 of the size wide
    figure.text(0.5, 0.5, text, family="DejaVu Sans", weight="bold", size=points, ha="center", va="center_baseline")
    canvas.draw()
    ink = 1 - np.asarray(canvas.buffer_rgba())[:, :, :3].astype(np.float32).mean(2) / 255
    return ink.reshape(height, 8, width, 8).mean((1, 3))
