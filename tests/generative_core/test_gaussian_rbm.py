"""The restricted Boltzmann machine on real vectors."""

import pytest
import torch
from torch.testing import assert_close

from generative_core import (
    ContrastiveDivergenceStep,
    Gaussian,
    GaussianMixture,
    GaussianRBM,
    ShuffledBatches,
    fit,
    linear_decay,
)
from tests.generative_core.boltzmann_laws import seeded, shaken, states
from tests.generative_core.mixture_laws import assert_moments, integral


def tiny(n_hidden: int = 3) -> GaussianRBM:
    return shaken(GaussianRBM((2,), n_hidden=n_hidden))


def as_mixture(model: GaussianRBM) -> tuple[torch.Tensor, torch.Tensor]:
    """(weights (2^H,), means (2^H, D)) of the same law, from the joint energy: each h is one normal law."""
    h = states(model.n_hidden)
    means = model.visible_bias + h @ model.weight.T
    # p(h) = p(m_h, h) / N(m_h; m_h, s^2), and the last factor is the same for every h
    return (-model.joint_energy(means, h)).softmax(0), means


def test_the_free_energy_is_the_sum_over_all_hidden_states():
    model, v = tiny(), torch.randn(7, 2, generator=seeded(), dtype=torch.float64)
    joint = torch.stack([model.joint_energy(v, h.expand(7, -1)) for h in states(3)])
    assert_close(model.energy(v), -torch.logsumexp(-joint, 0))


def test_the_energy_is_the_quadratic_one_of_its_docstring():
    model, h = tiny(), states(3)[[3, 5]]
    v = torch.randn(2, 2, generator=seeded(), dtype=torch.float64)
    variance = model.variance()
    by_hand = [
        ((a - model.visible_bias).square() / (2 * variance)).sum()
        - model.hidden_bias @ b
        - (a / variance) @ model.weight @ b
        for a, b in zip(v, h, strict=True)
    ]
    assert_close(model.joint_energy(v, h), torch.stack(by_hand))


def test_with_the_exact_log_z_the_density_integrates_to_one():
    model = tiny()
    log_z = model.exact_log_partition()
    assert abs(integral(lambda x: -model.energy(x) - log_z, 20) - 1) < 1e-6


def test_it_is_a_mixture_of_normal_laws_on_the_corners():
    model = tiny()
    weights, means = as_mixture(model)
    x = 2 * torch.randn(50, 2, generator=seeded(), dtype=torch.float64)
    normals = torch.distributions.Normal(means, model.variance().sqrt()).log_prob(x.unsqueeze(1)).sum(2)
    expected = torch.logsumexp(weights.log() + normals, 1)
    assert_close(-model.energy(x) - model.exact_log_partition(), expected)


def test_gibbs_leaves_exact_draws_as_they_are_and_finds_the_model_from_elsewhere():
    model = tiny()
    weights, means = as_mixture(model)
    mean = weights @ means
    covariance = torch.diag(model.variance()) + (means - mean).T @ ((means - mean) * weights.unsqueeze(1))
    k = torch.multinomial(weights, 20_000, replacement=True, generator=seeded())
    exact = means[k] + model.variance().sqrt() * torch.randn(20_000, 2, generator=seeded(1), dtype=torch.float64)
    assert_moments(exact, mean, covariance)
    assert_moments(model.gibbs(exact, 1, generator=seeded(2)), mean, covariance)
    assert_moments(model.sample(20_000, generator=seeded(3), n_sweeps=200), mean, covariance)


def test_initialise_makes_it_the_diagonal_normal_law_of_the_data():
    x = torch.randn(300, 4, generator=seeded(), dtype=torch.float64) * torch.tensor([0.5, 1.0, 1.0, 2.0]) + 1
    model = GaussianRBM((4,), n_hidden=6).double()
    with torch.no_grad():
        model.weight.mul_(0.01)
    model.initialise(x)
    law = Gaussian((4,), covariance="diag").double().fit(x)
    assert_close(-model.energy(x) - model.exact_log_partition(), law.log_prob(x), atol=1e-2, rtol=0)


def test_training_finds_two_clusters_that_one_normal_law_cannot_and_the_variance_inside_them():
    sign = torch.randint(2, (600, 1), generator=seeded()) * 2.0 - 1
    x = 0.95 * sign * torch.tensor([1.0, 1.0, -1.0]) + 0.3 * torch.randn(600, 3, generator=seeded(1))
    torch.manual_seed(0)
    model = GaussianRBM((3,), n_hidden=4)
    model.initialise(x)
    step = ContrastiveDivergenceStep(model, lr=5e-2, schedule=linear_decay(400), persistent=False)
    fit(step, ShuffledBatches(x, batch_size=100), 400)
    nll = (model.energy(x).mean() + model.exact_log_partition()).item()
    full = -Gaussian((3,)).fit(x).log_prob(x).mean().item()
    two = GaussianMixture((3,), n_components=2, covariance="tied").fit(x, generator=seeded())
    assert nll < full - 0.8
    assert nll < -two.log_prob(x).mean().item() + 0.1
    assert_close(model.variance().detach(), torch.full((3,), 0.09), atol=0.03, rtol=0)


def test_a_constant_dimension_keeps_the_least_variance():
    x = torch.randn(200, 2, generator=seeded())
    x[:, 1] = 0.5
    model = GaussianRBM((2,), n_hidden=2, min_variance=1e-2)
    model.initialise(x)
    fit(ContrastiveDivergenceStep(model, lr=2e-2), ShuffledBatches(x, batch_size=50), 100)
    assert model.variance()[1] > 1e-2
    assert model.energy(x).isfinite().all()


def test_wrong_arguments_are_refused_with_what_was_given():
    with pytest.raises(ValueError, match=r"min_variance must be positive, got 0\.0"):
        GaussianRBM((3,), min_variance=0.0)
    with pytest.raises(ValueError, match="n_hidden"):
        GaussianRBM((3,), n_hidden=0)
