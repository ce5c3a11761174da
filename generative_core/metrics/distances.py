"""Distances between all pairs of two sets of rows, in float64 and in blocks, for the metrics beside this file."""

from collections.abc import Iterator

import torch
from jaxtyping import Float, Float64
from torch import Tensor

BLOCK = 1024
"""Rows at a time: with 50 000 rows on the other side a block takes 400 MB."""


def as_rows(x: Float[Tensor, "n *E"]) -> Float64[Tensor, "n D"]:
    """Each event as one row, in float64.  Raises ValueError where a value is not finite."""
    rows = x.detach().flatten(1).double()
    if not rows.isfinite().all():
        raise ValueError("the metrics need finite values, and these hold nan or inf; look at what made them")
    return rows


def pair_of_rows(
    x: Float[Tensor, "n *E"], y: Float[Tensor, "m *E2"]
) -> tuple[Float64[Tensor, "n D"], Float64[Tensor, "m D"]]:
    """Both as rows, moved by one shift that puts their common mean at zero, where distances round least.

    Raises ValueError where the two are of different events.
    """
    if x.shape[1:] != y.shape[1:]:
        raise ValueError(f"the two sides are of different events: {tuple(x.shape[1:])} and {tuple(y.shape[1:])}")
    rows_x, rows_y = as_rows(x), as_rows(y)
    centre = torch.cat([rows_x, rows_y]).mean(0)
    return rows_x - centre, rows_y - centre


def blocks(x: Float64[Tensor, "n D"]) -> Iterator[tuple[int, Float64[Tensor, "b D"]]]:
    """(index of its first row, block of rows)."""
    for start in range(0, len(x), BLOCK):
        yield start, x[start : start + BLOCK]


def square_distances(x: Float64[Tensor, "n D"], y: Float64[Tensor, "m D"]) -> Float64[Tensor, "n m"]:
    """||x_i - y_j||^2 by ||x||^2 + ||y||^2 - 2 x.y, right to about 1e-15 of the largest ||x||^2."""
    norms = x.square().sum(1)[:, None] + y.square().sum(1)
    return norms.addmm_(x, y.T, alpha=-2).clamp_(min=0)
