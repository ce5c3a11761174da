"""The latent whose image is nearest to a given one, by gradient steps."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from generative_core.families import AbstractGenerator

InversionLoss = Callable[[Tensor, Tensor], Tensor]
"""(made (B, *E), x (B, *E)) -> (B,), differentiable in what was made; each row its own; so of features (B, *F)."""


class Inversion(NamedTuple):
    """What `invert` found for each of B events."""

    z: Float[Tensor, "B Z"]
    residual: Float[Tensor, "B"]
    """The caller's loss at z."""
    made: Float[Tensor, "B *E"]
    """G(z)."""


def squared_error(made: Float[Tensor, "B *E"], x: Float[Tensor, "B *E"]) -> Float[Tensor, "B"]:
    """||made - x||^2."""
    return (made - x).flatten(1).square().sum(1)


def absolute_error(made: Float[Tensor, "B *E"], x: Float[Tensor, "B *E"]) -> Float[Tensor, "B"]:
    """||made - x||_1."""
    return (made - x).flatten(1).abs().sum(1)


def invert(
    model: AbstractGenerator,
    x: Float[Tensor, "B *E"],
    *,
    context: Float[Tensor, "B K"] | None = None,
    loss: InversionLoss = squared_error,
    features: Callable[[Tensor], Tensor] | None = None,
    prior: float = 0.0,
    steps: int = 300,
    lr: float = 0.05,
    restarts: int = 1,
    start: Float[Tensor, "B Z"] | None = None,
    generator: torch.Generator | None = None,
) -> Inversion:
    """z* = argmin_z loss(G(z), x) + prior/2 ||z||^2, by `steps` of Adam from each of `restarts` starts.

    With `features` it is loss(features(G(z)), features(x)): what matters of an event, (B, *E) -> (B, *F).

    The first start is `start`, where one is given, such as an encoder's guess; the others are draws of N(0, I), which
    are all that `generator` is for.  Each event keeps the best of its own starts.  The model's parameters get no
    gradient.  Put the model into evaluation mode first: under batch norm in training the rows are not independent.

    A start that ends in nan is the worst.  Raises ValueError where there is no step or no start, and FloatingPointError
    where all starts of an event end in nan.
    """
    if steps < 1 or restarts < 1:
        raise ValueError(f"inversion needs at least one step and one start, got steps={steps}, restarts={restarts}")
    with torch.no_grad():
        target = x if features is None else features(x)

    def error(made: Tensor) -> Tensor:
        return loss(made if features is None else features(made), target)

    found = [
        _descend(model, context, error, prior, steps, lr, z)
        for z in (
            start if i == 0 and start is not None else model.sample_latent(len(x), generator=generator)
            for i in range(restarts)
        )
    ]
    objectives = torch.stack([objective for _, objective in found])  # (restarts, B)
    is_lost = objectives.isnan()
    if is_lost.all(0).any():
        raise FloatingPointError(
            f"all starts of {int(is_lost.all(0).sum())} of {len(x)} events ended in nan; look for nan in x, or lower lr"
        )
    best = torch.where(is_lost, torch.inf, objectives).argmin(0)
    runs = [run for run, _ in found]
    return Inversion(*(torch.stack(parts)[best, torch.arange(len(x), device=x.device)] for parts in zip(*runs)))  # noqa: B905  of one length


def _descend(
    model: AbstractGenerator,
    context: Tensor | None,
    error: Callable[[Tensor], Tensor],
    prior: float,
    steps: int,
    lr: float,
    start: Tensor,
) -> tuple[Inversion, Tensor]:
    """The end of one descent, and what it has minimised there."""
    z = start.detach().clone().requires_grad_()
    optimiser = torch.optim.Adam([z], lr=lr)
    for _ in range(steps):
        with torch.enable_grad():
            objective = error(model(z, context)) + 0.5 * prior * z.square().sum(1)
            (z.grad,) = torch.autograd.grad(objective.sum(), z)
        optimiser.step()
    z = z.detach()
    with torch.no_grad():
        made = model(z, context)
        residual = error(made)
    return Inversion(z, residual, made), residual + 0.5 * prior * z.square().sum(1)
