"""Attributes: the second head's loss, who pays it, and that drawings show what was asked for."""

import math

import pytest
import torch
from torch.testing import assert_close

from generative_core import AdversarialStep, AttributeGAN, fit
from generative_core.adversarial.attribute_gan import attribute_loss

SHAPE = (1, 8, 8)


def small(**settings) -> AttributeGAN:
    torch.manual_seed(0)
    return AttributeGAN(
        SHAPE, **({"n_attributes": 2, "latent": 2, "channels": 8, "blocks": 1, "critic_channels": (8, 8)} | settings)
    )


def draws(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def halves(n: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """The first attribute lights the upper half, the second the lower, with noise."""
    attributes = torch.randint(2, (n, 2), generator=generator).float()
    x = (2 * attributes - 1).repeat_interleave(4, 1)[:, None, :, None].expand(n, *SHAPE)
    return (x + 0.2 * torch.randn(x.shape, generator=generator)).clamp(-1, 1), attributes


def test_the_loss_of_the_attributes_is_a_coins_for_each():
    attributes = torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]])
    assert_close(attribute_loss(torch.zeros(2, 3), attributes).item(), 3 * math.log(2))
    logits = torch.tensor([[2.0, -1.0, 0.5], [0.0, 3.0, -2.0]])
    p = torch.where(attributes == 1, logits.sigmoid(), 1 - logits.sigmoid())
    assert_close(attribute_loss(logits, attributes), -p.log().sum() / 2)


def test_the_critics_attributes_are_the_datas_and_the_generators_its_drawings():
    model, (x, attributes) = small(attribute_weight=2.0), halves(6, draws())
    drawn = torch.rand(6, *SHAPE, generator=draws(1))
    for terms, images in (
        (model.critic_terms(drawn, x, attributes, generator=draws()), x),
        (model.generator_terms(drawn, x, attributes), drawn),
    ):
        assert_close(terms["attributes"], 2 * attribute_loss(model.critic.heads(images)[1], attributes))


@pytest.mark.parametrize("penalty", [0.0, 0.5])
def test_the_penalty_is_the_critics_alone_and_may_be_left_out(penalty):
    model, (x, attributes) = small(penalty=penalty), halves(6, draws())
    terms = model.critic_terms(x.flip(0), x, attributes, generator=draws())
    assert set(terms) == {"adversarial", "attributes"} | ({"dragan"} if penalty else set())
    assert set(model.generator_terms(x, x, attributes)) == {"adversarial", "attributes"}


def test_a_critic_of_slope_one_pays_no_penalty():
    """logit = the first pixel: its gradient has norm 1 everywhere."""
    model, (x, attributes) = small(penalty=7.0), halves(6, draws())
    model.critic.logit = lambda x: x[:, 0, 0, 0]
    assert_close(model.critic_terms(x, x, attributes, generator=draws())["dragan"].item(), 0.0, atol=1e-6, rtol=0)
    model.critic.logit = lambda x: 3 * x[:, 0, 0, 0]
    assert_close(model.critic_terms(x, x, attributes, generator=draws())["dragan"].item(), 7.0 * 4)


def test_it_learns_to_light_what_it_is_told():
    model, generator = small(), draws()
    batches = iter(lambda: halves(32, generator), None)
    fit(AdversarialStep(model, lr=3e-3), batches, 80)
    _, attributes = halves(64, draws(1))
    with torch.no_grad():
        x = model.eval().sample(64, attributes, generator=draws(2))
    shown = torch.stack([x[:, 0, :4].mean((1, 2)), x[:, 0, 4:].mean((1, 2))], dim=1) > 0
    assert (shown == (attributes > 0.5)).float().mean() > 0.9


@pytest.mark.parametrize("shape", [(1, 6, 8), (8, 8)])
def test_sides_that_cannot_be_quartered_are_refused(shape):
    with pytest.raises(ValueError, match="divisible by 4"):
        AttributeGAN(shape, n_attributes=2)


@pytest.mark.parametrize("attributes", [None, torch.zeros(2, 3)])
def test_attributes_that_are_missing_or_too_many_are_refused(attributes):
    with pytest.raises(ValueError, match=r"give some \(n, 2\) as the context"):
        small().sample(2, attributes)
