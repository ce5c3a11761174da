"""One normal law."""

import math

import pytest
import torch
from scipy.stats import multivariate_normal
from torch.testing import assert_close

from generative_core import Gaussian
from generative_core.mixtures.normal import scale_shape
from tests.generative_core.mixture_laws import assert_moments, assert_survives_saving, blobs, integral, seeded

X = blobs()[0][:200]
KINDS = ["full", "diag", "spherical"]


def fitted(covariance: str = "full") -> Gaussian:
    return Gaussian((2,), covariance=covariance).double().fit(X)


def expected_covariance(kind: str) -> torch.Tensor:
    covariance = X.T.cov(correction=0)
    if kind == "full":
        return covariance
    variance = covariance.diagonal()
    return torch.diag(variance if kind == "diag" else variance.mean().expand(2))


@pytest.mark.parametrize("kind", KINDS)
def test_the_density_is_scipys_at_the_datas_moments(kind):
    expected = multivariate_normal(X.mean(0), expected_covariance(kind)).logpdf(X)
    assert_close(fitted(kind).log_prob(X), torch.from_numpy(expected), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_the_density_integrates_to_one(kind):
    assert abs(integral(fitted(kind).log_prob, 15) - 1) < 1e-6


@pytest.mark.parametrize("kind", KINDS)
def test_samples_have_the_fitted_moments(kind):
    x = fitted(kind).sample(20_000, generator=seeded())
    assert_moments(x, X.mean(0), expected_covariance(kind))


def test_no_other_normal_law_is_more_likely():
    model = fitted()
    best = model.log_prob(X).mean()
    for seed in range(5):
        other = fitted()
        other.scale.add_(0.03 * torch.randn(1, 2, 2, generator=seeded(seed), dtype=torch.float64).tril())
        other.means.add_(0.03 * torch.randn(1, 2, generator=seeded(seed), dtype=torch.float64))
        assert other.log_prob(X).mean() < best


def test_the_slope_leads_to_the_mean():
    x = X.clone().requires_grad_(True)
    (slope,) = torch.autograd.grad(fitted().log_prob(x).sum(), x)
    expected = torch.linalg.solve(X.T.cov(correction=0), (X.mean(0) - X).T).T
    assert_close(slope, expected)


def test_collinear_data_get_the_least_variance_across():
    line = torch.arange(10.0, dtype=torch.float64).unsqueeze(1) * torch.tensor([[3.0, 4.0]])  # direction (3, 4) / 5
    model = Gaussian((2,), min_variance=1e-4).double().fit(line)
    covariance = model.scale[0] @ model.scale[0].T
    across = torch.tensor([4.0, -3.0], dtype=torch.float64) / 5
    assert_close(across @ covariance @ across, torch.tensor(1e-4).double(), rtol=1e-6, atol=0)
    along = torch.tensor([3.0, 4.0], dtype=torch.float64) / 5
    assert_close(along @ covariance @ along, 25 * torch.arange(10.0).double().var(correction=0))
    assert model.log_prob(line).isfinite().all()


def test_images_are_taken_as_their_vectors():
    images = torch.randn(50, 1, 2, 3, generator=seeded())
    model = Gaussian((1, 2, 3)).fit(images)
    assert model.sample(4, generator=seeded()).shape == (4, 1, 2, 3)
    flat = Gaussian((6,)).fit(images.flatten(1))
    assert_close(model.log_prob(images), flat.log_prob(images.flatten(1)))
    assert model.log_prob(images).dtype == torch.float32


def test_it_survives_saving():
    assert_survives_saving(fitted(), Gaussian((2,)).double(), X)


def test_before_the_fit_there_is_no_density():
    model = Gaussian((2,))
    with pytest.raises(RuntimeError, match=r"Gaussian\.fit"):
        model.log_prob(X.float())
    with pytest.raises(RuntimeError, match=r"Gaussian\.fit"):
        model.sample(3)


def test_wrong_arguments_are_refused_with_what_was_given():
    with pytest.raises(ValueError, match="'round'"):
        scale_shape("round", 1, 2)
    for min_variance in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(ValueError, match="min_variance"):
            Gaussian((2,), min_variance=min_variance)
    with pytest.raises(ValueError, match=r"\(2,\), got 5 of \(3,\)"):
        Gaussian((2,)).fit(torch.zeros(5, 3))
    with pytest.raises(ValueError, match="nan or inf"):
        Gaussian((2,)).fit(torch.tensor([[0.0, math.nan]]))
    with pytest.raises(ValueError, match="at least 1 events"):
        Gaussian((2,)).fit(torch.zeros(0, 2))
    with pytest.raises(ValueError, match="unconditional"):
        fitted().log_prob(X, torch.zeros(len(X), 1).double())
    with pytest.raises(ValueError, match="unconditional"):
        fitted().sample(3, torch.zeros(3, 1).double())
