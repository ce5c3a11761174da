"""Gaussian mixtures by EM."""

import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture as SklearnMixture
from torch.testing import assert_close

from generative_core import ClassConditionalGaussian, Gaussian, GaussianMixture
from tests.generative_core.mixture_laws import (
    COVARIANCES,
    assert_moments,
    assert_survives_saving,
    blobs,
    integral,
    seeded,
)

X, LABEL = blobs()


def overlapping(n: int = 400) -> torch.Tensor:
    """Three blobs pushed together, so that EM has work to do."""
    x, label = blobs(n // 3, seed=1)
    centre = torch.stack([x[label == k].mean(0) for k in range(3)])
    return x - 0.75 * centre[label]


def fitted(covariance: str = "full") -> GaussianMixture:
    return GaussianMixture((2,), n_components=3, covariance=covariance).double().fit(X, generator=seeded())


def sklearn_precisions(scale: torch.Tensor, covariance: str) -> np.ndarray:
    if covariance in ("diag", "spherical"):
        return scale.pow(-2).squeeze(1 if covariance == "spherical" else ()).numpy()
    precisions = torch.linalg.inv(scale @ scale.mT)
    return precisions.squeeze(0 if covariance == "tied" else ()).numpy()


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_it_is_sklearns_mixture_from_the_same_start(covariance):
    x = overlapping()
    start = torch.rand(len(x), 4, generator=seeded(), dtype=torch.float64)
    start = start / start.sum(1, keepdim=True)
    model = GaussianMixture((2,), n_components=4, covariance=covariance, max_iterations=30, tolerance=-1.0).double()
    model.fit(x, responsibilities=start)

    first = GaussianMixture((2,), n_components=4, covariance=covariance, max_iterations=1).double()
    first.fit(x, responsibilities=start)
    other = SklearnMixture(
        n_components=4,
        covariance_type=covariance,
        reg_covar=0,
        max_iter=29,  # after that first M-step
        tol=0,
        weights_init=first.weights.numpy(),
        means_init=first.means.numpy(),
        precisions_init=sklearn_precisions(first.scale, covariance),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it has not converged
        other.fit(x.numpy())
    assert other.n_iter_ == 29
    expected = torch.from_numpy(other.score_samples(x.numpy()))
    assert_close(model.log_prob(x), expected, rtol=1e-7, atol=1e-7)
    assert_close(model.weights, torch.from_numpy(other.weights_), rtol=1e-6, atol=1e-8)
    assert_close(model.log_likelihood_history[-1], other.score(x.numpy()), rtol=1e-8, atol=0)


@pytest.mark.parametrize("covariance", COVARIANCES)
@pytest.mark.parametrize("seed", range(3))
def test_the_likelihood_never_falls(covariance, seed):
    x = overlapping()
    model = GaussianMixture((2,), n_components=6, covariance=covariance, max_iterations=100, tolerance=-1.0).double()
    centres = x[torch.randperm(len(x), generator=seeded(seed))[:6]]
    model.fit(x, responsibilities=(-torch.cdist(x, centres).square()).softmax(1))
    history = np.array(model.log_likelihood_history)
    assert len(history) == 100
    assert (np.diff(history) > -1e-11).all()
    assert history[-1] > history[0] + 0.01


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_the_likelihood_never_falls_where_variances_are_at_their_floor(covariance):
    """Repeated and collinear events: components collapse onto them, and only the floor holds them."""
    x = torch.cat([overlapping()[:60], torch.zeros(30, 2).double(), torch.linspace(3, 4, 30).double().repeat(2, 1).T])
    model = GaussianMixture((2,), n_components=5, covariance=covariance, min_variance=1e-3, tolerance=-1.0).double()
    model.fit(x, generator=seeded())
    assert (np.diff(model.log_likelihood_history) > -1e-10).all()
    scale = model.scale if model.scale.ndim == 2 else torch.linalg.svdvals(model.scale)
    assert scale.square().min() > 1e-3 - 1e-9
    if covariance != "tied":
        assert scale.square().min() < 1e-3 + 1e-9


def test_the_history_ends_at_the_likelihood_of_the_model():
    model = fitted()
    assert_close(model.log_likelihood_history[-1], model.log_prob(X).mean().item())


def test_it_finds_the_blobs():
    model, expected = fitted(), ClassConditionalGaussian((2,), n_classes=3).double().fit(X, LABEL)
    assert_close(model.log_prob(X), expected.log_prob(X), atol=0.05, rtol=0)
    found = model.responsibilities(X).argmax(1)
    assert all(len(found[k == LABEL].unique()) == 1 for k in range(3))


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_the_density_integrates_to_one(covariance):
    assert abs(integral(fitted(covariance).log_prob, 20) - 1) < 1e-6


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_samples_have_the_moments_of_the_mixture(covariance):
    model = fitted(covariance)
    roots = [s if s.ndim == 2 else torch.diag(s.expand(2)) for s in model.scale.expand(3, *model.scale.shape[1:])]
    mean = model.weights @ model.means
    second = sum(w * (r @ r.T + torch.outer(m, m)) for w, r, m in zip(model.weights, roots, model.means, strict=True))
    assert_moments(model.sample(20_000, generator=seeded()), mean, second - torch.outer(mean, mean))


def test_one_component_is_the_gaussian():
    one, gaussian = GaussianMixture((2,), n_components=1).double().fit(X), Gaussian((2,)).double().fit(X)
    assert_close(one.log_prob(X), gaussian.log_prob(X))


def test_ten_components_beat_one_on_held_out_digits():
    digits = load_digits().data
    x = torch.from_numpy(PCA(20, whiten=True, random_state=0).fit_transform(digits))
    train, test = x[:1300], x[1300:]
    ten = GaussianMixture((20,), n_components=10, min_variance=0.05, tolerance=1e-3).double()
    ten.fit(train, generator=seeded())
    one = Gaussian((20,)).double().fit(train)
    assert ten.log_prob(test).mean() > one.log_prob(test).mean() + 0.5


def test_responsibilities_are_the_posterior_of_the_component():
    model = fitted()
    joint = torch.stack(
        [model.weights[k].log() + torch.distributions.MultivariateNormal(m, scale_tril=s).log_prob(X)
         for k, (m, s) in enumerate(zip(model.means, model.scale, strict=True))],
        dim=1,
    )  # fmt: skip
    assert_close(model.responsibilities(X), joint.softmax(1))


def test_a_fit_in_pieces_is_the_fit_at_once(monkeypatch):
    from generative_core.mixtures import normal

    whole = fitted()
    monkeypatch.setattr(normal, "_CHUNK", 100)
    assert_close(fitted().log_prob(X), whole.log_prob(X), rtol=1e-12, atol=1e-12)


def test_more_starts_are_never_worse():
    x = overlapping()
    one, many = (
        GaussianMixture((2,), n_components=8, n_init=n_init).double().fit(x, generator=seeded(1)) for n_init in (1, 5)
    )
    assert many.log_likelihood_history[-1] >= one.log_likelihood_history[-1]


def test_float32_models_are_fitted_in_double_precision():
    """Far from the origin, where squares of float32 numbers would lose the variance."""
    start = F.one_hot(LABEL, 3)
    near = GaussianMixture((2,), n_components=3).fit(X.float(), responsibilities=start.float())
    far = GaussianMixture((2,), n_components=3).fit((X + 1000).float(), responsibilities=start.float())
    assert near.scale.dtype == torch.float32
    assert_close(far.scale, near.scale, rtol=1e-3, atol=1e-3)


def test_it_survives_saving_and_slopes_are_finite():
    assert_survives_saving(fitted(), GaussianMixture((2,), n_components=3).double(), X)
    x = (100 * X).requires_grad_(True)  # hundreds of standard deviations away
    (slope,) = torch.autograd.grad(fitted().log_prob(x).sum(), x)
    assert slope.isfinite().all()


def test_wrong_arguments_are_refused_with_what_was_given():
    with pytest.raises(ValueError, match="n_components must be at least 1, got 0"):
        GaussianMixture((2,), n_components=0)
    with pytest.raises(ValueError, match="at least 10 events, got 4"):
        GaussianMixture((2,)).fit(torch.zeros(4, 2))
    with pytest.raises(ValueError, match=r"\(4, 2\), got \(4, 3\)"):
        GaussianMixture((2,), n_components=2).fit(torch.zeros(4, 2), responsibilities=torch.ones(4, 3) / 3)
    with pytest.raises(ValueError, match="sum to one"):
        GaussianMixture((2,), n_components=2).fit(torch.zeros(4, 2), responsibilities=torch.ones(4, 2))
    with pytest.raises(RuntimeError, match=r"GaussianMixture\.fit"):
        GaussianMixture((2,)).log_prob(torch.zeros(1, 2))
    with pytest.raises(ValueError, match="unconditional"):
        fitted().log_prob(X, X)
