"""Coupled games: what reconstruction asks for, one way and both, and that the code is all that gets through."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from generative_core import AdversarialStep, DiscoGAN

X, Y = (1, 8, 8), (3, 8, 12)


def tiny(**settings) -> DiscoGAN:
    torch.manual_seed(0)
    return DiscoGAN(Y, source_shape=X, latent=5, channels=(4, 8), **settings)


def batch(n: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(0)
    return 2 * torch.rand(n, *X, generator=random) - 1, 2 * torch.rand(n, *Y, generator=random) - 1


def test_it_translates_between_different_sides_and_channels():
    model, (x, y) = tiny(), batch()
    assert model.translate(x).shape == (6, *Y)
    assert model.translate_back(y).shape == (6, *X)
    assert model.translate(x).abs().max() <= 1
    with pytest.raises(ValueError, match="built for sources"):
        model.sample(6, y)


def test_reconstructions_are_weighted_mean_squares_of_the_round_trips():
    model, (x, y) = tiny(reconstruction_x=2.0, reconstruction_y=5.0).eval(), batch()
    made_y, made_x = model.draw(x, y)
    terms = model.generator_terms((made_y, made_x), x, y)
    assert_close(terms["reconstruction_x"], 2 * F.mse_loss(model.translate_back(model.translate(x)), x))
    assert_close(terms["reconstruction_y"], 5 * F.mse_loss(model.translate(model.translate_back(y)), y))


@pytest.mark.parametrize(
    ("weights", "names"),
    [
        ({"reconstruction_x": 0.0, "reconstruction_y": 0.0}, set()),
        ({"reconstruction_y": 0.0}, {"reconstruction_x"}),
        ({}, {"reconstruction_x", "reconstruction_y"}),
    ],
)
def test_the_three_models_that_the_paper_compares(weights, names):
    model, (x, y) = tiny(**weights), batch()
    terms = model.generator_terms(model.draw(x, y), x, y)
    assert set(terms) == {"adversarial_y", "adversarial_x"} | names


def test_features_are_matched_in_the_mean_and_so_blind_to_which_is_which():
    model, (x, y) = tiny(feature_matching=3.0).eval(), batch()
    made_y, made_x = model.draw(x, y)
    terms = model.generator_terms((made_y, made_x), x, y)
    for domain, real, made in (("y", y, made_y), ("x", x, made_x)):
        critic = model.critic[domain]
        apart = 3 * F.mse_loss(critic.embed(made).mean(0), critic.embed(real).mean(0))
        assert_close(terms[f"feature_matching_{domain}"], apart)
    perfect = model.generator_terms((y.flip(0), x.flip(0)), x, y)
    assert perfect["feature_matching_y"] < 1e-12 < terms["feature_matching_y"]
    assert perfect["feature_matching_x"] < 1e-12 < terms["feature_matching_x"]


def test_in_the_curriculum_reconstructions_weigh_a_hundredth():
    model, (x, y) = tiny(reconstruction_x=2.0, reconstruction_y=5.0, curriculum=2).eval(), batch()
    drawn = model.draw(x, y)
    seen = []
    for _ in range(4):
        model.critic_terms(drawn, x, y)
        terms = model.generator_terms(drawn, x, y)
        seen.append([terms["reconstruction_x"].item(), terms["reconstruction_y"].item()])
    full = 2 * F.mse_loss(model.translate_back(drawn[0]), x), 5 * F.mse_loss(model.translate(drawn[1]), y)
    assert_close(torch.tensor(seen), torch.outer(torch.tensor([0.01, 0.01, 1.0, 1.0]), torch.stack(full).detach()))
    with pytest.raises(ValueError, match="curriculum"):
        tiny(curriculum=-1)


def test_the_running_statistics_are_those_of_data():
    """A batch of translations that are unlike data moves none of them on its way back."""
    model, (x, y) = tiny().train(), batch()
    drawn = model.draw(x, y)
    before = {name: value.clone() for name, value in model.generator.state_dict().items() if "running" in name}
    model.generator_terms((0.5 * drawn[0] + 3, 0.5 * drawn[1] + 3), x, y)
    after = model.generator.state_dict()
    assert before
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    model.draw(x, y)
    after = model.generator.state_dict()
    assert not any(torch.equal(value, after[name]) for name, value in before.items())


def test_an_undecided_critic_costs_log_four_a_domain():
    model, (x, y) = tiny(), batch()
    for critic in model.critic.values():
        torch.nn.init.zeros_(critic.encoder.output.weight)
        torch.nn.init.zeros_(critic.encoder.output.bias)
    terms = model.critic_terms(model.draw(x, y), x, y)
    assert_close(terms["adversarial_y"].item(), math.log(4))
    assert_close(terms["adversarial_x"].item(), math.log(4))


def test_all_that_gets_through_is_the_code():
    """The rank of the translation's derivative is at most the number of latents: there is no way around it."""
    model = tiny().eval().double()
    x = batch(1)[0].double()
    derivative = torch.autograd.functional.jacobian(model.translate, x).reshape(math.prod(Y), math.prod(X))
    assert torch.linalg.matrix_rank(derivative, rtol=1e-9) <= 5


def test_reconstruction_alone_is_learned():
    model = tiny(reconstruction_x=50.0, reconstruction_y=50.0)
    step = AdversarialStep(model, lr=1e-2)
    level = torch.linspace(-0.9, 0.9, 8).view(8, 1, 1, 1)
    first, *_, last = (step(level.expand(-1, *X), level.expand(-1, *Y)) for _ in range(40))
    for name in ("generator/reconstruction_x", "generator/reconstruction_y"):
        assert last[name] < 0.5 * first[name]


def test_a_resumed_game_repeats_to_the_bit():
    whole, half, resumed = (AdversarialStep(tiny(feature_matching=1.0, curriculum=3)) for _ in range(3))
    for _ in range(4):
        whole(*batch())
    for _ in range(2):
        half(*batch())
    resumed.load_state_dict(half.state_dict())
    for _ in range(2):
        resumed(*batch())
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name
