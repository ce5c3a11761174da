"""Distances by kernels: the maximum mean discrepancy, and KID."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from generative_core.metrics.distances import as_rows, blocks, pair_of_rows, square_distances

Kernel = Callable[[Tensor, Tensor], Tensor]
"""(n, D), (m, D) -> (n, m)."""


def mmd_squared(
    x: Float[Tensor, "n *E"], y: Float[Tensor, "m *E"], *, bandwidth: float | Sequence[float] | None = None
) -> float:
    """Unbiased estimate of MMD^2 with k(a, b) = exp(-||a - b||^2 / (2 h^2)): 0 on average for equal laws, may be < 0.

        mean_{i != j} k(x_i, x_j) + mean_{i != j} k(y_i, y_j) - 2 mean_{i, j} k(x_i, y_j)

    Several bandwidths h make the mean of their kernels.  Without one it is `median_bandwidth`, chosen by the data: then
    values compare only between sets of one width.  Raises ValueError where a side has fewer than two rows.

    Paper: Gretton et al. 2012, https://jmlr.org/papers/v13/gretton12a.html, eq. 3.
    """
    x, y = pair_of_rows(x, y)
    if bandwidth is None:
        bandwidth = median_bandwidth(x, y)
    widths = (bandwidth,) if isinstance(bandwidth, float | int) else tuple(bandwidth)
    if not widths or min(widths) <= 0:
        raise ValueError(f"bandwidth must be positive, got {bandwidth}; where all rows are equal, state one")

    def kernel(a: Tensor, b: Tensor) -> Tensor:
        square = square_distances(a, b)
        return torch.stack([(square / (-2 * width**2)).exp() for width in widths]).mean(0)

    return _unbiased(x, y, kernel)


def median_bandwidth(x: Float[Tensor, "n *E"], y: Float[Tensor, "m *E"], *, max_rows: int = 2000) -> float:
    """The median distance between two rows of the pooled sets, of which at most `max_rows` in even steps are used.

    The usual heuristic: Gretton et al. 2012, sec. 8.
    """
    pooled = torch.cat(pair_of_rows(x, y))
    pooled = pooled[:: -(-len(pooled) // max_rows)]
    upper = torch.ones(len(pooled), len(pooled), dtype=torch.bool, device=pooled.device).triu(1)
    return float(square_distances(pooled, pooled)[upper].median().sqrt())


class KernelDistance(NamedTuple):
    """Mean over the subsets, and the standard deviation of one subset."""

    mean: float
    std: float


def kernel_distance(
    features_a: Float[Tensor, "n *F"],
    features_b: Float[Tensor, "m *F"],
    *,
    subset_size: int = 1000,
    n_subsets: int = 100,
    generator: torch.Generator | None = None,
) -> KernelDistance:
    """Unbiased MMD^2 with k(a, b) = (a.b / F + 1)^3 on random subsets: KID with features of Inception.

    Unlike the Frechet distance it does not fall as the sets grow.  `generator` is on the CPU.  Raises ValueError where
    a side is smaller than a subset.

    Paper: Binkowski et al. 2018, https://arxiv.org/abs/1801.01401, sec. 4.
    """
    a, b = as_rows(features_a), as_rows(features_b)
    if not 2 <= subset_size <= min(len(a), len(b)):
        raise ValueError(
            f"subset_size must be between 2 and the smaller side's rows, got {subset_size} with {len(a)} and {len(b)}"
        )

    def subset(rows: Tensor) -> Tensor:
        chosen = torch.randperm(len(rows), generator=generator)[:subset_size]
        return rows[chosen.to(rows.device)]

    values = torch.tensor([_unbiased(subset(a), subset(b), _cubic) for _ in range(n_subsets)], dtype=torch.float64)
    return KernelDistance(float(values.mean()), float(values.std(correction=0)))


def _cubic(a: Tensor, b: Tensor) -> Tensor:
    return (a @ b.T / a.shape[1] + 1) ** 3


def _unbiased(x: Float64[Tensor, "n D"], y: Float64[Tensor, "m D"], kernel: Kernel) -> float:
    n, m = len(x), len(y)
    if min(n, m) < 2:
        raise ValueError(f"each side needs two rows or more, got {n} and {m}")
    within_x = sum(_off_diagonal_sum(kernel(block, x), start) for start, block in blocks(x))
    within_y = sum(_off_diagonal_sum(kernel(block, y), start) for start, block in blocks(y))
    between = sum(float(kernel(block, y).sum()) for _, block in blocks(x))
    return within_x / (n * (n - 1)) + within_y / (m * (m - 1)) - 2 * between / (n * m)


def _off_diagonal_sum(block: Float64[Tensor, "b n"], start: int) -> float:
    """Of rows start, start + 1, ... of a square matrix."""
    return float(block.sum() - block.diagonal(start).sum())
