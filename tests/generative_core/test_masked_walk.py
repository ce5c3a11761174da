"""The masked network, element after element: the same outputs and the same gradients as in one pass."""

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from generative_core.nets.masked import MaskedMLP
from generative_core.nets.masked_walk import walk_masked
from tests.generative_core.autoregressive_laws import shaken
from tests.generative_core.flow_laws import noise

D, P, K = 6, 2, 3
ORDERS = torch.stack([torch.randperm(D, generator=torch.Generator().manual_seed(s)) for s in range(3)])
VARIANTS = {
    "one_layer": {"hidden": (32,)},
    "few_units": {"hidden": (3, 2)},
    "three_layers": {"hidden": (32, 16, 24)},
    "residual": {"hidden": (16, 16, 16), "residual": True},
    "direct": {"hidden": (4,), "direct": True},
    "context": {"hidden": (7, 5), "context_features": K, "direct": True},
    "everything": {
        "hidden": (32, 32),
        "order": ORDERS,
        "degree_seed": 1,
        "residual": True,
        "direct": True,
        "context_features": K,
    },
}
EVERY = pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS.keys())


def walk(net: MaskedMLP, x: Tensor, context: Tensor | None, member: int = 0) -> Tensor:
    """The outputs (n, D, P) that a walk over the elements of x yields."""
    steps = walk_masked(net, len(x), context, member=member)
    outputs = {}
    parameters = next(steps)
    for element in net.get_buffer("orders")[member].tolist():
        outputs[element] = parameters
        try:
            parameters = steps.send(x[:, element])
        except StopIteration:
            assert len(outputs) == D
    return torch.stack([outputs[d] for d in range(D)], dim=1)


def build(variant) -> tuple[MaskedMLP, Tensor, Tensor | None]:
    torch.manual_seed(0)
    net = shaken(MaskedMLP(D, P, activation=nn.Tanh, **variant), by=0.3)
    return net, noise(4, D), noise(4, K, seed=1) if net.context_features else None


@EVERY
def test_the_walk_gives_the_outputs_of_one_pass(variant):
    net, x, context = build(variant)
    for member in range(net.n_members):
        assert_close(walk(net, x, context, member), net(x, context, member=member), rtol=0, atol=1e-12)


@EVERY
def test_the_walk_has_the_gradients_of_one_pass(variant):
    net, x, context = build(variant)
    inputs = [x.requires_grad_(True), *net.parameters()]
    weight = noise(4, D, P, seed=2)
    grads = [
        torch.autograd.grad((outputs * weight).sum(), inputs) for outputs in (walk(net, x, context), net(x, context))
    ]
    for by_walk, by_pass in zip(*grads, strict=True):
        assert_close(by_walk, by_pass, rtol=0, atol=1e-10)
