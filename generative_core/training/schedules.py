"""Step sizes over a run: pure functions of the number of updates made, as factors of the first step size."""

import math
from collections.abc import Callable

Schedule = Callable[[int], float]
"""Number of updates made before this one -> factor of lr."""


def linear_decay(n_steps: int, *, warm_up: int = 0, final: float = 0.0) -> Schedule:
    """1 -> `final` in a straight line over `n_steps` updates, after a straight rise over the first `warm_up`."""
    return _decay(n_steps, warm_up, final, lambda done: 1 - done)


def cosine_decay(n_steps: int, *, warm_up: int = 0, final: float = 0.0) -> Schedule:
    """1 -> `final` along half a cosine over `n_steps` updates, after a straight rise over the first `warm_up`.

    Paper: Loshchilov & Hutter 2017, https://arxiv.org/abs/1608.03983, eq. 5 without restarts.
    """
    return _decay(n_steps, warm_up, final, lambda done: 0.5 * (1 + math.cos(math.pi * done)))


def _decay(n_steps: int, warm_up: int, final: float, shape: Callable[[float], float]) -> Schedule:
    if not 0 <= warm_up < n_steps:
        raise ValueError(f"warm_up must be at least 0 and less than n_steps, {n_steps}; got {warm_up}")

    def factor(n_updates: int) -> float:
        if n_updates < warm_up:
            return (n_updates + 1) / (warm_up + 1)  # the first update moves already
        done = min((n_updates - warm_up) / (n_steps - warm_up), 1.0)
        return final + (1 - final) * shape(done)

    return factor
