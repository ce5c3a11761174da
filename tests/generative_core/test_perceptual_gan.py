"""The perceptual GAN: what is fixed, what each branch learns from, and lifting features that are too weak."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.testing import assert_close

from generative_core import AdversarialStep, PerceptualGAN


def tiny(**settings) -> PerceptualGAN:
    """Fixed features: eight random filters as the first layer, their means over 2 x 2 as the last."""
    torch.manual_seed(0)
    return PerceptualGAN(
        (8, 4, 4),
        source_shape=(1, 8, 8),
        stem=nn.Conv2d(1, 8, 3, padding=1),
        trunk=nn.AvgPool2d(2),
        stem_channels=8,
        n_classes=2,
        blocks=1,
        hidden=16,
        **settings,
    )


def objects(n: int = 64) -> tuple[torch.Tensor, ...]:
    """Bright left or right halves; the small ones are a fifth as bright, and other objects than the large ones."""
    generator = torch.Generator().manual_seed(0)
    sides = []
    for strength in (1.0, 0.2):
        label = torch.randint(2, (n,), generator=generator)
        x = 0.05 * torch.randn(n, 1, 8, 8, generator=generator)
        x[label == 0, :, :, :4] += strength
        x[label == 1, :, :, 4:] += strength
        sides += [x, label]
    return tuple(sides)


def test_before_training_nothing_is_added():
    model, (_, _, small, _) = tiny().eval(), objects()
    assert torch.equal(model.sample(64, small), F.avg_pool2d(model.stem(small), 2))


def test_terms_name_their_branches_and_sides():
    model, batch = tiny(adversarial=0.5, perception=2.0).eval(), objects()
    large, label_large, _, label_small = batch
    drawn = model.draw(*batch)
    critic = model.critic_terms(drawn, *batch)
    assert_close(critic["perception"], F.cross_entropy(model.classify(F.avg_pool2d(model.stem(large), 2)), label_large))
    lifted = model.generator_terms(drawn, *batch)
    assert_close(lifted["perception"], 2 * F.cross_entropy(model.classify(drawn), label_small))
    assert_close(lifted["adversarial"], 0.5 * F.softplus(-model.critic.logit(drawn)).mean())
    assert list(tiny(perception=0.0).generator_terms(drawn, *batch)) == ["adversarial"]
    deaf = tiny(adversarial=0.0)
    assert list(deaf.generator_terms(drawn, *batch)) == ["perception"]
    assert set(AdversarialStep(deaf)(*batch)) >= {"critic/perception", "critic/adversarial", "generator/perception"}


def test_the_features_do_not_learn():
    torch.manual_seed(0)
    stem = nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.BatchNorm2d(3))
    model = PerceptualGAN(
        (3, 4, 4), source_shape=(1, 8, 8), stem=stem, trunk=nn.AvgPool2d(2), stem_channels=3, n_classes=2, hidden=8
    )
    before = {name: value.clone() for name, value in model.stem.state_dict().items()}
    step = AdversarialStep(model, lr=1e-2)
    for _ in range(3):
        step(*objects())
    assert all(torch.equal(before[name], value) for name, value in model.stem.state_dict().items())
    assert model.generator.training
    assert not model.stem.training


def test_it_lifts_small_objects_to_the_features_of_large_ones():
    model, batch = tiny(), objects()
    large, label_large, small, label_small = batch
    step = AdversarialStep(model, lr=1e-2)
    for _ in range(150):
        step(*batch)
    model.eval()
    with torch.no_grad():
        lifted, weak = model.translate(small), model.features(small)
        right = (model.classify(lifted).argmax(1) == label_small).float().mean()
        means = [
            torch.stack([features[label == k].mean(0) for k in range(2)])
            for features, label in ((model.features(large), label_large), (weak, label_small), (lifted, label_small))
        ]
        gaps = [(mean - means[0]).square().mean() for mean in means[1:]]
    assert right > 0.95
    assert gaps[1] < 0.5 * gaps[0]


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="all be zero"):
        tiny(adversarial=0.0, perception=0.0)
    with pytest.raises(ValueError, match="sources"):
        tiny().translate(torch.zeros(2, 1, 4, 4))
