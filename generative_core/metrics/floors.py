"""What a metric says of the data against itself: no model can be asked for less."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

TwoSetMetric = Callable[[Tensor, Tensor], float]
"""(real (n, *E), model (n, *E)) -> a number."""


class Floor(NamedTuple):
    """Mean over the repeats and the standard deviation of one."""

    mean: float
    std: float


def real_vs_real(
    metric: TwoSetMetric,
    x: Float[Tensor, "N *E"],
    *,
    n: int,
    n_repeats: int = 5,
    generator: torch.Generator | None = None,
) -> Floor:
    """`metric` between two disjoint random sets of n real events, drawn anew each time.

    Take the n that the model is measured with: most of these metrics depend on it.  `generator` is on the CPU.  Raises
    ValueError where there are not 2 n events, or for fewer than two repeats.
    """
    if n_repeats < 2:
        raise ValueError(f"a standard deviation needs two repeats or more, got n_repeats={n_repeats}")
    if not 0 < 2 * n <= len(x):
        raise ValueError(f"two disjoint sets of {n} events need {2 * n}, there are {len(x)}; take a smaller n")
    values = []
    for _ in range(n_repeats):
        rows = torch.randperm(len(x), generator=generator)[: 2 * n].to(x.device)
        values.append(metric(x[rows[:n]], x[rows[n:]]))
    of_repeats = torch.tensor(values, dtype=torch.float64)
    return Floor(float(of_repeats.mean()), float(of_repeats.std()))
