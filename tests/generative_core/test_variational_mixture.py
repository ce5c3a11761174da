"""Gaussian mixtures by variational Bayes."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_t
from sklearn.mixture import BayesianGaussianMixture
from torch.testing import assert_close

from generative_core import GaussianMixture, VariationalGaussianMixture
from generative_core.mixtures.normal_wishart import NormalWishart
from generative_core.mixtures.weights import dirichlet, stick_breaking
from tests.generative_core.mixture_laws import assert_survives_saving, blobs, integral, seeded

X, LABEL = blobs()
PRIORS = ["dirichlet", "dirichlet_process"]


def fitted(weight_prior: str = "dirichlet", **settings) -> VariationalGaussianMixture:
    return VariationalGaussianMixture((2,), weight_prior=weight_prior, **settings).double().fit(X, generator=seeded())


@pytest.mark.parametrize("weight_prior", PRIORS)
def test_ten_components_on_three_blobs_leave_three(weight_prior):
    for seed in range(3):
        model = VariationalGaussianMixture((2,), n_components=10, weight_prior=weight_prior).double()
        weights = model.fit(X, generator=seeded(seed)).weights
        assert (weights > 0.01).sum() == 3
        assert_close(weights[weights > 0.01], torch.full((3,), 1 / 3).double(), atol=0.01, rtol=0)
    plain = GaussianMixture((2,), n_components=10).double().fit(X, generator=seeded())
    assert (plain.weights > 0.01).sum() == 10


@pytest.mark.parametrize("weight_prior", PRIORS)
@pytest.mark.parametrize("seed", range(3))
def test_the_bound_never_falls(weight_prior, seed):
    start = torch.rand(len(X), 6, generator=seeded(seed), dtype=torch.float64)
    model = VariationalGaussianMixture(
        (2,), n_components=6, weight_prior=weight_prior, max_iterations=60, tolerance=-1.0
    ).double()
    history = np.array(model.fit(X, responsibilities=start / start.sum(1, keepdim=True)).elbo_history)
    assert len(history) == 60
    assert (np.diff(history) > -1e-8).all()
    assert history[-1] > history[0] + 100


def test_with_one_component_the_bound_is_the_evidence():
    """log p(x_1..x_N) = sum_n log p(x_n | x_<n), a chain of Student t predictions; and q is the exact posterior."""
    x = X[:40]
    model = VariationalGaussianMixture((2,), n_components=1).double().fit(x)
    law = model._prior(x)
    evidence = 0.0
    for row in x:
        evidence += law.log_predictive(row.unsqueeze(0)).item()
        law = law.posterior(row.unsqueeze(0), torch.ones(1, 1).double())
    assert_close(model.elbo_history[-1], evidence, rtol=1e-9, atol=0)
    assert_close(model.means, law.mean)
    assert_close(model.scale, law.scale)


def test_the_bound_is_below_the_evidence_of_every_partition_summed():
    """Eight events, two components: the evidence is a sum over 256 partitions."""
    x = X[:8] + 2 * torch.arange(8).double().unsqueeze(1)
    model = VariationalGaussianMixture((2,), n_components=2, concentration=0.7).double().fit(x, generator=seeded())
    prior = model._prior(x)
    log_terms = []
    for code in range(256):
        z = torch.tensor([(code >> n) & 1 for n in range(8)])
        r = torch.nn.functional.one_hot(z, 2).double()
        components = prior.posterior(x, r).log_normaliser().sum() - prior.log_normaliser().sum()
        log_terms.append(components + dirichlet(r.sum(0), 0.7).log_evidence)
    evidence = torch.stack(log_terms).logsumexp(0) - 0.5 * x.numel() * math.log(2 * math.pi)
    assert evidence - 4 < model.elbo_history[-1] < evidence


@pytest.mark.parametrize("prior", [dirichlet, stick_breaking])
def test_the_weights_posterior_is_what_sampling_from_the_prior_gives(prior):
    """E w and E log w by importance weights on draws from the prior; the evidence is the mean weight."""
    counts, a = torch.tensor([3.0, 1.0, 2.0], dtype=torch.float64), 1.5
    rng = np.random.default_rng(0)
    if prior is dirichlet:
        w = rng.dirichlet([a] * 3, size=400_000)
    else:
        s = np.concatenate([rng.beta(1, a, size=(400_000, 2)), np.ones((400_000, 1))], axis=1)
        w = s * np.concatenate([np.ones((400_000, 1)), np.cumprod(1 - s[:, :-1], axis=1)], axis=1)
    w = torch.from_numpy(w)
    likelihood = (w.log() * counts).sum(1).exp()
    share = (likelihood / likelihood.sum()).unsqueeze(1)
    posterior = prior(counts, a)
    assert_close(posterior.log_evidence, likelihood.mean().log(), atol=0.02, rtol=0)
    assert_close(posterior.expected, (share * w).sum(0), atol=0.01, rtol=0)
    assert_close(posterior.expected_log, (share * w.log()).sum(0), atol=0.03, rtol=0)
    assert_close(posterior.expected.sum(), torch.ones(()).double())


def test_the_expected_log_density_is_what_sampling_the_law_gives():
    law = NormalWishart(
        torch.tensor([[0.5, -1.0]]).double(),
        torch.tensor([3.0]).double(),
        torch.tensor([6.0]).double(),
        torch.tensor([[[1.5, 0.0], [0.4, 0.8]]]).double(),
    )
    w = torch.linalg.inv(law.scale[0] @ law.scale[0].T)
    g = seeded()
    normals = torch.randn(100_000, 6, 2, generator=g, dtype=torch.float64) @ torch.linalg.cholesky(w).T
    precision = normals.mT @ normals  # Wishart(6, W)
    root = torch.linalg.cholesky(torch.linalg.inv(precision) / 3)
    m = law.mean + (root @ torch.randn(100_000, 2, 1, generator=g, dtype=torch.float64)).squeeze(2)
    x = torch.tensor([[1.0, 1.0]]).double()
    normal = torch.distributions.MultivariateNormal(m, precision_matrix=precision, validate_args=False)
    log_normal = normal.log_prob(x)
    standard_error = (log_normal.std() / 100_000**0.5).item()
    assert_close(law.expected_log_normal(x).squeeze(), log_normal.mean(), atol=4 * standard_error, rtol=0)
    assert standard_error < 0.04
    assert_close(law.log_predictive(x).squeeze(), log_normal.exp().mean().log(), atol=0.02, rtol=0)


@pytest.mark.parametrize("weight_prior", PRIORS)
def test_it_is_sklearns_posterior_from_the_same_settings(weight_prior):
    settings = {"n_components": 5, "degrees_of_freedom": 2.0, "concentration": 0.2, "tolerance": 1e-9}
    model = fitted(weight_prior, **settings)
    other = BayesianGaussianMixture(
        n_components=5,
        weight_concentration_prior_type=(
            "dirichlet_distribution" if weight_prior == "dirichlet" else "dirichlet_process"
        ),
        weight_concentration_prior=0.2,
        degrees_of_freedom_prior=2,
        covariance_prior=np.cov(X.numpy().T, bias=True),
        reg_covar=0,
        max_iter=2000,
        tol=1e-10,
        n_init=5,
        random_state=0,
    ).fit(X.numpy())
    mine, theirs = (w.sort(descending=True).values for w in (model.weights, torch.from_numpy(other.weights_)))
    assert (mine > 0.01).sum() == (theirs > 0.01).sum() == 3
    assert_close(mine[:3], theirs[:3], atol=2e-3, rtol=0)
    nearest = torch.cdist(model.means[model.weights > 0.01], torch.from_numpy(other.means_)).argmin(1)
    assert_close(model.means[model.weights > 0.01], torch.from_numpy(other.means_)[nearest], atol=2e-4, rtol=0)
    covariance = model.scale @ model.scale.mT / model.degrees_of_freedom[:, None, None]
    expected = torch.from_numpy(other.covariances_)[nearest]
    assert_close(covariance[model.weights > 0.01], expected, atol=2e-3, rtol=0)


def test_the_predictive_density_is_scipys_student_t():
    model = VariationalGaussianMixture((2,), n_components=1).double().fit(X[:30])
    freedom, scale = model._components().predictive_scale()
    expected = multivariate_t(model.means[0], (scale[0] @ scale[0].T).numpy(), df=freedom.item()).logpdf(X)
    assert_close(model.log_prob(X), torch.from_numpy(expected), rtol=1e-9, atol=1e-9)


def test_the_predictive_density_integrates_to_one():
    model = fitted(degrees_of_freedom=8.0, n_components=4)
    assert abs(integral(model.log_prob, 60, 600) - 1) < 1e-4  # the rest lies in the tails


def test_samples_follow_the_predictive_density():
    """Shares of the plane's quarters and of a disc, drawn against integrated; few events make heavy tails."""
    x = X[::60]
    model = VariationalGaussianMixture((2,), n_components=3).double().fit(x, generator=seeded())
    draws = model.sample(40_000, generator=seeded())
    for region in (lambda x: x[:, 0] > 1, lambda x: x[:, 1] > 0, lambda x: x.square().sum(1) < 9,
                   lambda x: x.abs().amax(1) < 12):  # fmt: skip
        mass = integral(lambda p, region=region: torch.where(region(p), model.log_prob(p), -torch.inf), 80, 640)
        assert abs(region(draws).double().mean().item() - mass) < 0.012
    assert (draws.abs().amax(1) > 12).any()


