"""The Bayes classifier with normal classes as a generative model."""

import pytest
import torch
import torch.nn.functional as F
from scipy.stats import multivariate_normal
from sklearn.datasets import load_digits, load_iris
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from torch.testing import assert_close

from generative_core import ClassConditionalGaussian, Gaussian
from tests.generative_core.mixture_laws import (
    COVARIANCES,
    assert_moments,
    assert_survives_saving,
    blobs,
    integral,
    seeded,
)

# unequal classes: 200, 120 and 40 events
_X, _Y = blobs()
_ROWS = torch.cat([torch.arange(200), torch.arange(200, 320), torch.arange(400, 440)])
X, Y = _X[_ROWS], _Y[_ROWS]


def fitted(covariance: str = "full") -> ClassConditionalGaussian:
    return ClassConditionalGaussian((2,), n_classes=3, covariance=covariance).double().fit(X, Y)


def one_hot(label: int, n: int) -> torch.Tensor:
    return F.one_hot(torch.full((n,), label), 3).double()


def test_each_class_is_its_own_normal_law():
    model = fitted()
    for label in range(3):
        mine = X[label == Y]
        expected = multivariate_normal(mine.mean(0), mine.T.cov(correction=0)).logpdf(X)
        assert_close(model.log_prob(X, one_hot(label, len(X))), torch.from_numpy(expected), rtol=1e-9, atol=1e-9)
    assert_close(model.weights, torch.tensor([200, 120, 40]).double() / 360)


def test_without_a_class_the_density_is_the_sum_over_classes():
    model = fitted()
    joint = torch.stack([model.log_prob(X, one_hot(k, len(X))).exp() * model.weights[k] for k in range(3)])
    assert_close(model.log_prob(X).exp(), joint.sum(0))
    assert_close(model.log_prob(X), model.log_prob(X, model.weights.expand(len(X), 3)))


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_the_marginal_and_each_class_integrate_to_one(covariance):
    model = fitted(covariance)
    assert abs(integral(model.log_prob, 15) - 1) < 1e-6
    assert abs(integral(lambda x: model.log_prob(x, one_hot(1, len(x))), 15) - 1) < 1e-6


def test_it_classifies_iris_as_quadratic_discriminant_analysis_does():
    x, y = (torch.from_numpy(array) for array in load_iris(return_X_y=True))
    model = ClassConditionalGaussian((4,), n_classes=3).double().fit(x, y)
    other = QuadraticDiscriminantAnalysis(store_covariance=True).fit(x.numpy(), y.numpy())
    assert_close(model.classify(x), torch.from_numpy(other.predict(x.numpy())))
    ratio = torch.from_numpy(other.covariance_[0]) / (model.scale[0] @ model.scale[0].T)
    n_each = 50 if ratio[0, 0] < 1.01 else 49  # some releases of scikit-learn divide by n - 1
    assert_close(ratio, torch.full((4, 4), 50 / n_each).double())
    model.scale.mul_((50 / n_each) ** 0.5)
    log_posterior = torch.from_numpy(other.predict_log_proba(x.numpy()))
    assert_close(model.log_posterior(x).clamp_min(-30), log_posterior.clamp_min(-30), rtol=1e-7, atol=1e-7)


def test_with_a_tied_covariance_it_is_linear_discriminant_analysis():
    x, y = (torch.from_numpy(array) for array in load_iris(return_X_y=True))
    model = ClassConditionalGaussian((4,), n_classes=3, covariance="tied").double().fit(x, y)
    other = LinearDiscriminantAnalysis(solver="lsqr").fit(x.numpy(), y.numpy())
    expected = torch.from_numpy(other.predict_log_proba(x.numpy()))
    assert_close(model.log_posterior(x).clamp_min(-30), expected.clamp_min(-30), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_samples_of_a_class_have_its_moments(covariance):
    model = fitted(covariance)
    for label in range(3):
        x = model.sample(10_000, one_hot(label, 10_000), generator=seeded(label))
        scale = model.scale[label if len(model.scale) == 3 else 0]
        root = scale if scale.ndim == 2 else torch.diag(scale.expand(2))
        assert_moments(x, model.means[label], root @ root.T)


def test_labelled_samples_follow_the_prior_and_their_class():
    x, y = fitted().sample_labelled(20_000, generator=seeded())
    share = y.bincount(minlength=3) / 20_000
    assert_close(share, torch.tensor([200, 120, 40]) / 360, atol=0.012, rtol=0)
    assert (fitted().classify(x) == y).double().mean() > 0.99  # the classes hardly overlap
    assert torch.equal(fitted().sample(20_000, generator=seeded()), x)


def test_each_row_of_a_context_asks_for_its_own_class():
    asked = torch.arange(3).repeat(100)
    x, y = fitted().sample_labelled(300, F.one_hot(asked, 3).double(), generator=seeded())
    assert torch.equal(y, asked)
    assert (fitted().classify(x) == asked).double().mean() > 0.98


def test_digits_are_better_as_ten_normal_laws_than_as_one():
    x, y = (torch.from_numpy(array) for array in load_digits(return_X_y=True))
    train, test = slice(0, 1200), slice(1200, None)
    settings = {"min_variance": 1.0}  # in grey levels of 16, squared
    ten = ClassConditionalGaussian((64,), n_classes=10, **settings).double().fit(x[train], y[train])
    one = Gaussian((64,), **settings).double().fit(x[train])
    assert ten.log_prob(x[test]).mean() > one.log_prob(x[test]).mean() + 5
    assert (ten.classify(x[test]) == y[test]).double().mean() > 0.9
    asked = F.one_hot(torch.arange(10).repeat(20), 10).double()
    assert (ten.classify(ten.sample(200, asked, generator=seeded())) == asked.argmax(1)).double().mean() > 0.95


def test_gradients_exist_at_one_hot_contexts():
    x, context = X[:5].clone().requires_grad_(True), one_hot(2, 5).requires_grad_(True)
    grads = torch.autograd.grad(fitted().log_prob(x, context).sum(), [x, context])
    assert all(grad.isfinite().all() for grad in grads)
    assert grads[0].abs().min() > 0


def test_it_survives_saving():
    assert_survives_saving(fitted(), ClassConditionalGaussian((2,), n_classes=3).double(), X)


def test_wrong_arguments_are_refused_with_what_was_given():
    model = ClassConditionalGaussian((2,), n_classes=3).double()
    with pytest.raises(RuntimeError, match=r"ClassConditionalGaussian\.fit"):
        model.classify(X)
    with pytest.raises(ValueError, match="0 to 2, got 0 to 3"):
        model.fit(X, torch.where(Y == 2, 3, Y))
    with pytest.raises(ValueError, match="class 1 has no events"):
        model.fit(X[Y != 1], Y[Y != 1])
    with pytest.raises(ValueError, match=r"\(360, 3\), got \(360, 2\)"):
        fitted().log_prob(X, torch.ones(360, 2).double() / 2)
    with pytest.raises(ValueError, match="sum to one"):
        fitted().log_prob(X, torch.ones(360, 3).double())
    with pytest.raises(ValueError, match="n_classes"):
        ClassConditionalGaussian((2,), n_classes=0)
