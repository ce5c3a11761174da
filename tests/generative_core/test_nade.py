"""The neural autoregressive distribution estimator, in one order and in all of them."""

from itertools import permutations

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from generative_core import NADE, Categorical, MaximumLikelihoodStep, MixtureOfGaussians, OrderAgnosticNADE
from generative_core.autoregressive import nade
from generative_core.autoregressive.protocols import log_prob_along
from tests.generative_core.autoregressive_laws import (
    assert_samples_follow_density,
    assert_sums_to_one,
    binary_states,
    log_prob_of_states,
    one_context,
    shaken,
)
from tests.generative_core.mixture_laws import integral


def direct_log_prob(model: NADE, x, context=None):
    """Each hidden layer from all elements before it, as the definition has it: O(D^2 hidden)."""
    flat, total = x.flatten(1), 0.0
    for d in range(flat.shape[1]):
        a = model.hidden_bias + flat[:, :d] @ model.weight[:d]
        if context is not None:
            a = a + F.linear(context, model.context_net.weight)
        parameters = a.sigmoid() @ model.readout[d].T + model.bias[d]
        total = total + model.conditional.log_prob(parameters, flat[:, d])
    return total


@pytest.fixture(params=[10**6, 2 * 8 * 8, 3 * 8, 1])
def chunked(request, monkeypatch):
    """With 5 events and 8 hidden units: all at once; events by twos, 8 steps; one by one, 3 steps; and 1 step."""
    monkeypatch.setattr(nade, "HELD_ON_CPU", request.param)


@pytest.mark.parametrize("context_features", [0, 3])
def test_the_probabilities_of_all_states_sum_to_one(context_features):
    assert_sums_to_one(shaken(NADE((3, 4), hidden=8, context_features=context_features)))


@pytest.mark.parametrize("conditional", [MixtureOfGaussians(2), Categorical(2)], ids=str)
def test_the_recursion_is_the_direct_formula_and_so_are_its_gradients(conditional, chunked):
    model = shaken(NADE((2, 5), hidden=8, conditional=conditional, context_features=3))
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(2, (5, 2, 5), generator=generator).double().requires_grad_()
    context = torch.randn(5, 3, generator=generator, dtype=torch.float64).requires_grad_()
    inputs = [x, context, *model.parameters()]
    recursive, direct = model.log_prob(x, context), direct_log_prob(model, x, context)
    assert_close(recursive, direct)
    weights = torch.randn(5, generator=generator).double()
    for ours, theirs in zip(
        torch.autograd.grad((weights * recursive).sum(), inputs, allow_unused=True),
        torch.autograd.grad((weights * direct).sum(), inputs, allow_unused=True),
        strict=True,
    ):
        assert (ours is None) == (theirs is None)
        assert ours is None or (ours.any() and torch.allclose(ours, theirs, rtol=1e-9, atol=1e-12))


def test_the_gradients_are_those_of_finite_differences(monkeypatch):
    monkeypatch.setattr(nade, "HELD_ON_CPU", 2 * 3 * 4)
    generator = torch.Generator().manual_seed(0)
    shapes = [(7, 3), (3, 4), (7, 4), (7, 2, 4)]  # x (D, B), start (B, H), W (D, H), V (D, P, H)
    inputs = [torch.randn(s, generator=generator, dtype=torch.float64).requires_grad_() for s in shapes]
    assert torch.autograd.gradcheck(nade._Readouts.apply, inputs)


def test_the_jacobian_is_strictly_triangular_and_full_below():
    generator = torch.Generator().manual_seed(0)
    start, weight, readout = (torch.randn(s, generator=generator).double() for s in [(1, 4), (6, 4), (6, 1, 4)])
    jacobian = torch.autograd.functional.jacobian(
        lambda x: nade._Readouts.apply(x, start, weight, readout).flatten(), torch.rand(6, 1).double()
    )
    assert torch.equal((jacobian.flatten(1) != 0).int(), torch.ones(6, 6).tril(-1).int())


