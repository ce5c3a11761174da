"""One step of an ordinary differential equation dx/dt = velocity(x, t), t the same for the whole batch."""

from collections.abc import Callable
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

Velocity = Callable[[Tensor, Tensor], Tensor]
"""(x (B, *E), t ()) -> dx/dt (B, *E)."""

Solver = Callable[[Velocity, Tensor, Tensor, Tensor], Tensor]
"""(velocity, x, t, t_next) -> x at t_next."""


def euler_step(velocity: Velocity, x: Tensor, t: Tensor, t_next: Tensor) -> Tensor:
    """x + h v(x, t): error of the whole path proportional to h; one evaluation."""
    return x + (t_next - t) * velocity(x, t)


def midpoint_step(velocity: Velocity, x: Tensor, t: Tensor, t_next: Tensor) -> Tensor:
    """x + h v at the middle, which half an Euler step reaches: error h^2; two evaluations."""
    h = t_next - t
    return x + h * velocity(x + 0.5 * h * velocity(x, t), t + 0.5 * h)


def heun_step(velocity: Velocity, x: Tensor, t: Tensor, t_next: Tensor) -> Tensor:
    """x + h times the mean of v here and at the end of an Euler step: error h^2; two evaluations."""
    h = t_next - t
    here = velocity(x, t)
    return x + 0.5 * h * (here + velocity(x + h * here, t_next))


def solve(velocity: Velocity, x: Float[Tensor, "B *E"], times: Float[Tensor, "T"], step: Solver) -> Tensor:
    """x at times[-1], from x at times[0]."""
    for t, t_next in pairwise(times):
        x = step(velocity, x, t, t_next)
    return x


def noise_like(x: Tensor, generator: torch.Generator | None) -> Tensor:
    """N(0, I) of x's shape."""
    return torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)


def column(t: Float[Tensor, "B"], x: Tensor) -> Tensor:
    """t so that it broadcasts along the event."""
    return t.view(-1, *(1 for _ in x.shape[1:]))
