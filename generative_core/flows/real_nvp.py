"""RealNVP: affine couplings, on vectors and, over several resolutions, on images."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import final

import torch
from torch import nn

from generative_core.flows.actnorm import ActNorm
from generative_core.flows.base import AbstractBase, StandardNormal
from generative_core.flows.bijector import AbstractBijector, Chain
from generative_core.flows.conditioners import ConvConditioner, MLPConditioner, NetFactory
from generative_core.flows.couplings import MaskedCoupling, checkerboard, couple_halves
from generative_core.flows.elementwise import Affine
from generative_core.flows.flow import AbstractFlow, require_positive, require_vector_or_image
from generative_core.flows.linear import Permutation, deal
from generative_core.flows.multiscale import MultiScale, Squeeze, choose_halvings


@final
class RealNVP(AbstractFlow):
    """z = f(x): affine couplings y_moved = x_moved exp(s(x_kept, c)) + t(x_kept, c), which take turns in what moves.

        log p(x | c) = log N(f(x); 0, I) + sum over couplings and moved elements of s

    Vectors (D,): `couplings` (8) perceptrons of widths `hidden` (128, 128) on halves of the vector, dealt anew after
    each pair, so that any two elements are soon on different sides.

    Images (C, H, W): `scales` resolutions, by default as many as leave the sides even and at least 4 (28 -> 14 -> 7).
    At each one `couplings` (3) with checkerboard masks and as many with channel masks, after which half of the channels
    leave; the last one has couplings + 1 with checkerboard masks.  `hidden` (32, 32) are `ConvConditioner`'s widths.

    |s| < `max_log_scale`.  Raises ValueError on events of one element or of another shape than declared, and on scales
    that do not fit.

    Paper: Dinh et al. 2017, https://arxiv.org/abs/1605.08803, eq. 4-9 and 14-16.  Differs: one ActNorm a scale
    instead of batch normalisation, which makes a density depend on its batch; where a resolution is halved anyway, it
    is halved first, and a checkerboard mask is then a choice of two in four sub-grids: the same partition for a quarter
    of the work; one residual block a net, no weight normalisation.
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        context_features: int = 0,
        couplings: int | None = None,
        hidden: Sequence[int] | None = None,
        scales: int | None = None,
        activation: Callable[[], nn.Module] = nn.ReLU,
        max_log_scale: float = 3.0,
        base: AbstractBase | None = None,
    ) -> None:
        on_vectors = require_vector_or_image(event_shape, "RealNVP")
        if couplings is None:
            couplings = 8 if on_vectors else 3
        require_positive("couplings", couplings)
        if hidden is None:
            hidden = (128, 128) if on_vectors else (32, 32)
        make_net = partial(
            MLPConditioner if on_vectors else ConvConditioner,
            hidden=hidden,
            context_features=context_features,
            activation=activation,
        )
        affine = Affine(max_log_scale)
        n_scales = 1 + choose_halvings(event_shape, None if scales is None else scales - 1, at_least=0)
        bijector: AbstractBijector
        if on_vectors:
            bijector = _on_vectors(event_shape[0], couplings, make_net, affine)
        else:
            bijector = _on_images(event_shape, n_scales, couplings, make_net, affine)
        super().__init__(
            event_shape, bijector=bijector, base=base or StandardNormal(), context_features=context_features
        )


def _on_vectors(n_dims: int, n_couplings: int, make_net: NetFactory, affine: Affine) -> Chain:
    bijectors: list[AbstractBijector] = [ActNorm((n_dims,))]
    for i in range(n_couplings):
        if i > 0 and i % 2 == 0:
            bijectors.append(deal(n_dims))
        bijectors.append(couple_halves(n_dims, make_net, affine, move_first=i % 2 == 1))
    return Chain(bijectors)


def _on_images(
    event_shape: Sequence[int], n_scales: int, n_couplings: int, make_net: NetFactory, affine: Affine
) -> MultiScale:
    n_channels, height, width = event_shape
    levels: list[AbstractBijector] = []
    shapes = []
    for _ in range(n_scales - 1):
        levels.append(_halving_level(n_channels, n_couplings, make_net, affine))
        height, width = height // 2, width // 2
        shapes.append((4 * n_channels, height, width))
        n_channels *= 2  # of the four times as many, half leave
    shapes.append((n_channels, height, width))
    if height * width == 1:
        raise ValueError(
            f"{n_scales} scales leave one pixel of {tuple(event_shape)}, which no checkerboard parts; take fewer, or "
            "flatten the event"
        )
    levels.append(_last_level(shapes[-1], n_couplings + 1, make_net, affine))
    return MultiScale(levels, shapes)


def _halving_level(n_channels: int, n_couplings: int, make_net: NetFactory, affine: Affine) -> Chain:
    # A block of 2x2 pixels becomes the channels 4 c + (0, 1, 2, 3).  Its diagonals {0, 3} and {1, 2} are the two
    # colours of a checkerboard, its rows {0, 1} and {2, 3} the halves of the channel masks.
    diagonals = torch.tensor([4 * c + place for place in (0, 3, 1, 2) for c in range(n_channels)])
    rows = torch.tensor([4 * c + place for place in (0, 1, 2, 3) for c in range(n_channels)])
    bijectors: list[AbstractBijector] = [ActNorm((n_channels, 1, 1)), Squeeze()]
    for index in (diagonals, diagonals.argsort()[rows]):
        bijectors.append(Permutation(index))
        for i in range(n_couplings):
            bijectors.append(couple_halves(4 * n_channels, make_net, affine, move_first=i % 2 == 1))
    return Chain(bijectors)


def _last_level(shape: tuple[int, int, int], n_couplings: int, make_net: NetFactory, affine: Affine) -> Chain:
    bijectors: list[AbstractBijector] = [ActNorm(shape)]
    for i in range(n_couplings):
        keep = checkerboard(shape) if i % 2 == 0 else ~checkerboard(shape)
        bijectors.append(MaskedCoupling(make_net(shape[0], 2 * shape[0]), affine, keep=keep))
    return Chain(bijectors)
