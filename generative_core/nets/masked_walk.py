"""One pass of a masked network spread over the elements: what sampling needs, at the price of a single forward."""

from collections.abc import Generator

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from generative_core.nets.masked import MaskedMLP


def walk_masked(
    net: MaskedMLP, n: int, context: Float[Tensor, "n K"] | None = None, *, member: int = 0
) -> Generator[Tensor, Tensor, None]:
    """Yields the outputs (n, P) of the elements along the network's order; takes the value (n,) of each in between.

    A hidden unit of degree t is complete once t elements are known and never changes after, so each is computed once,
    right before the first output that reads it, and added to all that follow: D steps cost the arithmetic of one
    forward instead of D.  Differentiable in the values, the context and the parameters.
    """
    n_layers = len(net.layers)
    degrees = [net.get_buffer(f"degrees_{i}")[member] for i in range(1, n_layers)]  # of each hidden layer
    by_degree = [of_layer.argsort(stable=True) for of_layer in degrees]
    sizes = [torch.bincount(of_layer, minlength=net.n_in).tolist() for of_layer in degrees]
    starts = [torch.tensor([0, *of_layer]).cumsum(0).tolist() for of_layer in sizes]

    # units sorted by degree, so that those of one degree are neighbours
    weights = [net.masked_weight(i, member) for i in range(n_layers)]
    biases: list[Tensor] = [net.layer(i).bias for i in range(n_layers)]
    for i, order in enumerate(by_degree):
        weights[i], biases[i] = weights[i][order], biases[i][order]
        weights[i + 1] = weights[i + 1][:, order]
    columns = weights[0].unbind(1)  # of each input, (width,)
    groups = [weight.T.split(of_layer) for weight, of_layer in zip(weights[1:], sizes, strict=True)]  # (k, n_out) each

    inputs = net.join(weights[0].new_zeros(n, net.n_in), context)
    # what each layer has received so far; the last one is the outputs
    received = [F.linear(inputs, weights[0], biases[0]), *(bias.expand(n, -1) for bias in biases[1:])]
    direct = None if net.direct is None else net.masked_direct(member)
    if direct is not None:
        received[-1] = received[-1] + F.linear(inputs, direct)
    for t, element in enumerate(net.get_buffer("orders")[member].tolist()):
        h = None
        for i, of_layer in enumerate(sizes):
            if of_layer[t] == 0:
                continue
            complete = received[i][:, starts[i][t] : starts[i][t + 1]]
            h = complete if h is None or not net.residual else h + complete
            received[i + 1] = torch.addmm(received[i + 1], net.activation(h), groups[i][t])
        first = element * net.n_out_per_dim
        value = yield received[-1][:, first : first + net.n_out_per_dim]
        received[0] = torch.addcmul(received[0], value.unsqueeze(1), columns[element])
        if direct is not None:
            received[-1] = torch.addcmul(received[-1], value.unsqueeze(1), direct[:, element])
