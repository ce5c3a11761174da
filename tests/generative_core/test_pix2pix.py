"""pix2pix: its terms in closed form, the noise that is dropout, and a pair of domains that it learns."""

import copy
import math

import pytest
import torch
from torch.testing import assert_close

from generative_core import AdversarialStep, Pix2Pix, ShuffledBatches, fit

SHAPE = (2, 8, 8)


def small(**options) -> Pix2Pix:
    torch.manual_seed(0)
    return Pix2Pix(SHAPE, source_channels=1, channels=(8, 8), critic_channels=(8,), **options)


def pair(n: int = 16) -> tuple[torch.Tensor, torch.Tensor]:
    """Images that are 0.5 or -0.5 everywhere -> the same value in the first channel, its negative in the second."""
    generator = torch.Generator().manual_seed(0)
    source = torch.randint(2, (n, 1, 1, 1), generator=generator).float().expand(n, 1, 8, 8) - 0.5
    return torch.cat([source, -source], dim=1), source


def test_a_sample_is_a_translation_of_its_context():
    model, (_, source) = small().eval(), pair()
    x = model.sample(16, source)
    assert x.shape == (16, *SHAPE)
    assert x.abs().max() <= 1
    assert torch.equal(x, model.translate(source))
    with pytest.raises(ValueError, match="context"):
        model.sample(16)
    with pytest.raises(ValueError, match=r"\(1, 8, 8\)"):
        model.translate(torch.zeros(2, 3, 8, 8))


def test_terms_with_an_undecided_critic_are_known():
    model, (target, source) = small(l1=10.0, adversarial=2.0), pair()
    for p in model.critic.parameters():
        torch.nn.init.zeros_(p)
    drawn = target + 0.25
    assert_close(model.critic_terms(drawn, target, source)["adversarial"], torch.tensor(math.log(4)))
    terms = model.generator_terms(drawn, target, source)
    assert_close(terms["l1"], torch.tensor(2.5))
    assert_close(terms["adversarial"], torch.tensor(2 * math.log(2)))


def test_the_critic_judges_the_pair_and_not_the_image_alone():
    model, (target, source) = small(), pair()
    drawn = torch.zeros_like(target)
    right, wrong = (model.generator_terms(drawn, target, s)["adversarial"] for s in (source, -source))
    assert abs(right - wrong) > 1e-4


def test_the_noise_is_dropout_and_rests_in_evaluation_mode():
    _, source = pair()
    noisy, silent = small(dropout=(0.5,)), small(dropout=())
    with torch.no_grad():
        assert not torch.equal(noisy.train().translate(source), noisy.translate(source))
        assert torch.equal(silent.train().translate(source), silent.translate(source))
        assert torch.equal(noisy.eval().translate(source), noisy.translate(source))


def test_without_the_game_the_critic_rests():
    model, batch = small(adversarial=0.0), pair()
    before = [p.detach().clone() for p in model.critic.parameters()]
    metrics = AdversarialStep(model)(*batch)
    assert set(metrics) == {"generator/l1", "loss_generator"}
    assert all(torch.equal(a, b) for a, b in zip(before, model.critic.parameters(), strict=True))


def test_it_learns_a_pair_of_domains():
    model, (target, source) = small(), pair(64)
    fit(AdversarialStep(model, lr=5e-3), ShuffledBatches(target, source, batch_size=16, seed=0), 50)
    with torch.no_grad():
        error = (model.eval().translate(source) - target).abs().mean()
    assert error < 0.2  # 0.5 for the best constant


def test_a_resumed_game_goes_on_exactly():
    batch = pair()
    steps = [AdversarialStep(small(dropout=()), lr=1e-3) for _ in range(2)]
    for _ in range(2):
        steps[0](*batch)
    steps[1].load_state_dict(copy.deepcopy(steps[0].state_dict()))
    assert steps[0](*batch) == steps[1](*batch)
