"""What every model with a `fit` asks of its events."""

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Float64
from torch import Tensor


@runtime_checkable
class Fitted(Protocol):
    """A model whose parameters are buffers that `fit` fills; `is_fitted` is one of them, so that it is saved too."""

    event_shape: tuple[int, ...]
    is_fitted: Tensor


def training_rows(model: Fitted, x: Float[Tensor, "N *E"], *, at_least: int = 1) -> Float64[Tensor, "N D"]:
    """The events as float64 vectors on the model's device: every fit is computed so, whatever the model's dtype.

    Raises ValueError on a wrong shape, too few events or values that are not finite.
    """
    rows = _flatten(model, x).to(device=model.is_fitted.device, dtype=torch.float64)
    if len(rows) < at_least:
        raise ValueError(f"{type(model).__name__}.fit needs at least {at_least} events, got {len(rows)}")
    if not torch.isfinite(rows).all():
        raise ValueError(f"{type(model).__name__}.fit got nan or inf among its events; drop those rows first")
    return rows


def fitted_rows(model: Fitted, x: Float[Tensor, "B *E"]) -> Float[Tensor, "B D"]:
    """The events as vectors.  Raises RuntimeError before the fit and ValueError on a wrong shape."""
    require_fitted(model)
    return _flatten(model, x)


def require_fitted(model: Fitted) -> None:
    if not model.is_fitted:
        name = type(model).__name__
        raise RuntimeError(f"{name} has no parameters yet: call {name}.fit first, or load_state_dict of a fitted one")


def refuse_context(model: object, context: Tensor | None) -> None:
    """Raises ValueError where there is a context."""
    if context is not None:
        raise ValueError(f"{type(model).__name__} is unconditional: call it without context")


def _flatten(model: Fitted, x: Tensor) -> Tensor:
    if tuple(x.shape[1:]) != model.event_shape:
        raise ValueError(
            f"{type(model).__name__} was built for events {model.event_shape}, got {len(x)} of {tuple(x.shape[1:])}"
        )
    return x.flatten(1)  # (B, *E) -> (B, D)