def test_second_derivatives_are_refused_rather_than_wrong():
    model = NADE((4,), hidden=3)
    x = torch.rand(2, 4, requires_grad=True)
    (grad,) = torch.autograd.grad(model.log_prob(x).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        grad.square().sum().backward()


@pytest.mark.parametrize("context_features", [0, 3])
def test_the_walk_gives_the_same_conditionals(context_features):
    model = shaken(NADE((2, 3), hidden=5, context_features=context_features))
    x = binary_states((2, 3))
    with torch.no_grad():
        walked = log_prob_along(model, x, one_context(model, len(x)))
    assert_close(walked, log_prob_of_states(model))


@pytest.mark.parametrize("context_features", [0, 3])
def test_samples_follow_the_density(context_features):
    assert_samples_follow_density(shaken(NADE((2, 4), hidden=6, context_features=context_features)))


def test_a_real_valued_density_integrates_to_one():
    model = shaken(NADE((2,), hidden=6, conditional=MixtureOfGaussians(3)), by=0.4)
    with torch.no_grad():
        assert_close(integral(model.log_prob, half_width=60, n=800), 1.0, atol=1e-3, rtol=0)


def test_half_precision_regions_leave_the_density_in_full_precision():
    torch.manual_seed(0)
    model = NADE((2, 3), hidden=5, context_features=2)
    x, context = torch.ones(4, 2, 3), torch.ones(4, 2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = model.loss(x, context)
        loss.sum().backward()
    assert loss.dtype == torch.float32
    assert_close(loss, model.loss(x, context), rtol=1e-2, atol=1e-2)
    assert all(p.grad.any() for p in model.parameters())


# --- every order ---


def any_order(**variant) -> OrderAgnosticNADE:
    return shaken(OrderAgnosticNADE((2, 3), **{"hidden": (8, 6), **variant}), by=0.4)


@pytest.mark.parametrize("context_features", [0, 3])
@pytest.mark.parametrize("n_orders", [1, 3])
def test_the_ensemble_over_orders_sums_to_one(n_orders, context_features):
    assert_sums_to_one(any_order(n_orders=n_orders, context_features=context_features))


def test_every_order_is_a_density_and_they_differ():
    model = any_order()
    states = binary_states((2, 3))
    with torch.no_grad():
        forward, backward = (model.in_order(o).log_prob(states) for o in (torch.arange(6), torch.arange(6).flip(0)))
    assert_close(forward.exp().sum().item(), 1.0)
    assert_close(backward.exp().sum().item(), 1.0)
    assert (forward - backward).abs().max() > 0.01


def test_the_ensemble_is_the_mean_of_its_orders():
    model = any_order(n_orders=3)
    states = binary_states((2, 3))
    with torch.no_grad():
        members = torch.stack([model.in_order(order).log_prob(states) for order in model.get_buffer("orders")])
    assert_close(log_prob_of_states(model), members.exp().mean(0).log())


def test_along_an_order_each_element_is_predicted_from_those_before_it():
    model = any_order(context_features=3)
    order = torch.tensor([4, 1, 5, 0, 2, 3])
    states = binary_states((2, 3))
    context, flat = one_context(model, len(states)), states.flatten(1)
    expected, known = torch.zeros(len(states)).double(), torch.zeros(len(states), 6, dtype=torch.bool)
    with torch.no_grad():
        for d in order.tolist():
            expected += model.conditional.log_prob(model(flat, known, context)[:, d], flat[:, d])
            known[:, d] = True
        assert_close(model.in_order(order).log_prob(states, context), expected)


def test_what_is_not_known_is_not_read():
    model = any_order()
    known = torch.tensor([[True, False, True, False, False, True]])
    flat = torch.rand(1, 6, generator=torch.Generator().manual_seed(0)).double()
    other = torch.where(known, flat, torch.nan)
    assert torch.equal(model(flat, known), model(other, known))
    assert not torch.equal(model(flat, known), model(flat, ~known))


def test_the_loss_estimates_minus_log_p_averaged_over_all_orders():
    model = shaken(OrderAgnosticNADE((3,), hidden=(6,)), by=0.4)
    x, n = torch.tensor([[1.0, 0.0, 1.0]]).double(), 60_000
    with torch.no_grad():
        orders = [torch.tensor(order) for order in permutations(range(3))]
        expected = -torch.stack([model.in_order(order).log_prob(x) for order in orders]).mean()
        estimates = model.loss(x.expand(n, -1), generator=torch.Generator().manual_seed(0))
    assert estimates.std() > 0.1
    assert (estimates.mean() - expected).abs() < 4 * estimates.std() / n**0.5


def test_the_loss_draws_from_the_generator_it_is_given():
    model, x = any_order(), binary_states((2, 3))
    state = torch.get_rng_state()
    first, second, other = (model.loss(x, generator=torch.Generator().manual_seed(s)) for s in (0, 0, 1))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("n_orders", [1, 3])
def test_samples_follow_the_ensemble(n_orders):
    assert_samples_follow_density(any_order(n_orders=n_orders, context_features=3))


def test_weights_serve_ensembles_of_any_size():
    few, many = any_order(n_orders=1), any_order(n_orders=5)
    many.load_state_dict(few.state_dict())
    assert torch.equal(many.get_buffer("orders")[0], few.get_buffer("orders")[0])
    assert not torch.equal(log_prob_of_states(many), log_prob_of_states(few))


def test_one_order_can_be_walked_and_several_cannot():
    model = any_order(n_orders=1)
    with torch.no_grad():
        assert_close(log_prob_along(model, binary_states((2, 3))), log_prob_of_states(model))
    with pytest.raises(ValueError, match="in_order"):
        any_order(n_orders=2).walk(1)


def test_training_on_the_estimate_lowers_the_exact_loss():
    """Two elements that are equal, and one that is free: 2 log 2 nats are left of 3 log 2, in any order."""
    torch.manual_seed(0)
    model = OrderAgnosticNADE((3,), hidden=(32,), n_orders=3)
    step = MaximumLikelihoodStep(model, lr=1e-2)
    coins = (torch.rand(500, 2, generator=torch.Generator().manual_seed(0)) < 0.5).float()
    x = coins[:, [0, 0, 1]]
    for _ in range(300):
        step(x)
    assert -model.log_prob(x).mean() < 1.46


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="n_orders"):
        OrderAgnosticNADE((3,), n_orders=0)
    with pytest.raises(ValueError, match="hidden"):
        OrderAgnosticNADE((3,), hidden=())
    with pytest.raises(ValueError, match="once"):
        any_order().in_order(torch.tensor([0, 1, 2, 3, 4, 4]))
    with pytest.raises(ValueError, match="without context"):
        NADE((3,)).sample(2, torch.zeros(2, 1))
    with pytest.raises(ValueError, match=r"\(3,\)"):
        NADE((3,)).log_prob(torch.zeros(2, 4))
