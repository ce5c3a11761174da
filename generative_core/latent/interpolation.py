"""Paths between latents, and between events through their codes."""

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from generative_core.families import AbstractVariational

Path = Callable[[Tensor, Tensor, float], Tensor]
"""(z0 (B, D), z1 (B, D), t in [0, 1]) -> (B, D); z0 at t = 0 and z1 at t = 1."""


@runtime_checkable
class Codec(Protocol):
    """A model with a code for every event: flows, VAEs, autoencoders, and GANs with an encoder."""

    def encode(self, *args: Any, **kwargs: Any) -> Tensor:
        """x (B, *E) [, context] -> (B, D)."""
        ...

    def decode(self, *args: Any, **kwargs: Any) -> Tensor:
        """z (B, D) [, context] -> (B, *E)."""
        ...


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


def walk(
    decode: Callable[[Tensor], Tensor],
    z0: Float[Tensor, "B D"],
    z1: Float[Tensor, "B D"],
    n: int,
    *,
    path: Path = slerp,
) -> Float[Tensor, "n B *E"]:
    """decode(z) at n even steps along `path` from z0 to z1: for a GAN, `decode` is its generator.

    Raises ValueError where n is less than 2.
    """
    if n < 2:
        raise ValueError(f"a path has two ends, so n must be at least 2, got {n}")
    return torch.stack([decode(path(z0, z1, i / (n - 1))) for i in range(n)])


def interpolate(
    model: Codec,
    x0: Float[Tensor, "B *E"],
    x1: Float[Tensor, "B *E"],
    n: int,
    context: Float[Tensor, "B K"] | None = None,
    *,
    path: Path = slerp,
    generator: torch.Generator | None = None,
) -> Float[Tensor, "n B *E"]:
    """n events from x0 to x1 at even steps along `path` between their codes; the ends are x0 and x1 as decoded.

    For a flow the ends are x0 and x1 themselves.  `generator` draws the codes of a model that draws them.  A GAN has no
    encoder: find codes by `invert`, then `walk`.  Raises ValueError where n is less than 2.
    """
    encode = partial(model.encode, generator=generator) if isinstance(model, AbstractVariational) else model.encode
    given = () if context is None else (context,)
    return walk(lambda z: model.decode(z, *given), encode(x0, *given), encode(x1, *given), n, path=path)
