"""IAF: autoregressive layers the other way round, with samples in one pass and densities element by element."""

import math
from collections.abc import Callable, Sequence
from typing import final

from torch import nn

from generative_core.flows.actnorm import ActNorm
from generative_core.flows.base import AbstractBase, StandardNormal
from generative_core.flows.bijector import Chain, Inverse, flatten_unless_flat
from generative_core.flows.flow import AbstractFlow
from generative_core.flows.masked_autoregressive import reversing_layers


@final
class IAF(AbstractFlow):
    """x = f^-1(z): x_d = z_d exp(s_d(z_before d, c)) + t_d(z_before d, c), `layers` times, each in the order reversed.

        log p(x | c) = log N(f(x); 0, I) - sum over layers and elements of s

    A sample is one pass of each network; the density takes D steps, each unit of a network computed once, and is
    differentiable, so that the model trains by maximum likelihood too.  The options and what they raise are `MAF`'s.

    Paper: Kingma et al. 2016, https://arxiv.org/abs/1606.04934, eq. 9-11, where it is a posterior whose own samples
    alone need densities.  Differs: here it is a density on its own, with an ActNorm on the data.
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
            bijector=Chain(
                [*flatten_unless_flat(event_shape), ActNorm((math.prod(event_shape),)), *map(Inverse, layers_in_order)]
            ),
            base=base or StandardNormal(),
            context_features=context_features,
        )
