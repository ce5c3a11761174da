"""The masked network: each output sees what comes before it in the order, all of it, and nothing else."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from generative_core.nets.masked import MaskedMLP

D, P, K = 6, 2, 3
ORDERS = torch.stack([torch.randperm(D, generator=torch.Generator().manual_seed(s)) for s in range(3)])
VARIANTS = {
    "one_layer": {"hidden": (32,)},
    "three_layers": {"hidden": (32, 16, 24)},
    "residual": {"hidden": (16, 16, 16), "residual": True},
    "direct": {"hidden": (4,), "direct": True},
    "reversed": {"hidden": (32, 32), "order": torch.arange(D).flip(0)},
    "members": {"hidden": (32, 32), "order": ORDERS},
    "random_degrees": {"hidden": (64, 64), "order": ORDERS, "degree_seed": 0},
    "context": {"hidden": (32, 32), "context_features": K},
    "everything": {
        "hidden": (32, 32),
        "order": ORDERS,
        "degree_seed": 1,
        "residual": True,
        "direct": True,
        "context_features": K,
    },
}


def build(**variant) -> MaskedMLP:
    torch.manual_seed(0)
    return MaskedMLP(D, P, **{"activation": nn.Tanh, **variant}).double()


def jacobian(net: MaskedMLP, member: int) -> tuple[torch.Tensor, torch.Tensor | None]:
    """|d output_d / d x_e| summed over P, (D, D); and |d output_d / d context|, (D, K)."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(1, D, generator=generator, dtype=torch.float64)
    if not net.context_features:
        full = torch.autograd.functional.jacobian(lambda x: net(x, member=member)[0], x)
        return full[:, :, 0].abs().sum(1), None
    context = torch.randn(1, K, generator=generator, dtype=torch.float64)
    full = torch.autograd.functional.jacobian(lambda x, c: net(x, c, member=member)[0], (x, context))
    return full[0][:, :, 0].abs().sum(1), full[1][:, :, 0].abs().sum(1)


@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS.keys())
def test_the_jacobian_is_strictly_triangular_along_the_order_and_full_below(variant):
    net = build(**variant)
    for member in range(net.n_members):
        order = net.get_buffer("orders")[member]
        by_x, by_context = jacobian(net, member)
        seen = (by_x[order][:, order] > 0).int()
        assert torch.equal(seen, torch.ones(D, D).tril(-1).int())
        assert by_context is None or (by_context > 0).all()


def test_the_first_element_depends_on_the_context_through_hidden_units():
    net = build(hidden=(32,), context_features=K)
    context = torch.randn(3, K, generator=torch.Generator().manual_seed(0)).double()
    first = net(torch.zeros(3, D).double(), context)[:, 0]
    halfway = net(torch.zeros(1, D).double(), context[:2].mean(0, keepdim=True))[:, 0]
    assert (first[:2].mean(0) - halfway).abs().max() > 1e-4  # not linear


def test_members_share_their_weights_and_differ_in_their_masks():
    net = build(**VARIANTS["random_degrees"])
    x = torch.randn(4, D, generator=torch.Generator().manual_seed(0)).double()
    outputs = [net(x, member=m) for m in range(3)]
    assert not torch.allclose(outputs[0], outputs[1])
    assert sum(p.numel() for p in net.parameters()) == sum(p.numel() for p in build(hidden=(64, 64)).parameters())


def test_a_seed_decides_the_degrees_and_nothing_global_is_drawn():
    state = torch.get_rng_state()
    MaskedMLP(D, P, hidden=(8,), order=ORDERS, degree_seed=0)
    torch.set_rng_state(state)
    first = MaskedMLP(D, P, hidden=(8,), order=ORDERS, degree_seed=0)
    torch.set_rng_state(state)
    other = MaskedMLP(D, P, hidden=(8,), order=ORDERS, degree_seed=1)
    assert torch.equal(first.layer(0).weight, other.layer(0).weight)
    assert not torch.equal(first.get_buffer("degrees_1"), other.get_buffer("degrees_1"))


def test_masks_travel_with_the_state():
    net, other = build(**VARIANTS["random_degrees"]), build(**{**VARIANTS["random_degrees"], "degree_seed": 5})
    x = torch.randn(4, D, generator=torch.Generator().manual_seed(0)).double()
    assert not torch.equal(net(x), other(x))
    other.load_state_dict(net.state_dict())
    assert torch.equal(net(x), other(x))


def test_one_element_depends_on_nothing_but_the_context():
    net = MaskedMLP(1, P, hidden=(8,)).double()
    x = torch.tensor([[-1.0], [3.0]]).double()
    assert_close(net(x)[0], net(x)[1], rtol=0, atol=0)
    conditional = MaskedMLP(1, P, hidden=(8,), context_features=K).double()
    context = torch.randn(2, K, generator=torch.Generator().manual_seed(0)).double()
    assert not torch.equal(*conditional(x[:1].expand(2, 1), context))


def test_narrow_layers_reach_both_ends_of_the_order():
    net = MaskedMLP(50, 1, hidden=(5,))
    degrees = net.get_buffer("degrees_1")[0]
    assert degrees.tolist() == sorted(set(degrees.tolist()))
    assert degrees.min() >= 1
    assert degrees.max() > 40


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="hidden layer"):
        MaskedMLP(D, P, hidden=())
    with pytest.raises(ValueError, match="equal widths"):
        MaskedMLP(D, P, hidden=(8, 16), residual=True)
    with pytest.raises(ValueError, match="once"):
        MaskedMLP(D, P, hidden=(8,), order=torch.tensor([0, 1, 2, 3, 4, 4]))
    net = MaskedMLP(D, P, hidden=(8,), context_features=K)
    with pytest.raises(ValueError, match="3 context features"):
        net(torch.zeros(2, D))
    with pytest.raises(ValueError, match="6 inputs"):
        net(torch.zeros(2, D + 1), torch.zeros(2, K))
