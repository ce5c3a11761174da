"""Glow: ActNorm, an invertible 1x1 convolution and an affine coupling, repeated."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import final

from torch import nn

from generative_core.flows.actnorm import ActNorm
from generative_core.flows.base import AbstractBase, StandardNormal
from generative_core.flows.bijector import AbstractBijector, Chain
from generative_core.flows.conditioners import ConvConditioner, MLPConditioner, NetFactory
from generative_core.flows.couplings import couple_halves
from generative_core.flows.elementwise import Affine
from generative_core.flows.flow import AbstractFlow, require_positive, require_vector_or_image
from generative_core.flows.linear import InvertibleLinear
from generative_core.flows.multiscale import MultiScale, Squeeze, choose_halvings


@final
class Glow(AbstractFlow):
    """z = f(x): `steps` times ActNorm, a learnt rotation of the channels and an affine coupling, at each of `levels`.

        log p(x | c) = log N(f(x); 0, I) + sum over steps of (log|det actnorm| + H W log|det W| + sum s)

    Images (C, H, W): each level halves the sides (28 -> 14 -> 7; by default once, and as often as leaves them whole and
    at least 4), takes `steps` steps, and lets half of the channels leave as noise whose mean and scale the other half
    gives.  `hidden` (32, 32) are the widths of `ConvConditioner`.

    Vectors (D,): `steps` steps, with perceptrons of widths `hidden` (128, 128).

    |s| < `max_log_scale`.  Raises ValueError on images of odd sides, on more levels than fit, and on events of another
    shape than declared.

    Paper: Kingma & Dhariwal 2018, https://arxiv.org/abs/1807.03039, table 1 and sec. 3.  Differs: exp of a bounded
    log-scale in place of a sigmoid; a residual block in the coupling's net and no ActNorm inside it.
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        context_features: int = 0,
        steps: int = 8,
        hidden: Sequence[int] | None = None,
        levels: int | None = None,
        activation: Callable[[], nn.Module] = nn.ReLU,
        max_log_scale: float = 3.0,
        base: AbstractBase | None = None,
    ) -> None:
        on_vectors = require_vector_or_image(event_shape, "Glow")
        require_positive("steps", steps)
        if hidden is None:
            hidden = (128, 128) if on_vectors else (32, 32)
        make_net = partial(
            MLPConditioner if on_vectors else ConvConditioner,
            hidden=hidden,
            context_features=context_features,
            activation=activation,
        )
        affine = Affine(max_log_scale)
        bijector: AbstractBijector
        if on_vectors:
            bijector = Chain(_steps(event_shape, steps, make_net, affine))
        else:
            bijector = _on_images(event_shape, levels, steps, make_net, affine)
        super().__init__(
            event_shape, bijector=bijector, base=base or StandardNormal(), context_features=context_features
        )


def _steps(shape: Sequence[int], n_steps: int, make_net: NetFactory, affine: Affine) -> list[AbstractBijector]:
    bijectors: list[AbstractBijector] = []
    for _ in range(n_steps):
        # the rotation mixes the halves anew each time, so always the same one moves
        coupling = couple_halves(shape[0], make_net, affine, move_first=False)
        bijectors += [ActNorm(shape), InvertibleLinear(shape[0]), coupling]
    return bijectors


def _on_images(
    event_shape: Sequence[int], n_levels: int | None, n_steps: int, make_net: NetFactory, affine: Affine
) -> MultiScale:
    n_channels, height, width = event_shape
    levels: list[AbstractBijector] = []
    shapes = []
    n_halvings = choose_halvings(event_shape, n_levels, at_least=1)
    for i in range(n_halvings):
        height, width = height // 2, width // 2
        shapes.append((4 * n_channels, height, width))
        bijectors = [Squeeze(), *_steps(shapes[-1], n_steps, make_net, affine)]
        if i < n_halvings - 1:  # the second half leaves: standardised by what stays
            bijectors.append(couple_halves(4 * n_channels, make_net, affine, move_first=False))
        levels.append(Chain(bijectors))
        n_channels *= 2
    return MultiScale(levels, shapes)
