"""pix2pixHD: scales, least squares and feature matching in closed form."""

import pytest
import torch
from torch.testing import assert_close

from generative_core import AdversarialStep, Pix2PixHD, ShuffledBatches, fit
from generative_core.translation.pix2pix_hd import CoarseToFine, MultiScaleCritic, halve


def small(**options) -> Pix2PixHD:
    torch.manual_seed(0)
    return Pix2PixHD((1, 16, 16), source_channels=1, channels=(8, 8), blocks=1, critic_channels=(8,), **options)


def pair(n: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    """White noise and its negative."""
    source = torch.rand(n, 1, 16, 16, generator=torch.Generator().manual_seed(0)) - 0.5
    return -source, source


def test_halving_keeps_a_constant_up_to_the_border_and_takes_means_inside():
    assert_close(halve(torch.full((1, 2, 7, 8), 0.3)), torch.full((1, 2, 4, 4), 0.3))
    ramp = torch.arange(9.0).expand(1, 1, 9, 9)
    assert_close(halve(ramp)[0, 0, 2, 1:4], torch.tensor([2.0, 4.0, 6.0]))


def test_each_critic_sees_the_image_halved_once_more():
    torch.manual_seed(0)
    critic = MultiScaleCritic(1, n_scales=3, channels=(4,))
    x = torch.randn(2, 1, 32, 32)
    expected = [critic.critics[0](x), critic.critics[1](halve(x)), critic.critics[2](halve(halve(x)))]
    for logits, one in zip(critic(x), expected, strict=True):
        assert_close(logits, one.flatten())
    assert [len(logits) for logits in critic(x)] == [2 * 30**2, 2 * 14**2, 2 * 6**2]  # two layers of 4 x 4, stride 1


@pytest.mark.parametrize("n_scales", [1, 2])
def test_terms_with_an_undecided_critic_are_known(n_scales):
    model, (target, source) = small(n_scales=n_scales), pair()
    for critic in model.critic.critics:
        torch.nn.init.zeros_(critic.layers[-1][0].weight)
        torch.nn.init.zeros_(critic.layers[-1][0].bias)
    critic_terms = model.critic_terms(source, target, source)
    assert [term.item() for term in critic_terms.values()] == [1.0] * n_scales
    assert_close(model.generator_terms(source, target, source)["adversarial"].item(), 0.5 * n_scales)


def test_feature_matching_is_zero_at_the_target_and_pulls_towards_it():
    model, (target, source) = small(), pair()
    drawn = torch.stack([torch.zeros_like(target), target])
    distances = [model.generator_terms(x, target, source)["feature_matching"].item() for x in drawn]
    assert distances[0] > 0.1
    assert distances[1] == 0
    assert "feature_matching" not in small(feature_matching=0.0).generator_terms(target, target, source)


def test_both_the_coarse_and_the_local_network_reach_the_image():
    model, (_, source) = small(), pair()
    net = model.generator[0]
    whole = model.translate(source)
    for part in (net.coarse.layers[-1], net.front[3]):
        kept = part.weight.detach().clone()
        with torch.no_grad():
            part.weight.mul_(-1)
        assert (model.translate(source) - whole).abs().mean() > 1e-3
        with torch.no_grad():
            part.weight.copy_(kept)


def test_it_learns_without_any_distance_of_pixels():
    model, (target, source) = small(), pair(32)
    fit(AdversarialStep(model, lr=2e-3), ShuffledBatches(target, source, batch_size=8, seed=0), 50)
    with torch.no_grad():
        both = torch.stack([model.translate(source).flatten(), target.flatten()])
    assert torch.corrcoef(both)[0, 1] > 0.4  # -1 for a copy of the source


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"n_scales": 5}, "fewer scales"), ({"n_scales": 0}, "n_scales"), ({"feature_matching": -1.0}, "negative")],
)
def test_what_does_not_fit_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        small(**wrong)
    with pytest.raises(ValueError, match="4 divides"):
        Pix2PixHD((1, 18, 16), source_channels=1, channels=(8, 8), critic_channels=(8,))
    with pytest.raises(ValueError, match="2 divides"):
        CoarseToFine(1, 1, channels=(4,))(torch.zeros(1, 1, 7, 8))


@pytest.mark.parametrize("sides", [(4, 9), (5, 5), (11, 6), (16, 23)])
def test_the_check_of_sides_is_that_of_the_convolutions(sides):
    critic = MultiScaleCritic(1, n_scales=2, channels=(4, 4), norm=None)
    try:
        has_logits = all(len(logits) > 0 for logits in critic(torch.zeros(1, 1, *sides)))
    except RuntimeError:  # a kernel larger than its input
        has_logits = False
    if has_logits:
        critic.check_sides(sides)
    else:
        with pytest.raises(ValueError, match="no logit"):
            critic.check_sides(sides)
