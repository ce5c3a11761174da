"""The context encoder: what it may change, what its error counts, what reaches what, and learning to fill."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from generative_core import AdversarialStep, ContextEncoder
from generative_core.nets.unet import UNet
from generative_core.translation.context_encoder import masked_mean_square


def tiny(**settings) -> ContextEncoder:
    torch.manual_seed(0)
    return ContextEncoder((1, 8, 8), channels=(8, 16), **settings)


def stripes(n: int = 64) -> tuple[torch.Tensor, torch.Tensor]:
    """Images of one grey each and, damaged, without their middle: any place left says what was there."""
    generator = torch.Generator().manual_seed(0)
    x = (1.6 * torch.rand(n, 1, 1, 1, generator=generator) - 0.8).expand(n, 1, 8, 8).clone()
    mask = torch.zeros(n, 1, 8, 8)
    mask[:, :, 2:6, 2:6] = 1
    return x, torch.cat([x * (1 - mask), mask], dim=1)


def test_what_is_not_masked_stays_and_what_is_masked_is_made():
    model, (x, source) = tiny().eval(), stripes()
    out = model.sample(64, source)
    outside = source[:, 1:] == 0
    assert torch.equal(out[outside], x[outside])
    assert (out[~outside] != 0).all()
    assert out.abs().max() <= 1
    everywhere = torch.cat([x, torch.ones_like(x)], dim=1)
    assert torch.equal(model.translate(everywhere), model.generator(everywhere))


def test_the_error_counts_masked_pixels_alone():
    difference = torch.zeros(2, 3, 4, 4)
    mask = torch.zeros(2, 1, 4, 4)
    mask[0, 0, 0, 0] = mask[1, 0, 2, 2] = 1
    difference[0, :, 0, 0] = 2.0
    difference[0, :, 3, 3] = 100.0  # not masked
    assert_close(masked_mean_square(difference, mask), torch.tensor(2.0))  # 4 on three of six elements
    assert masked_mean_square(difference, torch.zeros_like(mask)) == 0


def test_terms_have_their_weights_and_the_critic_can_rest():
    model, (x, source) = tiny(reconstruction=2.0, adversarial=0.5), stripes(8)
    model.eval()
    drawn = model.draw(x, source)
    terms = model.generator_terms(drawn, x, source)
    assert_close(terms["reconstruction"], 2 * masked_mean_square(drawn - x, source[:, 1:]))
    assert_close(terms["adversarial"], 0.5 * nn.functional.softplus(-model.critic.logit(drawn)).mean())
    alone = tiny(adversarial=0.0)
    assert alone.critic_terms(drawn, x, source) == {}
    assert list(alone.generator_terms(drawn, x, source)) == ["reconstruction"]


def test_every_masked_pixel_sees_the_whole_image():
    model = tiny().eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    _, source = stripes(1)
    source = source.requires_grad_(True)
    (slope,) = torch.autograd.grad(model.translate(source)[0, 0, 2, 2], source)
    assert (slope[0, 0] != 0).all()


def test_it_learns_to_fill():
    model, (x, source) = tiny(), stripes()
    step = AdversarialStep(model, lr=5e-3)
    for _ in range(120):
        step(x, source)
    model.eval()
    with torch.no_grad():
        error = masked_mean_square(model.translate(source) - x, source[:, 1:])
    assert error < 0.15 * x.var()  # the mean grey has the variance


def test_another_network_takes_its_place():
    net = UNet(2, 1, channels=(4, 8))
    model = ContextEncoder((1, 8, 8), channels=(4,), net=net)
    assert model.generator[0] is net
    assert model.eval().sample(3, stripes(3)[1]).shape == (3, 1, 8, 8)


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="all be zero"):
        ContextEncoder((1, 8, 8), reconstruction=0.0, adversarial=0.0)
    with pytest.raises(ValueError, match="sources"):
        tiny().translate(torch.zeros(2, 1, 8, 8))


def test_a_network_that_is_given_keeps_its_weights():
    torch.manual_seed(1)
    net = UNet(2, 1, channels=(4, 8))
    before = {name: value.clone() for name, value in net.state_dict().items()}
    model = ContextEncoder((1, 8, 8), channels=(4,), net=net)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    empty = nn.Sequential()  # it is false, and given
    assert ContextEncoder((1, 8, 8), channels=(4,), net=empty).generator[0] is empty
    assert model.critic.encoder.convolutions[0].weight.std() < 0.03
