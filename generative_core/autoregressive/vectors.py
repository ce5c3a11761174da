"""What the models on vectors check and share: events of any shape are visited in their flattened order."""

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor


@runtime_checkable
class VectorModel(Protocol):
    event_shape: tuple[int, ...]
    context_features: int


def flatten_events(model: VectorModel, x: Float[Tensor, "B *E"], context: Tensor | None) -> Float[Tensor, "B D"]:
    """x (B, *E) -> (B, D).  Raises ValueError where x or the context has another shape than declared."""
    if tuple(x.shape[1:]) != model.event_shape:
        raise ValueError(
            f"{type(model).__name__} was built for events {model.event_shape}, got {len(x)} of {tuple(x.shape[1:])}"
        )
    check_context(model, len(x), context)
    return x.flatten(1)


def check_context(model: VectorModel, n: int, context: Tensor | None) -> None:
    """Raises ValueError where the context has another shape than declared, is missing, or is one too many."""
    shape = None if context is None else tuple(context.shape)
    declared = (n, model.context_features) if model.context_features else None
    if shape != declared:
        name = type(model).__name__
        raise ValueError(
            f"{name} is unconditional: call it without context"
            if declared is None
            else f"{name} needs a context of shape {declared}, got {shape}"
        )


def empty_events(model: VectorModel, n: int, like: Tensor) -> Float[Tensor, "n *E"]:
    """Zeros in the shape of n events, in the dtype and on the device of `like`: what a sampler fills."""
    return torch.zeros(n, *model.event_shape, dtype=like.dtype, device=like.device)
