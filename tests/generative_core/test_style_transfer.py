"""Content against style: each weight pulls its own way, and both the pixels and the network come down the loss."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from generative_core import MaximumLikelihoodStep, StyleTransfer

SHAPE = (2, 8, 8)


class Maps(nn.Module):
    """Two layers: the image itself, and the means of 2 x 2 places."""

    def forward(self, x):
        return [x, nn.functional.avg_pool2d(x, 2)]


def images(n: int, seed: int) -> torch.Tensor:
    return 2 * torch.rand(n, *SHAPE, generator=torch.Generator().manual_seed(seed)) - 1


def tiny(**weights: float) -> StyleTransfer:
    torch.manual_seed(0)
    return StyleTransfer(
        SHAPE, Maps(), images(3, 9), translator=nn.Sequential(nn.Conv2d(2, 2, 1), nn.Tanh()), **weights
    )


def test_a_content_in_its_own_style_costs_nothing():
    x = images(1, 9)
    model = StyleTransfer(SHAPE, Maps(), x, translator=nn.Identity(), tv=0.0)
    assert model.loss(x).abs().max() < 1e-10


def test_the_parts_by_hand():
    model, x, y = tiny(content=2.0, style=3.0, tv=0.5), images(2, 0), images(2, 1)
    losses = model.losses(y, x)
    small_y, small_x = (nn.functional.avg_pool2d(image, 2) for image in (y, x))
    assert_close(losses.content, (small_y - small_x).square().flatten(1).mean(1))
    style = 0
    for layer, target in ((y, images(3, 9)), (small_y, nn.functional.avg_pool2d(images(3, 9), 2))):
        n_places = layer.shape[2] * layer.shape[3]
        gram, wanted = (torch.einsum("bihw,bjhw->bij", m, m) / (2 * n_places) for m in (layer, target))
        style = style + (gram - wanted.mean(0)).square().sum((1, 2))
    assert_close(losses.style, style)
    y = model.translate(x)
    parts = model.losses(y, x)
    assert_close(model.loss(x), 2 * parts.content + 3 * parts.style + 0.5 * parts.tv)


def test_the_style_does_not_see_where_and_the_content_does():
    class Pixels(nn.Module):
        def forward(self, x):
            return [x]

    model, x = StyleTransfer(SHAPE, Pixels(), images(1, 9), translator=nn.Identity()), images(2, 0)
    turned = x.flip(2)
    assert_close(model.losses(turned, x).style, model.losses(x, x).style)
    assert model.losses(turned, x).content.min() > 0.1


def test_moving_pixels_lowers_both_losses_against_the_noise():
    model, x = tiny(content=1.0, style=1.0), images(2, 0)
    noise = 2 * torch.rand(x.shape, generator=torch.Generator().manual_seed(3)) - 1
    before, after = model.losses(noise, x), model.losses(model.optimise(x, start=noise, n_steps=80), x)
    assert (after.content < 0.5 * before.content).all()
    assert (after.style < before.style).all()


def test_the_weights_decide_what_the_pixels_become():
    x = images(1, 0)
    made = {
        name: model.losses(model.optimise(x, n_steps=80, generator=torch.Generator().manual_seed(3)), x)
        for name, model in (("content", tiny(style=0.0)), ("style", tiny(content=0.0, style=100.0)))
    }
    assert made["content"].content < 0.1 * made["style"].content
    assert made["style"].style < 0.1 * made["content"].style


def test_pixels_stay_in_range_and_the_seed_decides_the_noise():
    model, x = tiny(), 3 * images(1, 0)
    first, again, other = (
        model.optimise(x, n_steps=3, generator=torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)
    )
    assert first.abs().max() <= 1
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    with torch.no_grad():
        assert torch.equal(model.optimise(x, n_steps=3, generator=torch.Generator().manual_seed(0)), first)


def test_a_trained_translator_comes_down_the_loss_and_the_features_stay():
    model, x = tiny(content=1.0, style=1.0), images(16, 0)
    step = MaximumLikelihoodStep(model, lr=2e-2)
    first, *_, last = (step(x)["loss"] for _ in range(60))
    assert last < 0.7 * first


def test_it_has_one_style():
    with pytest.raises(ValueError, match="without context"):
        tiny().loss(images(2, 0), torch.zeros(2, 3))


def test_the_content_is_looked_at_once():
    model, x, seen = tiny(), images(1, 0), []
    model.features.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    model.optimise(x, n_steps=4, generator=torch.Generator().manual_seed(3))
    assert len(seen) == 1 + 4


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="negative"):
        tiny(style=-1.0)
    with pytest.raises(ValueError, match="4 divides"):
        StyleTransfer((2, 6, 8), Maps(), images(1, 9))
