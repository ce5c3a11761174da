"""PixelCNN++: the whole past at several resolutions, and the mixture that links the colours of a pixel."""

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from generative_core import Bernoulli, Categorical, DiscretisedLogisticMixture, PixelCNNPlusPlus
from generative_core.autoregressive.pixelcnnpp import link_colours
from tests.generative_core.pixel_laws import (
    all_images,
    assert_draws_follow,
    assert_sees_entire_past,
    assert_sums_to_one,
    enlarge_weights,
    field_of_view,
    seeded,
)


def pixelcnnpp(shape=(1, 3, 3), seed: int = 0, **knobs) -> PixelCNNPlusPlus:
    torch.manual_seed(seed)
    defaults = {"channels": 4, "blocks": 1, "scales": 2, "dropout": 0.0, "conditional": Bernoulli()}
    return enlarge_weights(PixelCNNPlusPlus(shape, **{**defaults, **knobs}), 2.0)


@pytest.mark.parametrize("scales", [1, 2, 3])
def test_the_entire_past_is_seen_and_nothing_else(scales):
    assert_sees_entire_past(pixelcnnpp((1, 5, 4), scales=scales, blocks=2))


def test_what_is_far_away_is_seen_through_the_coarse_resolutions():
    """A corner 14 columns and 9 rows away, with one block a scale: three scales see it, one does not."""
    far = {s: field_of_view(pixelcnnpp((1, 10, 16), scales=s), 159)[0, 0, 0].item() for s in (1, 3)}
    assert far == {1: False, 3: True}


def test_colours_see_the_entire_past_and_the_colours_before_them():
    assert_sees_entire_past(pixelcnnpp((3, 3, 3), conditional=DiscretisedLogisticMixture(2, 4)))


def test_the_network_knows_nothing_of_the_pixel_that_it_is_asked_for():
    """Inside a pixel there are only the links: without them, and with one component, its colours are independent."""
    law = DiscretisedLogisticMixture(1, 4)
    model = pixelcnnpp((3, 2, 2), conditional=law)
    x = torch.full((1, 3, 2, 2), -1.0, dtype=torch.float64)
    changed = x.clone()
    changed[:, 0, 1, 1] = 1.0

    def change(of: Tensor) -> Tensor:
        """What the red of the last pixel does to the probabilities of every element."""
        tables = [law.log_table(model.element_parameters(image)) for image in (x, of)]
        return (tables[0] - tables[1]).abs().amax(-1)[0]

    assert (change(changed)[1:, 1, 1] > 1e-3).all()  # green and blue
    with torch.no_grad():
        model.output.conv.weight[-3:] = 0  # the three links come last
        model.output.conv.bias[-3:] = 0
    assert change(changed).max() < 1e-12
    assert (change(-x)[1:, 1, 1] > 1e-3).all()


def test_linked_laws_multiply_to_the_papers_mixture():
    """prod_c p(x_c | colours before) = sum_k w_k prod_c logistic_k(x_c), with the means of eq. 3."""
    law, n = DiscretisedLogisticMixture(3, 8), 5
    raw = torch.randn(n, 1, 2, 3 * (1 + 3 + 3 + 3), dtype=torch.float64, generator=seeded())
    x = law.value(torch.randint(8, (n, 3, 1, 2), generator=seeded()), raw)
    by_chain = law.log_prob(link_colours(raw, x, law), x).sum(1)  # (n, 1, 2)

    weights, means, scales, links = raw.split([3, 9, 9, 9], dim=-1)
    red, green, _ = x.unsqueeze(-1).unbind(1)  # (n, 1, 2, 1)
    a, b, c = links.tanh().split(3, dim=-1)
    m_red, m_green, m_blue = means.split(3, dim=-1)
    means = [m_red, m_green + a * red, m_blue + b * red + c * green]
    one = DiscretisedLogisticMixture(1, 8)
    log_each = sum(
        one.log_prob(torch.stack([0 * m, m, s], dim=-1), x[:, colour].unsqueeze(-1).expand_as(m))
        for colour, (m, s) in enumerate(zip(means, scales.split(3, dim=-1), strict=True))
    )
    assert_close(by_chain, (weights.log_softmax(-1) + log_each).logsumexp(-1))


@pytest.mark.parametrize("conditional", [Bernoulli(), Categorical(2)])
def test_probabilities_of_all_images_sum_to_one(conditional):
    assert_sums_to_one(pixelcnnpp((1, 3, 3), conditional=conditional), all_images((1, 3, 3)))


def test_probabilities_of_all_grey_images_sum_to_one():
    model = pixelcnnpp((1, 2, 3), conditional=DiscretisedLogisticMixture(3, 4), context_features=1)
    images = all_images((1, 2, 3), (-1.0, -1 / 3, 1 / 3, 1.0))
    assert_sums_to_one(model, images, torch.ones(1, dtype=torch.float64))


def test_probabilities_of_all_colour_images_sum_to_one():
    model = pixelcnnpp((3, 1, 2), conditional=DiscretisedLogisticMixture(2, 3))
    assert_sums_to_one(model, all_images((3, 1, 2), (-1.0, 0.0, 1.0)))


def test_draws_follow_the_probabilities():
    assert_draws_follow(pixelcnnpp((1, 2, 3)))


def test_colour_draws_follow_the_probabilities():
    model = pixelcnnpp((3, 1, 1), conditional=DiscretisedLogisticMixture(2, 3))
    images = all_images((3, 1, 1), (-1.0, 0.0, 1.0))
    p, n = model.log_prob(images).exp(), 20_000
    index = (model.sample(n, generator=seeded()).flatten(1) + 1).round().long() @ torch.tensor([9, 3, 1])
    chi_squared = ((index.bincount(minlength=27) - n * p).square() / (n * p)).sum()
    assert abs(chi_squared - 26) < 5 * 52**0.5


def test_dropout_is_on_in_training_only():
    model = pixelcnnpp(dropout=0.5)
    x = torch.ones(2, 1, 3, 3, dtype=torch.float64)
    assert torch.equal(model.log_prob(x), model.log_prob(x))
    model.train()
    assert not torch.equal(model.log_prob(x), model.log_prob(x))


def test_linked_colours_need_the_mixture():
    with pytest.raises(ValueError, match="DiscretisedLogisticMixture"):
        PixelCNNPlusPlus((3, 4, 4), conditional=Categorical(4))
    with pytest.raises(ValueError, match="scales"):
        PixelCNNPlusPlus((1, 4, 4), scales=0)
