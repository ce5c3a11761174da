"""Captions: what the critic is to refuse, the law about a caption, and a stage that keeps the one below."""

import pytest
import torch
import torch.nn.functional as F
from torch.distributions import Normal, kl_divergence
from torch.testing import assert_close

from generative_core import AdversarialStep, StackGAN, fit

SHAPE, TEXT = (1, 8, 8), 3


def small(shape=SHAPE, **settings) -> StackGAN:
    torch.manual_seed(0)
    return StackGAN(
        shape, **({"text_features": TEXT, "latent": 2, "conditions": 4, "channels": (8, 8), "blocks": 1} | settings)
    )


def draws(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def some(n: int = 6, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    text = F.one_hot(torch.arange(n) % TEXT, TEXT).float()
    return torch.rand(n, *SHAPE, generator=draws(seed)) * 2 - 1, text


def test_the_divergence_from_the_prior_is_in_closed_form():
    model, (_, text) = small(), some()
    augmentation = model.generator.augmentation
    mean, log_std = augmentation.output(text).chunk(2, dim=1)
    expected = kl_divergence(Normal(mean, log_std.exp()), Normal(0.0, 1.0)).mean(1)
    assert_close(augmentation.kl(text), expected)
    with torch.no_grad():
        augmentation.output.weight.zero_()
        augmentation.output.bias.zero_()
    assert augmentation.kl(text).abs().max() == 0


def test_conditions_have_the_mean_and_spread_that_the_text_asks_for():
    augmentation = small().generator.augmentation
    text = torch.tensor([[0.0, 1.0, 0.0]]).expand(20_000, -1)
    drawn = augmentation(text, torch.randn(20_000, 4, generator=draws()))
    mean, log_std = augmentation.output(text[:1]).chunk(2, dim=1)
    assert_close(drawn.mean(0), mean[0], atol=0.05, rtol=0)
    assert_close(drawn.std(0), log_std.exp()[0], rtol=0.03, atol=0)


def test_the_critic_refuses_drawings_and_wrong_captions_by_their_shares():
    model, (x, text), (drawn, _) = small(mismatch=0.25), some(), some(seed=1)
    terms = model.critic_terms(drawn, x, text)
    wrong = model.critic.logit(x, text.roll(1, 0))
    assert_close(terms["matching"], F.softplus(-model.critic.logit(x, text)).mean())
    assert_close(terms["drawn"], 0.75 * F.softplus(model.critic.logit(drawn, text)).mean())
    assert_close(terms["mismatched"], 0.25 * F.softplus(wrong).mean())
    assert set(small(mismatch=0.0).critic_terms(drawn, x, text)) == {"matching", "drawn"}


def test_a_neighbour_with_the_same_caption_is_no_wrong_one():
    model, (x, text) = small(), some()
    same = text[:1].expand(6, -1)
    assert model.critic_terms(x, x, same)["mismatched"] == 0
    half = torch.cat([same[:3], text[1:2].expand(3, -1)])  # two rows of six have another's caption before them
    expected = F.softplus(model.critic.logit(x[[0, 3]], half[[5, 2]])).mean() / 2
    assert_close(model.critic_terms(x, x, half)["mismatched"], expected)


def test_the_stage_below_stays_as_it_is():
    below = small()
    text = some()[1]
    x = torch.rand(6, 1, 16, 16, generator=draws()) * 2 - 1
    below.sample(6, text, generator=draws(5))  # its batch norms have seen something
    model = small((1, 16, 16), below=below)
    before = {name: value.clone() for name, value in model.generator.below.state_dict().items()}
    step = AdversarialStep(model, lr=1e-2)
    moving = {name: p.detach().clone() for name, p in model.generator.named_parameters() if p.requires_grad}
    step(x, text)
    step(x, text)
    assert all(torch.equal(value, before[name]) for name, value in model.generator.below.state_dict().items())
    assert [
        name for name, p in model.generator.named_parameters() if name in moving and torch.equal(p, moving[name])
    ] == []


def test_a_stage_draws_on_what_the_one_below_draws():
    """Another z of the stage below, with the same noise of its own, is another image."""
    model = small((1, 16, 16), below=small()).eval()
    z = model.generator.sample_latent(6, generator=draws())
    other = z.clone()
    other[:, :2] += 1
    text = some()[1]
    assert (model.generator(z, text) - model.generator(other, text)).abs().max() > 1e-6
    assert model.sample(6, text).shape == (6, 1, 16, 16)


def test_it_learns_what_the_words_mean():
    """The first word is a light image, the second a dark one, the third light above and dark below."""
    generator = draws()

    def batches():
        while True:
            word = torch.randint(TEXT, (32,), generator=generator)
            upper, lower = torch.tensor([0.8, -0.8, 0.8])[word], torch.tensor([0.8, -0.8, -0.8])[word]
            x = torch.stack([upper, lower], dim=1).repeat_interleave(4, 1)[:, None, :, None].expand(32, *SHAPE)
            yield (x + 0.2 * torch.randn(x.shape, generator=generator)).clamp(-1, 1), F.one_hot(word, TEXT).float()

    model = small(kl=0.1)
    fit(AdversarialStep(model, lr=3e-3), batches(), 200)
    text = F.one_hot(torch.arange(60) % TEXT, TEXT).float()
    with torch.no_grad():
        x = model.eval().sample(60, text, generator=draws(1))
    halves = torch.stack([x[:, 0, :4].mean((1, 2)), x[:, 0, 4:].mean((1, 2))], dim=1).view(20, TEXT, 2).mean(0)
    assert_close(halves.sign(), torch.tensor([[1.0, 1.0], [-1.0, -1.0], [1.0, -1.0]]))
    assert halves.abs().min() > 0.3


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: small((1, 12, 16), below=small()), "doubles"),
        (lambda: small(mismatch=1.0), "share"),
        (lambda: small().sample(2), "captions"),
    ],
)
def test_mistakes_are_named(make, match):
    with pytest.raises(ValueError, match=match):
        make()


@pytest.mark.parametrize(
    ("shape", "below"),
    [((1, 14, 14), (1, 7, 7)), ((3, 8, 8), (1, 4, 4)), ((1, 8, 8), (1, 8, 8))],
    ids=["odd sides", "other colours", "not half"],
)
def test_a_stage_stands_only_on_one_of_half_its_even_sides(shape, below):
    first = StackGAN(below, text_features=2, latent=2, conditions=2, channels=(4,))
    with pytest.raises(ValueError, match="doubles the sides"):
        StackGAN(shape, text_features=2, below=first, conditions=2, channels=(4,))


def test_both_stages_read_the_same_captions():
    first = StackGAN((1, 4, 4), text_features=2, latent=2, conditions=2, channels=(4,))
    with pytest.raises(ValueError, match="text_features=2, got 3"):
        StackGAN((1, 8, 8), text_features=3, below=first, conditions=2, channels=(4,))
    with pytest.raises(ValueError, match="as the context"):
        first.sample(2, torch.zeros(2, 3))
