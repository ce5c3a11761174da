"""MAF: autoregressive layers with exact densities in one pass, and samples element by element."""

import math
from collections.abc import Callable, Sequence
from typing import final

from torch import nn

from generative_core.flows.actnorm import ActNorm
from generative_core.flows.base import AbstractBase, StandardNormal
from generative_core.flows.bijector import Chain, flatten_unless_flat
from generative_core.flows.flow import AbstractFlow
from generative_core.flows.masked_autoregressive import reversing_layers


@final
class MAF(AbstractFlow):
    """z = f(x): y_d = x_d exp(s_d(x_before d, c)) + t_d(x_before d, c), `layers` times, each in the order reversed.

        log p(x | c) = log N(f(x); 0, I) + sum over layers and elements of s

    One pass of each network gives the density; a sample takes D steps, each unit of a network computed once.  Events of
    any shape are flattened.  `residual` joins hidden layers, which must then be equally wide.  |s| < `max_log_scale`.
    Raises ValueError on events of another shape than declared.

    Paper: Papamakarios et al. 2017, https://arxiv.org/abs/1705.07057, eq. 3-5.  Differs: one ActNorm, on the data,
    instead of batch normalisation between layers, which makes a density depend on its batch; residual connections; s
    and t are of the map from x to z (the paper's alpha is -s).
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        context_features: int = 0,
        layers: int = 5,
        hidden: Sequence[int] = (128, 128),
        residual: bool = True,
        activation: Callable[[], nn.Module] = nn.ReLU,
        max_log_scale: float = 3.0,
        base: AbstractBase | None = None,
    ) -> None:
        layers_in_order = reversing_layers(
            event_shape,
            layers,
            hidden=hidden,
            context_features=context_features,
            residual=residual,
            activation=activation,
            max_log_scale=max_log_scale,
        )
        super().__init__(
            event_shape,
            bijector=Chain([*flatten_unless_flat(event_shape), ActNorm((math.prod(event_shape),)), *layers_in_order]),
            base=base or StandardNormal(),
            context_features=context_features,
        )
