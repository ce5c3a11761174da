"""Flow matching: on a Gaussian the velocity, the transport and the density are known; elsewhere it learns."""

import math
from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from generative_core import FlowMatching, MaximumLikelihoodStep, euler_step, heun_step, midpoint_step
from generative_core.diffusion.flow_matching import StraightPath, TrigonometricPath
from generative_core.diffusion.solvers import solve

MEAN, STD = torch.tensor([1.0, -2.0], dtype=torch.float64), torch.tensor([0.3, 1.5], dtype=torch.float64)


STRAIGHT = StraightPath(0.1)


class GaussianVelocity(nn.Module):
    """E[dx_t/dt | x_t] for the data N(MEAN, STD^2): linear in x."""

    def __init__(self, path) -> None:
        super().__init__()
        self.path = path
        self.unused = nn.Parameter(torch.zeros((), dtype=torch.float64))  # a model is on its parameters' device

    def forward(self, x, t):
        at = self.path(t[:, None])
        covariance = at.alpha * at.alpha_slope * STD**2 + at.sigma * at.sigma_slope
        gain = covariance / (at.alpha**2 * STD**2 + at.sigma**2)
        return at.alpha_slope * MEAN + gain * (x - at.alpha * MEAN)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def best(path=STRAIGHT, **settings) -> FlowMatching:
    return FlowMatching((2,), net=GaussianVelocity(path), path=path, **settings)


PATHS = [(STRAIGHT, 0.1), (TrigonometricPath(), 0.0)]


@pytest.mark.parametrize(("path", "sigma_end"), PATHS)
def test_paths_run_from_noise_to_data_and_know_their_slopes(path, sigma_end):
    t = torch.linspace(0, 1, 11, dtype=torch.float64, requires_grad=True)
    at = path(t)
    assert (at.alpha[0].item(), at.sigma[0].item()) == (0, 1)
    assert (at.alpha[-1].item(), at.sigma[-1].item()) == pytest.approx((1, sigma_end))
    for value, slope in ((at.alpha, at.alpha_slope), (at.sigma, at.sigma_slope)):
        assert_close(torch.autograd.grad(value.sum(), t, retain_graph=True)[0], slope)


def test_the_known_velocity_has_the_least_loss():
    model = best()
    x = MEAN + STD * torch.randn(100_000, 2, generator=seeded(), dtype=torch.float64)
    least = model.loss(x, generator=seeded(1)).mean()
    known = model.velocity
    for wrong in (lambda v, t: v + 0.1, lambda v, t: v * 1.1, lambda v, t: v * (0.9 + 0.2 * t[:, None])):
        model.velocity = lambda x, t, context=None, wrong=wrong: wrong(known(x, t, context), t)
        assert model.loss(x, generator=seeded(1)).mean() > least + 1e-3


@pytest.mark.parametrize(("path", "sigma_end"), PATHS)
def test_the_known_velocity_carries_noise_to_the_gaussian(path, sigma_end):
    """x_1 = m + (std^2 + sigma(1)^2)^(1/2) x_0, event by event."""
    model = best(path, n_steps=100)
    draws = model.sample(1000, generator=seeded())
    noise = torch.randn(1000, 2, generator=seeded(), dtype=torch.float64)
    assert_close(draws, MEAN + (STD**2 + sigma_end**2).sqrt() * noise, rtol=0, atol=2e-3)


def test_the_density_is_the_gaussians():
    model = best(n_steps=100)
    x = MEAN + 2 * STD * torch.randn(50, 2, generator=seeded(), dtype=torch.float64)
    expected = torch.distributions.Normal(MEAN, (STD**2 + 0.01).sqrt()).log_prob(x).sum(1)
    assert_close(model.log_prob(x), expected, rtol=0, atol=2e-3)


@pytest.mark.parametrize(("solver", "order"), [(euler_step, 1), (midpoint_step, 2), (heun_step, 2)])
def test_solvers_have_their_order(solver, order):
    """dx/dt = x cos t has x(t) = x(0) exp(sin t)."""
    x = torch.tensor([1.0, -2.0], dtype=torch.float64)
    ends = [
        solve(lambda x, t: x * t.cos(), x, torch.linspace(0, 1, n + 1, dtype=torch.float64), solver)
        for n in (32, 64, 128)
    ]
    errors = [(end - x * math.exp(math.sin(1))).norm().item() for end in ends]
    orders = [math.log2(a / b) for a, b in pairwise(errors)]
    assert orders == pytest.approx([order, order], abs=0.25)


def test_it_learns_two_clusters_and_their_condition():
    torch.manual_seed(0)
    centres = torch.tensor([[-2.0, 0.5], [1.0, -0.5]])
    label = torch.arange(400) % 2
    x, context = centres[label] + 0.1 * torch.randn(400, 2, generator=seeded()), torch.eye(2)[label]
    model = FlowMatching((2,), hidden=(64,), context_features=2, n_steps=12)
    step = MaximumLikelihoodStep(model, lr=3e-3)
    for _ in range(250):
        step(x, context)
    asked = torch.arange(600) % 2
    draws = model.sample(600, torch.eye(2)[asked], generator=seeded(1))
    assert torch.equal(draws, model.sample(600, torch.eye(2)[asked], generator=seeded(1)))
    assert ((draws - centres[asked]).norm(dim=1) < 0.6).float().mean() > 0.95
    right, wrong = (model.log_prob(x[:50], context[rows]) for rows in (slice(0, 50), slice(1, 51)))
    assert (right > wrong + 2).all()


def test_the_density_integrates_to_one():
    torch.manual_seed(1)
    model = FlowMatching((1,), hidden=(16,), n_steps=50).double()
    x = torch.linspace(-12, 12, 1201, dtype=torch.float64)[:, None]
    assert model.log_prob(x).exp().sum().item() * 0.02 == pytest.approx(1.0, abs=1e-3)


def test_settings_that_mean_nothing_are_refused():
    with pytest.raises(ValueError, match="n_steps"):
        FlowMatching((2,), n_steps=0)
    with pytest.raises(ValueError, match="sigma_min"):
        StraightPath(1.0)


def test_samples_are_the_random_generators_and_nothing_elses():
    model = FlowMatching((3,), hidden=(8,), n_steps=4)
    before = torch.get_rng_state()
    first, same, other = (model.sample(5, generator=seeded(seed)) for seed in (3, 3, 4))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), before)
    assert first.std(0).min() > 0  # the noise reaches every element
    assert model.sample(0).shape == (0, 3)


def test_no_steps_are_refused_when_drawing_too():
    with pytest.raises(ValueError, match="n_steps"):
        FlowMatching((2,), hidden=(4,)).sample(3, n_steps=0)
