"""EDM: the preconditioning's identities, the samplers on a law whose denoiser is known, and learning."""

import math
from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from generative_core import EDM, Churn, MaximumLikelihoodStep
from generative_core.diffusion.edm import sample_heun, sigma_levels

MEAN = torch.tensor([0.7, -0.3], dtype=torch.float64)
ROOT = torch.tensor([[0.6, 0.0], [0.5, 0.2]], dtype=torch.float64)
COVARIANCE = ROOT @ ROOT.T


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def gaussian_slope(x, sigma):
    """(x - D(x; s)) / s for N(MEAN, COVARIANCE), whose best denoiser is linear: s (C + s^2 I)^-1 (x - m)."""
    inverse = torch.linalg.inv(COVARIANCE + sigma.square() * torch.eye(2, dtype=torch.float64))
    return sigma * (x - MEAN) @ inverse


def flow_end(x, sigma_max):
    """Where the probability flow from x at sigma_max ends: m + (C (C + s^2)^-1)^(1/2) (x - m)."""
    values, vectors = torch.linalg.eigh(COVARIANCE)
    return MEAN + (x - MEAN) @ vectors * (values / (values + sigma_max**2)).sqrt() @ vectors.T


# -- the model ---------------------------------------------------------------------------------------------------------


def test_the_networks_input_and_target_have_unit_variance_at_every_level():
    model = EDM((2,), sigma_data=0.3)
    sigma = torch.logspace(-3, 2, 30, dtype=torch.float64)
    at = model.preconditioning(sigma)
    assert_close(at.into.square() * (sigma.square() + 0.3**2), torch.ones_like(sigma))
    # the target (y - skip x) / out of x = y + s n
    target = ((1 - at.skip).square() * 0.3**2 + at.skip.square() * sigma.square()) / at.out.square()
    assert_close(target, torch.ones_like(sigma))
    assert_close(at.weight * at.out.square(), torch.ones_like(sigma))


def test_no_other_skip_makes_the_networks_errors_smaller():
    """c_skip minimises c_out, by which the errors of F are multiplied (Karras et al. 2022, app. B.6)."""
    sigma = torch.logspace(-2, 1, 10, dtype=torch.float64)
    at = EDM((2,), sigma_data=0.5).preconditioning(sigma)
    for shift in (-0.05, 0.05):
        skip = at.skip + shift
        assert ((1 - skip).square() * 0.25 + skip.square() * sigma.square() > at.out.square()).all()


def test_a_network_that_says_nothing_has_loss_one():
    model = EDM((8,), hidden=(4,), sigma_data=0.5).double()
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    x = 0.5 * torch.randn(20_000, 8, generator=seeded(), dtype=torch.float64)
    assert model.loss(x, generator=seeded(1)).mean().item() == pytest.approx(1.0, abs=0.02)


def test_levels_run_from_the_highest_to_zero():
    levels = sigma_levels(18, sigma_min=0.002, sigma_max=80.0)
    assert levels[[0, -2, -1]].tolist() == pytest.approx([80.0, 0.002, 0.0])
    roots = levels[:-1] ** (1 / 7)
    assert_close(roots.diff(), roots.diff().mean().expand(17))


# -- the samplers, with the best denoiser of a Gaussian ----------------------------------------------------------------


@pytest.mark.parametrize("churn", [None, Churn(amount=40, sigma_low=0.0, sigma_high=80.0, inflation=1.0)])
def test_both_samplers_draw_the_gaussian(churn):
    levels = sigma_levels(48, sigma_min=0.002, sigma_max=80.0)
    noise = 80 * torch.randn(50_000, 2, generator=seeded(), dtype=torch.float64)
    x = sample_heun(gaussian_slope, noise, levels, churn=churn, generator=seeded(1))
    assert_close(x.mean(0), MEAN, rtol=0, atol=0.02)
    assert_close(x.T.cov(), COVARIANCE, rtol=0, atol=0.02)


