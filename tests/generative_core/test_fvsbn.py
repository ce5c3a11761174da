"""The fully visible sigmoid belief network."""

import pytest
import torch
from torch.testing import assert_close

from generative_core import FVSBN, MaximumLikelihoodStep
from generative_core.autoregressive.protocols import log_prob_along
from tests.generative_core.autoregressive_laws import (
    assert_samples_follow_density,
    assert_sums_to_one,
    binary_states,
    log_prob_of_states,
    one_context,
    shaken,
)


@pytest.mark.parametrize("context_features", [0, 3])
def test_the_probabilities_of_all_states_sum_to_one(context_features):
    assert_sums_to_one(shaken(FVSBN((3, 4), context_features=context_features)))


def test_it_is_one_logistic_regression_an_element():
    model = shaken(FVSBN((4,), context_features=2))
    x, context = binary_states((4,)), one_context(model, 16)
    expected = torch.zeros(16).double()
    for d in range(4):
        logit = model.bias[d] + x[:, :d] @ model.weight[d, :d] + context @ model.context_net.weight[d]
        expected += torch.where(x[:, d] == 1, logit.sigmoid(), 1 - logit.sigmoid()).log()
    assert_close(model.log_prob(x, context), expected)


@pytest.mark.parametrize("context_features", [0, 3])
def test_the_walk_gives_the_same_conditionals(context_features):
    model = shaken(FVSBN((2, 3), context_features=context_features))
    x = binary_states((2, 3))
    with torch.no_grad():
        walked = log_prob_along(model, x, one_context(model, len(x)))
    assert_close(walked, log_prob_of_states(model))


@pytest.mark.parametrize("context_features", [0, 3])
def test_samples_follow_the_density(context_features):
    assert_samples_follow_density(shaken(FVSBN((2, 4), context_features=context_features)))


def test_weights_on_and_above_the_diagonal_are_never_read():
    model = shaken(FVSBN((5,)))
    before = log_prob_of_states(model)
    with torch.no_grad():
        model.weight.add_(torch.full_like(model.weight, 7.0).triu())
    assert torch.equal(log_prob_of_states(model), before)


def test_training_finds_a_dependence_that_independent_elements_cannot_express():
    """x_1 a coin, x_2 = x_1, x_3 = not x_2: one bit is left, log 2 nats of the 3 log 2 of independent elements."""
    torch.manual_seed(0)
    model = FVSBN((3,))
    step = MaximumLikelihoodStep(model, lr=0.1)
    coin = (torch.rand(400, 1, generator=torch.Generator().manual_seed(0)) < 0.5).float()
    x = torch.cat([coin, coin, 1 - coin], dim=1)
    for _ in range(200):
        step(x)
    assert_close(model.loss(x).mean().item(), 0.6931, atol=0.05, rtol=0)


def test_wrong_shapes_and_contexts_are_refused():
    with pytest.raises(ValueError, match=r"\(4,\)"):
        FVSBN((4,)).log_prob(torch.zeros(2, 5))
    with pytest.raises(ValueError, match="without context"):
        FVSBN((4,)).log_prob(torch.zeros(2, 4), torch.zeros(2, 3))
    with pytest.raises(ValueError, match=r"\(2, 3\)"):
        FVSBN((4,), context_features=3).log_prob(torch.zeros(2, 4))
    with pytest.raises(ValueError, match="None"):
        FVSBN((4,), context_features=3).sample(2)
