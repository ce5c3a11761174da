"""Data and laws that the tests of the mixtures share."""

import torch
from torch import Tensor
from torch.testing import assert_close

COVARIANCES = ["full", "tied", "diag", "spherical"]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def blobs(n_each: int = 200, *, seed: int = 0) -> tuple[Tensor, Tensor]:
    """(x, label): three well separated normal blobs of different shapes in the plane, float64."""
    means = torch.tensor([[0.0, 6.0], [5.0, -3.0], [-5.0, -3.0]], dtype=torch.float64)
    roots = torch.tensor([[[1.0, 0], [0.6, 0.5]], [[1.5, 0], [0, 0.4]], [[0.8, 0], [-0.7, 1.1]]], dtype=torch.float64)
    label = torch.arange(3).repeat_interleave(n_each)
    noise = torch.randn(len(label), 2, generator=seeded(seed), dtype=torch.float64)
    return means[label] + (roots[label] @ noise.unsqueeze(2)).squeeze(2), label


def integral(log_prob, half_width: float = 25.0, n: int = 500) -> float:
    """The integral of a density over the plane, by the midpoint rule."""
    ticks = ((torch.arange(n, dtype=torch.float64) + 0.5) / n * 2 - 1) * half_width
    points = torch.cartesian_prod(ticks, ticks)
    return (log_prob(points).exp().sum() * (2 * half_width / n) ** 2).item()


def assert_moments(x: Tensor, mean: Tensor, covariance: Tensor, n_sigmas: float = 4.0) -> None:
    """The mean of N draws within `n_sigmas` standard errors, the covariance within the like of normal draws."""
    spread = covariance.diagonal()
    assert ((x.mean(0) - mean).abs() < n_sigmas * (spread / len(x)).sqrt()).all()
    error = n_sigmas * (2 * torch.outer(spread, spread) / len(x)).sqrt()
    assert ((x.T.cov() - covariance).abs() < error).all()


def assert_survives_saving(fitted, fresh, x: Tensor) -> None:
    """A fresh instance that loads the state gives the same densities and draws."""
    fresh.load_state_dict(fitted.state_dict())
    assert_close(fresh.log_prob(x), fitted.log_prob(x), rtol=0, atol=0)
    assert torch.equal(fresh.sample(4, generator=seeded()), fitted.sample(4, generator=seeded()))
