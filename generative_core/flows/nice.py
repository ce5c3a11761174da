"""NICE: additive couplings and one diagonal scale."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import final

from torch import nn

from generative_core.flows.actnorm import ActNorm
from generative_core.flows.base import AbstractBase, StandardLogistic
from generative_core.flows.bijector import AbstractBijector, Chain, flatten_unless_flat
from generative_core.flows.conditioners import MLPConditioner
from generative_core.flows.couplings import couple_halves
from generative_core.flows.elementwise import Additive, DiagonalScale
from generative_core.flows.flow import AbstractFlow, require_elements, require_positive
from generative_core.flows.linear import deal


@final
class NICE(AbstractFlow):
    """z = f(x): y_moved = x_moved + t(x_kept, c), `couplings` times, then z = y exp(log_scale).

        log p(x | c) = log p_base(f(x)) + sum of log-scales

    The odd and the even places (of images flattened in rows) take turns in what moves.  The couplings keep volume, so
    log|det| is the same for every x.  Raises ValueError on events of one element, or of another shape than declared.

    Paper: Dinh et al. 2014, https://arxiv.org/abs/1410.8516, eq. 4-9 and sec. 3.3-3.4; on MNIST `hidden` is five layers
    of 1000.  Differs: ActNorm first, so that the learnt scales start from the data's; the last layer of
    each t starts at zero; a context.
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        context_features: int = 0,
        couplings: int = 4,
        hidden: Sequence[int] = (256, 256, 256),
        activation: Callable[[], nn.Module] = nn.ReLU,
        base: AbstractBase | None = None,
    ) -> None:
        require_elements(event_shape, "NICE")
        require_positive("couplings", couplings)
        n_dims = math.prod(event_shape)
        make_net = partial(MLPConditioner, hidden=hidden, context_features=context_features, activation=activation)
        bijectors: list[AbstractBijector] = [
            *flatten_unless_flat(event_shape),
            ActNorm((n_dims,)),
            deal(n_dims),
        ]
        for i in range(couplings):
            bijectors.append(couple_halves(n_dims, make_net, Additive(), move_first=i % 2 == 1))
        bijectors.append(DiagonalScale((n_dims,)))
        super().__init__(
            event_shape,
            bijector=Chain(bijectors),
            base=base or StandardLogistic(),
            context_features=context_features,
        )