def test_large_components_come_first_on_sticks():
    weights = fitted("dirichlet_process").weights
    assert (weights[:3].diff() <= 0.01).all()
    assert weights[:3].min() > 0.3


def test_it_survives_saving_and_has_slopes():
    model = fitted()
    assert_survives_saving(model, VariationalGaussianMixture((2,)).double(), X)
    x = (100 * X).requires_grad_(True)
    (slope,) = torch.autograd.grad(model.log_prob(x).sum(), x)
    assert slope.isfinite().all()
    assert (slope.norm(dim=1) > 0).all()
    assert model.sample(3).shape == (3, 2)


def test_wrong_arguments_are_refused_with_what_was_given():
    with pytest.raises(ValueError, match=r"concentration must be positive, got 0\.0"):
        VariationalGaussianMixture((2,), concentration=0.0)
    with pytest.raises(ValueError, match=r"D - 1 = 1, got 1\.0"):
        VariationalGaussianMixture((2,), degrees_of_freedom=1.0)
    with pytest.raises(ValueError, match="n_components"):
        VariationalGaussianMixture((2,), n_components=0)
    with pytest.raises(RuntimeError, match=r"VariationalGaussianMixture\.fit"):
        VariationalGaussianMixture((2,)).log_prob(torch.zeros(1, 2))
    with pytest.raises(ValueError, match="unconditional"):
        fitted().sample(2, torch.zeros(2, 1).double())
