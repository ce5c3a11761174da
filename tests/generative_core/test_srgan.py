"""SRGAN: what its terms are, what moves, and that squared error learns to enlarge."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.testing import assert_close

from generative_core import SRGAN, AdversarialStep


def tiny(**settings) -> SRGAN:
    torch.manual_seed(0)
    return SRGAN((1, 8, 8), channels=8, blocks=1, critic_channels=(8,), **settings)


def batch(n: int = 16) -> tuple[torch.Tensor, torch.Tensor]:
    """Soft bars across the image at any angle, and the same four times smaller."""
    generator = torch.Generator().manual_seed(0)
    angle = torch.rand(n, 1, 1, 1, generator=generator) * 2 * math.pi
    axis = torch.linspace(-1, 1, 8)
    x = torch.tanh(2 * (angle.cos() * axis[:, None] + angle.sin() * axis))
    return x, F.avg_pool2d(x, 4)


def test_squared_error_of_pixels_is_the_paper_s_first_stage():
    model, (x, small) = tiny(content=2.0, adversarial=0.0), batch()
    model.eval()
    drawn = model.draw(x, small)
    assert model.critic_terms(drawn, x, small) == {}
    terms = model.generator_terms(drawn, x, small)
    assert list(terms) == ["content"]
    assert_close(terms["content"], 2 * F.mse_loss(drawn, x))


def test_content_is_measured_in_the_features_alone():
    """The mean brightness as the feature: images that share it are at distance zero."""

    class Brightness(nn.Module):
        def forward(self, x):
            return x.flatten(1).mean(1)

    model, (x, small) = tiny(features=Brightness()), batch()
    same = x.flip(3)
    assert model.generator_terms(same, x, small)["content"].item() == pytest.approx(0, abs=1e-10)
    assert_close(model.generator_terms(x + 0.5, x, small)["content"], torch.tensor(6e-3 * 0.25))


def test_the_adversarial_terms_have_their_weight_and_sign():
    model, (x, small) = tiny(adversarial=0.5), batch()
    drawn = model.draw(x, small).detach().requires_grad_(True)
    term = model.generator_terms(drawn, x, small)["adversarial"]
    logit = model.critic.logit(drawn)
    assert_close(term, 0.5 * F.softplus(-logit).mean())
    model.eval()
    (slope,) = torch.autograd.grad(model.generator_terms(drawn, x, small)["adversarial"], drawn)
    assert model.critic.logit(drawn - slope * 100).mean() > model.critic.logit(drawn).mean()


def test_the_feature_network_never_moves():
    features = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4))
    model, data = tiny(features=features), batch()
    before = {name: value.clone() for name, value in model.features.state_dict().items()}
    step = AdversarialStep(model, lr=1e-2)
    for _ in range(3):
        metrics = step(*data)
    assert set(metrics) >= {"generator/content", "generator/adversarial", "critic/adversarial"}
    assert not model.features.training
    assert all(torch.equal(before[name], value) for name, value in model.features.state_dict().items())
    assert not any(p.requires_grad for p in model.features.parameters())


def test_squared_error_beats_bicubic_enlargement():
    model, (x, small) = tiny(content=1.0, adversarial=0.0), batch(64)
    step = AdversarialStep(model, lr=3e-3, betas=(0.9, 0.999))
    for _ in range(120):
        step(x, small)
    model.eval()
    with torch.no_grad():
        ours = F.mse_loss(model.sample(64, small), x)
    assert ours < 0.5 * F.mse_loss(F.interpolate(small, scale_factor=4, mode="bicubic"), x)


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="divisible"):
        SRGAN((1, 30, 28))
    with pytest.raises(ValueError, match="all be zero"):
        SRGAN((1, 8, 8), content=0.0, adversarial=0.0)
    with pytest.raises(ValueError, match="sources"):
        tiny().translate(torch.zeros(2, 1, 8, 8))


def test_the_default_weight_is_of_pixels_or_of_features():
    assert tiny().content == 1.0
    assert tiny(features=nn.Flatten()).content == 6e-3
