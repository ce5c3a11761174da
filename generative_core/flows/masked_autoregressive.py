"""The autoregressive bijector: every element moves as the elements before it decide."""

import math
from collections.abc import Callable, Sequence
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from generative_core.flows.bijector import AbstractBijector
from generative_core.flows.elementwise import AbstractElementwise, Affine
from generative_core.flows.flow import require_positive
from generative_core.nets.masked import MaskedMLP
from generative_core.nets.masked_walk import walk_masked

_LEAST_SHARE = 1e-3  # units that see nothing at all


@final
class MaskedAutoregressive(AbstractBijector):
    """y_d = g(x_d; net_d(x_before d, context)): one pass of the network forward, one element after another back.

    The Jacobian is triangular in the network's order, so its log-determinant is a sum over elements.  The inverse costs
    the arithmetic of one pass, in D steps (see `walk_masked`), and is differentiable.  The network's outputs are set to
    zero, so that the map starts as the identity; the weights before it grow by what their masks took from the
    variance.  Raises ValueError where the network's outputs do not fit the map.

    Papers: Papamakarios et al. 2017, https://arxiv.org/abs/1705.07057, eq. 3-5, for x -> y as data -> noise; Kingma et
    al. 2016, https://arxiv.org/abs/1606.04934, for the opposite use.
    """

    def __init__(self, net: MaskedMLP, elementwise: AbstractElementwise) -> None:
        super().__init__()
        if net.n_out_per_dim != elementwise.n_parameters:
            raise ValueError(
                f"{type(elementwise).__name__} takes {elementwise.n_parameters} parameters an element, the network "
                f"gives {net.n_out_per_dim}; build it with n_out_per_dim={elementwise.n_parameters}"
            )
        self.net = net
        self.elementwise = elementwise
        for layer in (net.layer(-1), net.direct):
            if layer is not None:
                for parameter in layer.parameters():
                    nn.init.zeros_(parameter)
        with torch.no_grad():
            for i in range(len(net.layers) - 1):
                share_unmasked = (net.masked_weight(i, 0) != 0).double().mean(1, keepdim=True).clamp_min(_LEAST_SHARE)
                net.layer(i).weight.div_(share_unmasked.sqrt())

    def forward_and_log_det(
        self, x: Float[Tensor, "B D"], context: Float[Tensor, "B K"] | None = None
    ) -> tuple[Float[Tensor, "B D"], Float[Tensor, "B"]]:
        return self.elementwise.forward_and_log_det(x, self.net(x, context).to(x.dtype).unbind(2))

    def inverse_and_log_det(
        self, y: Float[Tensor, "B D"], context: Float[Tensor, "B K"] | None = None
    ) -> tuple[Float[Tensor, "B D"], Float[Tensor, "B"]]:
        with torch.autocast(y.device.type, enabled=False):  # D steps would add up their rounding
            return self._inverse_and_log_det(y, context)

    def _inverse_and_log_det(self, y: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        y_columns = y.split(1, dim=1)
        x_columns = list(y_columns)
        total = y.new_zeros(len(y))
        walk = walk_masked(self.net, len(y), context)
        parameters = next(walk)
        order = self.net.get_buffer("orders")[0].tolist()
        for element in order:
            x_columns[element], log_det = self.elementwise.inverse_and_log_det(
                y_columns[element], parameters.split(1, dim=1)
            )
            total = total + log_det
            if element != order[-1]:
                parameters = walk.send(x_columns[element].squeeze(1))
        return torch.cat(x_columns, dim=1), total


def reversing_layers(
    event_shape: Sequence[int],
    n_layers: int,
    *,
    hidden: Sequence[int],
    context_features: int,
    residual: bool,
    activation: Callable[[], nn.Module],
    max_log_scale: float,
) -> list[MaskedAutoregressive]:
    """Affine layers over the flattened event: the first in its natural order, every next in the order reversed."""
    require_positive("layers", n_layers)
    n_dims = math.prod(event_shape)
    affine = Affine(max_log_scale)
    layers = []
    for i in range(n_layers):
        order = torch.arange(n_dims)
        net = MaskedMLP(
            n_dims,
            affine.n_parameters,
            hidden=hidden,
            context_features=context_features,
            activation=activation,
            order=order if i % 2 == 0 else order.flip(0),
            residual=residual,
        )
        layers.append(MaskedAutoregressive(net, affine))
    return layers
