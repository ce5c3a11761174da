"""From stored levels 0 .. L-1 to the events that models take: five treatments of pixels, and pooling.

Two of them draw anew at every call, which is why they take a generator.
"""

from typing import Literal, get_args

import torch
from torch import Tensor

Pixels = Literal["grey", "dequantised", "threshold", "fixed", "dynamic"]
"""Treatment of an image's levels, 0 .. L-1:

- grey: level k at 2 k / (L - 1) - 1, for models of L discrete levels and for judges
- dequantised: 2 (k + u) / L - 1 with u ~ U[0, 1) drawn for each batch: fills [-1, 1] evenly, a level is 2 / L wide
- threshold: 1 where k >= L / 2, rounded down, else 0 (k > 127 of 256, k > 7 of 17)
- fixed: 1 with probability k / (L - 1), drawn once from the seed that the data set names
- dynamic: the same, drawn for each batch

Likelihoods under fixed and dynamic binarisation are some two nats apart on MNIST and do not compare.
"""
TREATMENTS: tuple[Pixels, ...] = get_args(Pixels)
BINARY: frozenset[Pixels] = frozenset({"threshold", "fixed", "dynamic"})
DRAWN_EACH_BATCH: frozenset[Pixels] = frozenset({"dequantised", "dynamic"})


def grey(levels: Tensor, n_levels: int, *, dtype: torch.dtype = torch.float32) -> Tensor:
    """2 k / (L - 1) - 1, in [-1, 1]."""
    return levels.to(dtype) * (2 / (n_levels - 1)) - 1


def dequantise(
    levels: Tensor, n_levels: int, *, generator: torch.Generator, dtype: torch.dtype = torch.float32
) -> Tensor:
    """2 (k + u) / L - 1 with u ~ U[0, 1), in [-1, 1]."""
    noise = torch.rand(levels.shape, generator=generator, device=levels.device, dtype=dtype)
    return (levels.to(dtype) + noise) * (2 / n_levels) - 1


def binarise(
    levels: Tensor, n_levels: int, *, generator: torch.Generator, dtype: torch.dtype = torch.float32
) -> Tensor:
    """1 with probability k / (L - 1), else 0."""
    uniform = torch.rand(levels.shape, generator=generator, device=levels.device)
    return (uniform * (n_levels - 1) < levels).to(dtype)


def threshold(levels: Tensor, n_levels: int, *, dtype: torch.dtype = torch.float32) -> Tensor:
    """1 where k >= L / 2 (rounded down), else 0."""
    return (levels >= n_levels // 2).to(dtype)


def mean_pool(levels: Tensor) -> Tensor:
    """(N, C, H, W) levels -> (N, C, H/2, W/2): the mean of each 2x2 block, rounded half up to a level again."""
    blocks = levels.unflatten(3, (-1, 2)).unflatten(2, (-1, 2))  # (N, C, H, W) -> (N, C, H/2, 2, W/2, 2)
    return ((blocks.sum(dim=(3, 5), dtype=torch.int32) + 2) // 4).to(levels.dtype)
