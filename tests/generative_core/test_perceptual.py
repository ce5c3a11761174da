"""Distances of content and style: known answers and what they do not see."""

import torch
from torch import nn
from torch.testing import assert_close

from generative_core.nets.frozen import Frozen
from generative_core.translation.perceptual import (
    content_distance,
    gram_matrix,
    layers,
    style_distance,
    total_variation,
)


def maps(seed: int = 0) -> torch.Tensor:
    return torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(seed))


def test_a_gram_matrix_by_hand():
    x = torch.tensor([[[[1.0, 2.0]], [[3.0, 0.0]]]])  # two channels of two places
    assert_close(gram_matrix(x), torch.tensor([[[5.0, 3.0], [3.0, 9.0]]]) / 4)


def test_a_gram_matrix_does_not_see_where():
    x = maps()
    places = torch.randperm(20, generator=torch.Generator().manual_seed(1))
    assert_close(gram_matrix(x), gram_matrix(x.flatten(2)[:, :, places].view_as(x)))
    assert (torch.linalg.eigvalsh(gram_matrix(x)) >= -1e-6).all()


def test_distances_are_zero_for_equals_and_quadratic():
    x, y = maps(0), maps(1)
    assert content_distance(x, x).abs().max() == 0
    assert_close(content_distance(x + 3 * (y - x), x), 9 * content_distance(y, x))
    a, b = [gram_matrix(x)], [gram_matrix(y)]
    assert style_distance(a, a).abs().max() == 0
    assert_close(style_distance(a * 2, b * 2), 2 * style_distance(a, b))  # a sum over the layers
    assert_close(style_distance(a, [b[0][:1]])[0], style_distance(a, b)[0])  # one target for all


def test_total_variation_of_a_ramp_and_a_constant():
    ramp = 0.25 * torch.arange(6.0).expand(1, 2, 4, 6)
    assert_close(total_variation(ramp), torch.tensor([0.25]))
    assert_close(total_variation(ramp.transpose(2, 3)), torch.tensor([0.25]))
    assert total_variation(torch.ones(1, 2, 4, 6)) == 0


def test_one_output_and_several_are_layers_alike():
    x = maps()
    assert layers(x)[0] is x
    assert layers((x, x)) == [x, x]


def test_a_frozen_network_is_a_copy_that_no_training_moves():
    net = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2))
    frozen = Frozen(net).train()
    x = torch.randn(8, 1, 3, 3, generator=torch.Generator().manual_seed(0)).requires_grad_(True)
    before = frozen(x).detach()
    nn.init.zeros_(net[0].weight)
    (grad,) = torch.autograd.grad(frozen(x).sum(), x)
    assert_close(frozen(x), before)  # neither the statistics nor the copied weights have moved
    assert grad.abs().min() > 0
    assert not any(p.requires_grad for p in frozen.parameters())
