"""The U-Net that is told the time."""

import pytest
import torch
from torch import nn

from generative_core.nets.time_unet import FourierFeatures, SelfAttention, TimedResidualBlock, TimeUNet


def awake(**settings) -> TimeUNet:
    """One whose last layers no longer say nothing."""
    torch.manual_seed(0)
    net = TimeUNet((1, 8, 8), channels=(8, 16), **settings)
    for parameter in net.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.1)
    return net


@pytest.mark.parametrize("settings", [{}, {"attention": False}, {"blocks": 2}, {"patch": 2}])
def test_shapes_and_a_gradient_for_every_parameter(settings):
    net = awake(context_features=3, **settings)
    out = net(torch.randn(5, 1, 8, 8), torch.rand(5), torch.randn(5, 3))
    assert out.shape == (5, 1, 8, 8)
    out.square().sum().backward()
    assert [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_before_training_it_says_nothing():
    net = TimeUNet((1, 8, 8), channels=(8, 16))
    assert not net(torch.randn(2, 1, 8, 8), torch.rand(2)).any()


def test_time_and_context_matter_and_each_event_has_its_own():
    net = awake(context_features=2)
    x, t, context = torch.randn(2, 1, 8, 8), torch.tensor([0.1, 0.9]), torch.randn(2, 2)
    both = net(x, t, context)
    assert not torch.allclose(net(x, t.flip(0), context), both)
    assert not torch.allclose(net(x, t, context.flip(0)), both)
    torch.testing.assert_close(net(x[1:], t[1:], context[1:]), both[1:])


def test_every_pixel_sees_every_pixel_through_attention():
    net = awake(attention=True)
    x = torch.randn(1, 1, 8, 8, requires_grad=True)
    (slope,) = torch.autograd.grad(net(x, torch.zeros(1))[0, 0, 0, 0], x)
    assert (slope != 0).all()


def test_attention_does_not_know_places():
    torch.manual_seed(0)
    layer = SelfAttention(8)
    nn.init.normal_(layer.project.weight)
    x, order = torch.randn(2, 8, 3, 4), torch.randperm(12)
    shuffled = x.flatten(2)[:, :, order].view_as(x)
    torch.testing.assert_close(layer(shuffled), layer(x).flatten(2)[:, :, order].view_as(x))


def test_a_block_begins_as_its_shortcut():
    x = torch.randn(2, 8, 4, 4)
    assert torch.equal(TimedResidualBlock(8, 8, 5)(x, torch.randn(2, 5)), x)


def test_times_are_told_apart_at_fine_and_coarse_scales():
    features = FourierFeatures(32)
    t = torch.linspace(-2, 2, 401)
    distance = torch.cdist(features(t), features(t)) + 10 * torch.eye(401)
    assert distance.min() > 0.1


def test_sides_that_do_not_divide_are_refused():
    with pytest.raises(ValueError, match="that 8 divides"):
        TimeUNet((1, 28, 28), channels=(8, 8, 8), patch=2)


def test_widths_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="even"):
        TimeUNet((1, 8, 8), channels=(7, 8))
    net = TimeUNet((1, 8, 8), channels=(8, 16), context_features=2)
    for context in (None, torch.zeros(1, 3)):
        with pytest.raises(ValueError, match="2 context features"):
            net(torch.zeros(1, 1, 8, 8), torch.zeros(1), context)