def test_the_deterministic_sampler_has_order_two():
    start = 10 * torch.randn(50, 2, generator=seeded(), dtype=torch.float64)
    levels = [sigma_levels(n, sigma_min=0.01, sigma_max=10.0)[:-1] for n in (33, 65, 129)]
    goals = flow_end(start, 10.0), flow_end(start, 0.01)
    assert goals[0].shape == start.shape
    # without the last step, to zero: it ends at x(0.01), which the flow's own end is computed from
    ends = [flow_end(sample_heun(gaussian_slope, start, s), 0.01) for s in levels]
    errors = [(end - goals[0]).norm().item() for end in ends]
    assert [math.log2(a / b) for a, b in pairwise(errors)] == pytest.approx([2, 2], abs=0.2)


def test_fresh_noise_makes_the_end_forget_the_start():
    """The deterministic sampler sends equal starts to equal ends; churn does not, and its draws are the generator's."""
    levels = sigma_levels(32, sigma_min=0.002, sigma_max=80.0)
    start = torch.full((4000, 2), 30.0, dtype=torch.float64)
    assert sample_heun(gaussian_slope, start, levels).std(0).max() < 1e-12
    churn = Churn(sigma_low=0.0, sigma_high=80.0, inflation=1.0)
    one, same, other = (sample_heun(gaussian_slope, start, levels, churn=churn, generator=seeded(s)) for s in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert_close(one.T.cov(), COVARIANCE, rtol=0, atol=0.05)


def test_outside_its_levels_churn_adds_nothing():
    levels = sigma_levels(8, sigma_min=0.002, sigma_max=80.0)
    start = torch.randn(5, 2, generator=seeded(), dtype=torch.float64)
    never = Churn(sigma_low=100.0, sigma_high=200.0)
    assert torch.equal(
        sample_heun(gaussian_slope, start, levels, churn=never), sample_heun(gaussian_slope, start, levels)
    )


# -- learning ----------------------------------------------------------------------------------------------------------


def test_conditional_samples_follow_the_condition_and_the_generator():
    torch.manual_seed(0)
    centres = torch.tensor([[-1.0, 0.5], [1.0, -0.5], [0.0, 1.0]])
    label = torch.arange(300) % 3
    x, context = centres[label] + 0.1 * torch.randn(300, 2, generator=seeded()), torch.eye(3)[label]
    model = EDM((2,), context_features=3, hidden=(64,), sigma_data=0.75)
    step = MaximumLikelihoodStep(model, lr=3e-3)
    losses = [step(x, context)["loss"] for _ in range(300)]
    assert sum(losses[-20:]) < 0.6 * sum(losses[:20])
    asked = torch.arange(300) % 3
    draws, again, other = (model.sample(300, torch.eye(3)[asked], generator=seeded(s)) for s in (1, 1, 2))
    assert torch.equal(draws, again)
    assert not torch.equal(draws, other)
    assert ((draws - centres[asked]).norm(dim=1) < 0.5).float().mean() > 0.95
    coarse = model.sample(300, torch.eye(3)[asked], generator=seeded(1), n_steps=12)
    assert 0 < (coarse - draws).norm(dim=1).median() < 0.3


@pytest.mark.parametrize("wrong", [{"sigma_min": 100.0}, {"sigma_data": 0.0}, {"n_steps": 1}])
def test_settings_that_mean_nothing_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        EDM((2,), **wrong)


def test_undeclared_contexts_and_events_are_refused():
    with pytest.raises(ValueError, match="context"):
        EDM((2,), context_features=3).sample(4)
    with pytest.raises(ValueError, match="events"):
        EDM((2,)).loss(torch.zeros(4, 3))


def test_samples_are_the_random_generators_and_nothing_elses():
    model = EDM((3,), hidden=(8,), n_steps=4)
    before = torch.get_rng_state()
    first, same, other = (model.sample(5, generator=seeded(seed)) for seed in (3, 3, 4))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), before)
    assert first.std(0).min() > 0  # the noise reaches every element
    assert model.sample(0).shape == (0, 3)


def test_a_call_can_switch_the_fresh_noise_off_and_steps_are_checked():
    torch.manual_seed(0)
    model = EDM((3,), hidden=(8,), n_steps=4)
    plain = model.sample(5, generator=seeded())
    model.churn = Churn()
    assert not torch.equal(model.sample(5, generator=seeded()), plain)
    assert torch.equal(model.sample(5, generator=seeded(), churn=Churn(amount=0)), plain)
    with pytest.raises(ValueError, match="n_steps"):
        model.sample(5, n_steps=0)
