"""Filling in the unknown part of an event."""

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from generative_core.autoregressive.protocols import Autoregressive, continue_from


@runtime_checkable
class AnyOrder(Protocol):
    """A model of every order at once, such as `OrderAgnosticNADE`."""

    event_shape: tuple[int, ...]

    def in_order(self, order: Int64[Tensor, "D"]) -> Autoregressive: ...


@torch.no_grad()
def complete(
    model: Autoregressive | AnyOrder,
    x: Float[Tensor, "n *E"],
    known: Bool[Tensor, "*M"],
    context: Float[Tensor, "n *K"] | None = None,
    *,
    generator: torch.Generator | None = None,
) -> Float[Tensor, "n *E"]:
    """x with its known elements kept and the others drawn from p(unknown | known, context): exact draws.

    `known` is (*E), the same for all, or (n, *E).  A model with one order can be asked for what comes after a first
    part of that order: in the images here the rows from some pixel on.  Raises ValueError on other masks, which only a
    model of every order can serve: it visits the known elements first, then the unknown ones in the flattened order.
    """
    if tuple(known.shape) not in (model.event_shape, tuple(x.shape)):
        raise ValueError(f"known must have the shape {model.event_shape} or {tuple(x.shape)}, got {tuple(known.shape)}")
    masks, mask_of_event = known.expand_as(x).flatten(1).unique(dim=0, return_inverse=True)  # (M, D), (n,)
    out = torch.empty_like(x)
    for m, mask in enumerate(masks):
        rows = (mask_of_event == m).nonzero().squeeze(1)
        n_known = int(mask.sum())
        if isinstance(model, AnyOrder):
            walked: Autoregressive = model.in_order((~mask).int().argsort(stable=True))
        else:
            walked = model
            _require_prefix(model, mask, n_known)
        row_context = None if context is None else context[rows]
        out[rows] = continue_from(walked, x[rows], n_known, row_context, generator=generator)
    return out


def _require_prefix(model: Autoregressive, mask: Tensor, n_known: int) -> None:
    in_order = mask[model.order.to(mask.device)]
    if not in_order[:n_known].all():
        first_gap = int((~in_order).nonzero()[0])
        raise ValueError(
            f"{type(model).__name__} draws its elements in one order, and the known part must be the first of it: "
            f"{n_known} elements are known, but number {first_gap} in the order is not; "
            "give more of the beginning as known, or take OrderAgnosticNADE, which completes any mask"
        )
