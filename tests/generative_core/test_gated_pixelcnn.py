"""Gated PixelCNN: the whole past and nothing else, exact probabilities, and the context in every layer."""

import pytest
import torch
from torch.testing import assert_close

from generative_core import Bernoulli, Categorical, DiscretisedLogisticMixture, GatedPixelCNN
from tests.generative_core.pixel_laws import (
    all_images,
    assert_draws_follow,
    assert_raster_causal,
    assert_sees_entire_past,
    assert_sums_to_one,
    enlarge_weights,
    seeded,
)


def gated(shape=(1, 3, 3), seed: int = 0, **knobs) -> GatedPixelCNN:
    torch.manual_seed(seed)
    return enlarge_weights(GatedPixelCNN(shape, **{"channels": 6, "layers": 2, **knobs}), 2.0)


@pytest.mark.parametrize("conditional", [Bernoulli(), Categorical(5), DiscretisedLogisticMixture(2, 5)])
def test_no_law_sees_its_own_element_or_a_later_one(conditional):
    assert_raster_causal(gated((1, 4, 5), conditional=conditional, kernel_size=5))


def test_there_is_no_blind_spot():
    assert_sees_entire_past(gated((1, 5, 6), layers=5))


def test_colours_see_the_entire_past_and_the_colours_before_them():
    assert_sees_entire_past(gated((3, 2, 3), conditional=Categorical(4), channels=24))


@pytest.mark.parametrize("shape", [(1, 3, 3), (1, 2, 4)])
def test_probabilities_of_all_images_sum_to_one(shape):
    assert_sums_to_one(gated(shape), all_images(shape))


def test_probabilities_of_all_colour_images_sum_to_one():
    model = gated((3, 1, 2), conditional=DiscretisedLogisticMixture(2, 3), context_features=2)
    assert_sums_to_one(model, all_images((3, 1, 2), (-1.0, 0.0, 1.0)), torch.tensor([0.3, -1.0], dtype=torch.float64))


def test_draws_follow_the_probabilities_of_their_context():
    model = gated((1, 2, 3), context_features=2)
    for context in torch.eye(2, dtype=torch.float64):
        assert_draws_follow(model, context)


def test_the_context_reaches_every_layer_of_both_stacks():
    model = gated((1, 4, 4), layers=3, context_features=2)
    x = torch.rand(5, 1, 4, 4, dtype=torch.float64, generator=seeded()).round()
    context = torch.randn(5, 2, dtype=torch.float64, generator=seeded())
    before = model.log_prob(x, context)
    for name, weight in model.named_parameters():
        if "condition" in name:
            kept = weight.detach().clone()
            with torch.no_grad():
                weight.zero_()
            assert (model.log_prob(x, context) != before).all(), name
            with torch.no_grad():
                weight.copy_(kept)
    assert_close(model.log_prob(x, context), before)


@pytest.mark.parametrize("kernel_size", [1, 4])
def test_a_kernel_without_a_centre_or_neighbours_is_refused(kernel_size):
    with pytest.raises(ValueError, match="kernel_size"):
        GatedPixelCNN((1, 4, 4), kernel_size=kernel_size)
