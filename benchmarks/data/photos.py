"""Crops of the two photographs that come with scikit-learn, from regions that training and test do not share."""

from functools import lru_cache
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class Region(NamedTuple):
    """A rectangle of a photograph, in its own pixels; bottom and right are the first that no longer belong."""

    photo: Literal["china.jpg", "flower.jpg"]
    top: int
    left: int
    bottom: int
    right: int


REGIONS: dict[str, dict[Literal["train", "test"], Region]] = {
    "petals": {
        "train": Region("flower.jpg", 112, 192, 336, 304),
        "test": Region("flower.jpg", 112, 304, 336, 416),
    },
    "leaves": {
        "train": Region("china.jpg", 320, 336, 424, 456),
        "test": Region("china.jpg", 320, 456, 424, 576),
    },
    "tower": {
        "train": Region("china.jpg", 60, 80, 340, 200),
        "test": Region("china.jpg", 60, 200, 340, 320),
    },
}
"""Textures (the dahlia's petals, the crowns of the trees) and contents (the pagoda): the left half and the right."""


@lru_cache
def photo(name: str) -> Tensor:
    """(3, 427, 640) in [-1, 1]."""
    from sklearn.datasets import load_sample_image

    levels = torch.from_numpy(load_sample_image(name).copy())  # (H, W, 3) uint8
    return levels.permute(2, 0, 1).float() / 127.5 - 1


def crops(
    name: str,
    split: Literal["train", "test"],
    n: int,
    *,
    generator: torch.Generator,
    side: int = 32,
    shrink: int = 2,
) -> Tensor:
    """(n, 3, side, side) in [-1, 1] at random places of a region whose sides were made `shrink` times shorter.

    Raises ValueError where the region is smaller than a crop.
    """
    region = REGIONS[name][split]
    image = photo(region.photo)[None, :, region.top : region.bottom, region.left : region.right]
    image = F.avg_pool2d(image, shrink)[0]
    height, width = image.shape[1:]
    if min(height, width) < side:
        raise ValueError(f"{name} has {height} x {width} pixels, too few for crops of side {side}: make it shorter")
    tops = torch.randint(height - side + 1, (n,), generator=generator).tolist()
    lefts = torch.randint(width - side + 1, (n,), generator=generator).tolist()
    return torch.stack([image[:, i : i + side, j : j + side] for i, j in zip(tops, lefts, strict=True)])
