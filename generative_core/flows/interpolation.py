"""Paths between events through the noise of a flow."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from generative_core.flows.flow import AbstractFlow


def lerp(z0: Float[Tensor, "B D"], z1: Float[Tensor, "B D"], t: float) -> Float[Tensor, "B D"]:
    """(1 - t) z0 + t z1: the straight line, which for normal noise passes nearer to the mode than draws do."""
    return torch.lerp(z0, z1, t)


def slerp(z0: Float[Tensor, "B D"], z1: Float[Tensor, "B D"], t: float) -> Float[Tensor, "B D"]:
    """[sin((1 - t) a) z0 + sin(t a) z1] / sin a with a the angle between them: an arc that keeps to the norm of draws.

    Source of the idea: White 2016, https://arxiv.org/abs/1609.04468.  Where the two point the same way, or opposite
    ways, and no arc is given, it is `lerp`.
    """
    cosine = torch.nn.functional.cosine_similarity(z0, z1, dim=1).unsqueeze(1).clamp(-1, 1)
    has_arc = 1 - cosine.square() > 1e-6
    angle = torch.where(has_arc, cosine, 0).acos()  # without the ends of acos, where its slope is infinite
    arc = (((1 - t) * angle).sin() * z0 + (t * angle).sin() * z1) / angle.sin()
    return torch.where(has_arc, arc, lerp(z0, z1, t))


def interpolate(
    flow: AbstractFlow,
    x0: Float[Tensor, "B *E"],
    x1: Float[Tensor, "B *E"],
    n: int,
    context: Float[Tensor, "B K"] | None = None,
    *,
    path: Callable[[Tensor, Tensor, float], Tensor] = slerp,
) -> Float[Tensor, "n B *E"]:
    """n events from x0 to x1 at even steps along `path` between their codes; the ends are x0 and x1 as decoded.

    Raises ValueError where n is less than 2.
    """
    if n < 2:
        raise ValueError(f"a path has two ends, so n must be at least 2, got {n}")
    z0, z1 = flow.encode(x0, context), flow.encode(x1, context)
    return torch.stack([flow.decode(path(z0, z1, i / (n - 1)), context) for i in range(n)])
