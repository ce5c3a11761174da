"""Squares cut out of images around marked places, and put back."""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def peaks(maps: Float[Tensor, "B K H W"]) -> Int[Tensor, "B K 2"]:
    """Row and column of the greatest value of each map, the first where several are equal: (0, 0) of an empty map."""
    width = maps.shape[3]
    place = maps.flatten(2).argmax(2)
    return torch.stack([place // width, place % width], dim=2)


def crop(images: Float[Tensor, "B C H W"], centre: Int[Tensor, "B 2"], side: int) -> Float[Tensor, "B C side side"]:
    """A square of each image with its middle at (row, column), moved inside where it would reach over the border."""
    rows, columns = _corners(images, centre, side)
    batch = torch.arange(len(images), device=images.device)[:, None, None]
    return images[batch, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)  # (B, s, s, C) -> (B, C, s, s)


def paste(
    images: Float[Tensor, "B C H W"], patches: Float[Tensor, "B C side side"], centre: Int[Tensor, "B 2"]
) -> Float[Tensor, "B C H W"]:
    """The images with the patches in the place that `crop` cuts at `centre`; differentiable in both."""
    rows, columns = _corners(images, centre, patches.shape[2])
    batch = torch.arange(len(images), device=images.device)[:, None, None]
    places = (batch, rows[:, :, None], columns[:, None, :])
    channels_last = images.permute(0, 2, 3, 1)
    return channels_last.index_put(places, patches.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def _corners(images: Tensor, centre: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """The rows (B, side) and the columns (B, side) of the squares."""
    height, width = images.shape[2:]
    if side > min(height, width):
        raise ValueError(f"a square of side {side} does not fit into images of {height} x {width}")
    offset = torch.arange(side, device=images.device)
    first = [
        (centre[:, k] - side // 2).clamp(0, size - side)[:, None] + offset for k, size in enumerate((height, width))
    ]
    return first[0], first[1]
