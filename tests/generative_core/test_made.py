"""The masked autoencoder for distribution estimation."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from generative_core import MADE, Categorical, MaximumLikelihoodStep, MixtureOfGaussians, complete
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

VARIANTS = {
    "plain": {"hidden": (16,)},
    "deep": {"hidden": (16, 12), "direct": True},
    "residual": {"hidden": (16, 16), "residual": True, "activation": nn.Tanh},
    "random_order": {"hidden": (16,), "random_order": True},
    "masks": {"hidden": (16, 16), "n_masks": 3},
    "masks_and_orders": {"hidden": (16,), "n_masks": 3, "random_order": True, "direct": True},
    "categorical": {"hidden": (16,), "conditional": Categorical(2)},
}
SINGLE = {name: variant for name, variant in VARIANTS.items() if "n_masks" not in variant}
each = pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS.keys())
each_single = pytest.mark.parametrize("variant", SINGLE.values(), ids=SINGLE.keys())
with_and_without_context = pytest.mark.parametrize("context_features", [0, 3])


def build(event_shape, **variant) -> MADE:
    torch.manual_seed(0)
    return shaken(MADE(event_shape, **variant), by=0.4)


@each
@with_and_without_context
def test_the_probabilities_of_all_states_sum_to_one(variant, context_features):
    assert_sums_to_one(build((2, 5), context_features=context_features, **variant))


@each_single
@with_and_without_context
def test_one_pass_gives_the_product_of_the_conditionals(variant, context_features):
    model = build((2, 3), context_features=context_features, **variant)
    x = binary_states((2, 3))
    with torch.no_grad():
        walked = log_prob_along(model, x, one_context(model, len(x)))
    assert_close(walked, log_prob_of_states(model))


@each_single
def test_the_jacobian_of_the_parameters_is_strictly_triangular_in_the_order(variant):
    model = build((6,), **variant)
    x = torch.rand(1, 6, generator=torch.Generator().manual_seed(0)).double()
    full = torch.autograd.functional.jacobian(lambda x: model.net(x)[0], x)[:, :, 0]  # (D, P, D)
    seen = (full.abs().sum(1) > 0)[model.order][:, model.order].int()
    assert torch.equal(seen, torch.ones(6, 6).tril(-1).int())


@each
def test_samples_follow_the_density(variant):
    assert_samples_follow_density(build((2, 4), context_features=3, **variant))


def test_several_masks_are_the_mean_of_their_densities():
    model = build((2, 3), **VARIANTS["masks_and_orders"])
    states = binary_states((2, 3))
    with torch.no_grad():
        members = torch.stack([model.member(m).log_prob(states) for m in range(3)])
        walked = torch.stack([log_prob_along(model.member(m), states) for m in range(3)])
    assert_close(log_prob_of_states(model), members.exp().mean(0).log())
    assert_close(walked, members)
    assert_close(members.exp().sum(1), torch.ones(3).double())
    assert (members[0] - members[1]).abs().max() > 0.01


def test_orders_are_random_only_where_asked():
    natural, shuffled = build((6,), **VARIANTS["masks"]), build((6,), **VARIANTS["masks_and_orders"])
    for m in range(3):
        assert torch.equal(natural.member(m).order, torch.arange(6))
    assert len({tuple(shuffled.member(m).order.tolist()) for m in range(3)}) == 3
    other = build((6,), **VARIANTS["masks_and_orders"], seed=1)
    assert not torch.equal(shuffled.member(0).order, other.member(0).order)


def test_training_takes_the_masks_in_turn_and_the_turn_is_saved():
    model, x = build((2, 3), **VARIANTS["masks"]), binary_states((2, 3))
    members = [model.member(m).log_prob(x) for m in range(3)]
    model.train()
    taken = [model.log_prob(x) for _ in range(4)]
    for t, log_prob in enumerate(taken):
        assert torch.equal(log_prob, members[t % 3])
    resumed = MADE((2, 3), **VARIANTS["masks"]).double()
    resumed.load_state_dict(model.state_dict())
    assert torch.equal(resumed.train().log_prob(x), members[4 % 3])
    model.eval()
    assert torch.equal(model.log_prob(x), model.log_prob(x))


def test_several_masks_have_no_single_order():
    model = build((2, 3), **VARIANTS["masks"])
    with pytest.raises(ValueError, match=r"\.member\(m\)"):
        model.walk(1)
    with pytest.raises(ValueError, match=r"\.member\(m\)"):
        complete(model, torch.zeros(1, 2, 3).double(), torch.zeros(2, 3, dtype=torch.bool))
    with pytest.raises(ValueError, match="0 to 2"):
        model.member(3)


def test_a_real_valued_density_integrates_to_one():
    model = build((2,), hidden=(16,), conditional=MixtureOfGaussians(3))
    with torch.no_grad():
        assert_close(integral(model.log_prob, half_width=60, n=800), 1.0, atol=1e-3, rtol=0)


def test_standardised_vectors_with_constant_and_repeated_values_train_without_a_spike():
    """What a reward is made of: 12 dims, of which one is constant, one has two values, one is a copy, one has tails."""
    torch.manual_seed(0)
    x = torch.randn(2000, 12, generator=torch.Generator().manual_seed(0))
    x[:, 3] = 0.0
    x[:, 4] = x[:, 4].sign()
    x[:, 5] = x[:, 0]
    x[:, 6] = x[:, 6] ** 5 / 30
    model = MADE((12,), hidden=(64, 64), conditional=MixtureOfGaussians(5))
    step = MaximumLikelihoodStep(model, lr=3e-3, max_grad_norm=10.0)
    losses = [step(x[torch.randint(2000, (200,))])["loss"] for _ in range(250)]
    assert max(losses[100:]) < losses[0]
    # nine free normal dims of 1.42 nats each; the two degenerate ones and the copy lie far below that
    assert sum(losses[-20:]) / 20 < 12
    far = torch.full((1, 12), 1e4)
    assert torch.isfinite(model.log_prob(far)).all()


def test_half_precision_regions_leave_the_density_in_full_precision():
    torch.manual_seed(0)
    model = MADE((2, 3), hidden=(8,))
    x = torch.ones(4, 2, 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = model.loss(x)
    assert loss.dtype == torch.float32
    assert_close(loss, model.loss(x), rtol=1e-2, atol=1e-2)


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="n_masks"):
        MADE((3,), n_masks=0)
    with pytest.raises(ValueError, match=r"\(3,\)"):
        MADE((3,)).log_prob(torch.zeros(2, 4))
    with pytest.raises(ValueError, match="without context"):
        MADE((3,)).log_prob(torch.zeros(2, 3), torch.zeros(2, 1))
    with pytest.raises(ValueError, match=r"\(2, 4\)"):
        MADE((3,), context_features=4, n_masks=2).sample(2)


def test_it_can_start_from_the_rates_of_the_data():
    x = (torch.rand(50, 4, generator=torch.Generator().manual_seed(0)) < torch.tensor([0.0, 0.2, 0.5, 1.0])).double()
    model = MADE((4,), hidden=(8,)).double()
    nn.init.zeros_(model.net.layer(-1).weight)
    model.initialise(x)
    rate = (x.sum(0) + 0.5) / 51
    assert_close(model.log_prob(x), (x * rate.log() + (1 - x) * (1 - rate).log()).sum(1))
    with pytest.raises(ValueError, match="binary"):
        MADE((4,), conditional=Categorical(2)).initialise(x)
