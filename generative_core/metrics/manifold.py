"""Whether samples lie where the data lie, and cover it: k-nearest-neighbour balls in place of the two supports."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from generative_core.metrics.distances import blocks, pair_of_rows, square_distances

ROUNDING = 1e-12
"""Share of the largest square norm within which two square distances count as equal."""


class PrecisionRecall(NamedTuple):
    """Both in [0, 1], higher is better."""

    precision: float
    """Share of the model's samples inside a ball around real ones."""
    recall: float
    """Share of the real events inside a ball around the model's samples."""


def precision_recall(real: Float[Tensor, "n *F"], model: Float[Tensor, "m *F"], *, k: int = 3) -> PrecisionRecall:
    """Improved precision and recall: a set's support is the union of balls that reach to the k-th nearest neighbour.

    Give features, not pixels, for images.  Raises ValueError where a side has not more than k rows.

    Paper: Kynkäänniemi et al. 2019, https://arxiv.org/abs/1904.06991, eq. 1-2.
    """
    real, model = pair_of_rows(real, model)
    tolerance = _tolerance(real, model)
    radius_real, radius_model = _square_radii(real, k), _square_radii(model, k)
    is_realistic = torch.zeros(len(model), dtype=torch.bool, device=model.device)
    n_recalled = 0
    for start, block in blocks(real):
        square = square_distances(block, model)  # (b, m)
        is_realistic |= (square <= radius_real[start : start + len(block), None] + tolerance).any(0)
        n_recalled += int((square <= radius_model + tolerance).any(1).sum())
    return PrecisionRecall(float(is_realistic.double().mean()), n_recalled / len(real))


class DensityCoverage(NamedTuple):
    """Higher is better."""

    density: float
    """Mean number of real balls that a sample is inside of, over k: about 1 for equal laws, and it may be above."""
    coverage: float
    """Share of the real events with a sample in their ball, in [0, 1]; about 1 - 2^-k for equal laws and sizes."""


def density_coverage(real: Float[Tensor, "n *F"], model: Float[Tensor, "m *F"], *, k: int = 5) -> DensityCoverage:
    """Density and coverage: balls around real events only, so that an outlier among the samples inflates nothing.

    "Inside" is strict for the density, so that a set against itself has density 1, and not strict for the coverage.
    Raises ValueError where the real side has not more than k rows.

    Paper: Naeem et al. 2020, https://arxiv.org/abs/2002.09797, eq. 3-4.
    """
    real, model = pair_of_rows(real, model)
    tolerance = _tolerance(real, model)
    radius = _square_radii(real, k)
    n_inside, n_covered = 0, 0
    for start, block in blocks(real):
        square = square_distances(block, model)  # (b, m)
        reach = radius[start : start + len(block), None]
        n_inside += int((square < reach - tolerance).sum())
        n_covered += int((square <= reach + tolerance).any(1).sum())
    return DensityCoverage(n_inside / (k * len(model)), n_covered / len(real))


def _square_radii(x: Float64[Tensor, "n D"], k: int) -> Float64[Tensor, "n"]:
    """Square distance of each row to its k-th nearest other row."""
    if not 0 < k < len(x):
        raise ValueError(f"k must be between 1 and the rows of a side less one, got {k} with {len(x)} rows")
    radii = [square_distances(block, x).topk(k + 1, largest=False).values[:, -1] for _, block in blocks(x)]
    return torch.cat(radii)


def _tolerance(x: Float64[Tensor, "n D"], y: Float64[Tensor, "m D"]) -> float:
    return ROUNDING * float(torch.maximum(x.square().sum(1).max(), y.square().sum(1).max()))
