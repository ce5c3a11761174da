"""The encoder and the decoder as the models here build and call them, and what is checked at that border."""

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from torch import Tensor, nn

from generative_core.nets.shaped_mlp import ShapedMLP


@runtime_checkable
class Conditional(Protocol):
    """A model of events, given a context where `context_features` is not 0."""

    event_shape: tuple[int, ...]
    context_features: int


class Coded(Conditional, Protocol):
    """One with `latent_features` numbers as code."""

    latent_features: int


def mlp_encoder(model: Coded, n_features: int, hidden: Sequence[int], activation: Callable[[], nn.Module]) -> ShapedMLP:
    """x (B, *E) -> (B, n_features)."""
    return ShapedMLP(
        model.event_shape, (n_features,), context_features=model.context_features, hidden=hidden, activation=activation
    )


def mlp_decoder(
    model: Coded, n_parameters: int, hidden: Sequence[int], activation: Callable[[], nn.Module]
) -> ShapedMLP:
    """z (B, Z) -> (B, E0 * n_parameters, *E[1:]); `hidden` is the encoder's and is reversed here."""
    return ShapedMLP(
        (model.latent_features,),
        (model.event_shape[0] * n_parameters, *model.event_shape[1:]),
        context_features=model.context_features,
        hidden=hidden[::-1],
        activation=activation,
    )


def encode(model: Coded, encoder: nn.Module, x: Tensor, context: Tensor | None, n_features: int) -> Tensor:
    """The encoder's output (B, n_features), in x's dtype also where the encoder computes in a shorter one.

    Raises ValueError where the events or the context are not as declared, or the output has another shape.
    """
    require_events(model, x)
    require_context(model, len(x), context)
    out = _call(encoder, x, context)
    _require_output(model, "encoder", out, (len(x), n_features))
    return out.to(x.dtype)


def decode(model: Coded, decoder: nn.Module, z: Tensor, context: Tensor | None, n_parameters: int) -> Tensor:
    """The decoder's output (B, E0 * P, *E[1:]) as P parameters an element, (B, *E, P).

    Raises ValueError where the codes or the context are not as declared, or the output has another shape.
    """
    if z.shape[1] != model.latent_features:
        raise ValueError(f"{type(model).__name__} has {model.latent_features} latent features, got {z.shape[1]}")
    require_context(model, len(z), context)
    out = _call(decoder, z, context)
    first, *rest = model.event_shape
    _require_output(model, "decoder", out, (len(z), first * n_parameters, *rest))
    return out.unflatten(1, (first, n_parameters)).movedim(2, -1)


def _call(net: nn.Module, x: Tensor, context: Tensor | None) -> Tensor:
    """A conditional network takes the context too; others need not know of it."""
    return net(x) if context is None else net(x, context)


def require_events(model: Conditional, x: Tensor) -> None:
    """Raises ValueError where the events have another shape than declared."""
    if tuple(x.shape[1:]) != model.event_shape:
        raise ValueError(f"{type(model).__name__} was built for events {model.event_shape}, got {tuple(x.shape[1:])}")


def require_context(model: Conditional, n: int, context: Tensor | None) -> None:
    """Raises ValueError where a declared context is missing or of another shape, or where none was declared."""
    got = None if context is None else tuple(context.shape)
    expected = (n, model.context_features) if model.context_features else None
    if got != expected:
        remedy = "call it without context" if expected is None else f"give a context {expected}"
        raise ValueError(
            f"{type(model).__name__} was built with {model.context_features} context features: {remedy}; got {got}"
        )


def _require_output(model: Coded, side: str, out: Tensor, expected: tuple[int, ...]) -> None:
    if tuple(out.shape) != expected:
        raise ValueError(
            f"the {side} of this {type(model).__name__} must return {expected}, got {tuple(out.shape)}; "
            "change the network's last layer"
        )
