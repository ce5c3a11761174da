"""What sampling, completion and coding ask of an autoregressive model: one walk along its order."""

from collections.abc import Generator
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from generative_core.autoregressive.conditionals import Conditional

Walk = Generator[Tensor, Tensor, None]
"""Yields the parameters (n, P) of the next element's law and is sent its values (n,), D times; see `Autoregressive`."""


@runtime_checkable
class Autoregressive(Protocol):
    """p(x) = prod_t p(x_order[t] | x_order[<t]) over the D = prod E elements of the flattened event.

    Image models go row by row, pixel by pixel, and inside a pixel channel by channel: the order of (C, H, W) is
    `torch.arange(C * H * W).view(C, H * W).T.flatten()`.
    """

    event_shape: tuple[int, ...]
    conditional: Conditional

    @property
    def order(self) -> Int64[Tensor, "D"]:
        """The flat index of the element drawn first, second, and so on."""
        ...

    def walk(self, n: int, context: Float[Tensor, "n *K"] | None = None) -> Walk:
        """Visit the elements of n events along the order.

        Each `yield` gives the parameters (n, P) of element order[t] given the values sent so far and receives that
        element's values (n,): drawn by a sampler, known to a completion, read from a file by a decoder.  A walk is for
        inference: it may write in place, so run it without gradients.  Raises ValueError, at the first step, on a wrong
        context.
        """
        ...


def log_prob_along(
    model: Autoregressive, x: Float[Tensor, "B *E"], context: Float[Tensor, "B *K"] | None = None
) -> Float[Tensor, "B"]:
    """log p(x | context), nats, element by element along the walk: what `log_prob` gives in one pass, where it can."""
    flat = x.flatten(1)  # (B, *E) -> (B, D)
    walk = model.walk(len(x), context)
    parameters = next(walk)
    total = flat.new_zeros(len(flat))
    order = model.order.tolist()
    for t, d in enumerate(order):
        total = total + model.conditional.log_prob(parameters, flat[:, d])
        if t + 1 < len(order):
            parameters = walk.send(flat[:, d])
    walk.close()
    return total


@torch.no_grad()
def continue_from(
    model: Autoregressive,
    x: Float[Tensor, "n *E"],
    n_known: int,
    context: Float[Tensor, "n *K"] | None = None,
    *,
    generator: torch.Generator | None = None,
) -> Float[Tensor, "n *E"]:
    """x with its first `n_known` elements in the model's order kept and the others drawn given them.

    Exact: a draw from p(rest | known).  What x holds elsewhere is not read.
    """
    flat = x.flatten(1).clone()  # (n, *E) -> (n, D)
    order = model.order.tolist()
    if not 0 <= n_known <= len(order):
        raise ValueError(f"n_known must be 0 to {len(order)}, the elements of an event, got {n_known}")
    walk = model.walk(len(x), context)
    parameters = next(walk)
    for t, d in enumerate(order):
        if t >= n_known:
            flat[:, d] = model.conditional.sample(parameters, generator=generator)
        if t + 1 < len(order):
            parameters = walk.send(flat[:, d])
    walk.close()
    return flat.view_as(x)
