"""Densities and divergences against torch's own, against sampling, and at their known values."""

import math

import pytest
import torch
from torch.distributions import Normal, kl_divergence
from torch.testing import assert_close

from generative_core import densities


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_the_normal_density_is_torchs():
    x, loc, log_scale = random(5, 3), random(3, seed=1), random(5, 1, seed=2)
    expected = Normal(loc, log_scale.exp()).log_prob(x)
    assert_close(densities.normal_log_prob(x, loc, log_scale), expected)
    assert_close(densities.standard_normal_log_prob(x), Normal(0.0, 1.0).log_prob(x))


def test_the_kl_is_torchs_and_the_mean_log_ratio():
    loc_q, log_scale_q, loc_p, log_scale_p = (0.5 * random(4, seed=seed) for seed in range(4))
    kl = densities.normal_kl(loc_q, log_scale_q, loc_p, log_scale_p)
    assert_close(kl, kl_divergence(Normal(loc_q, log_scale_q.exp()), Normal(loc_p, log_scale_p.exp())))

    z = loc_q + log_scale_q.exp() * random(200_000, 4, seed=9)
    log_ratio = densities.normal_log_prob(z, loc_q, log_scale_q) - densities.normal_log_prob(z, loc_p, log_scale_p)
    error = log_ratio.std(0) / math.sqrt(len(z))
    assert ((log_ratio.mean(0) - kl).abs() < 4 * error).all()
    assert (error < 0.01).all()


def test_the_kl_is_zero_where_the_two_are_equal_and_only_there():
    loc, log_scale = random(6), random(6, seed=1)
    assert_close(densities.normal_kl(loc, log_scale, loc, log_scale), torch.zeros(6, dtype=torch.float64))
    for shift, stretch in ((1e-3, 0.0), (0.0, 1e-3), (0.0, -1e-3)):
        assert (densities.normal_kl(loc + shift, log_scale + stretch, loc, log_scale) > 1e-9).all()


def test_the_kl_to_the_standard_normal_is_the_general_one():
    loc, log_scale, zero = random(6), random(6, seed=1), torch.zeros((), dtype=torch.float64)
    assert_close(densities.standard_normal_kl(loc, log_scale), densities.normal_kl(loc, log_scale, zero, zero))


def test_free_bits_count_a_small_group_as_the_mark_without_a_slope():
    kl = torch.tensor([[0.0, 1.0, 0.2], [0.4, 3.0, 0.4]], dtype=torch.float64, requires_grad=True)
    penalty = densities.free_bits(kl, 0.25)  # means 0.2, 2.0, 0.3
    assert_close(penalty, torch.tensor([0.25 + 1.0 + 0.2, 0.25 + 3.0 + 0.4], dtype=torch.float64))
    assert_close(penalty.mean(), kl.mean(0).clamp(min=0.25).sum())
    (slope,) = torch.autograd.grad(penalty.sum(), kl)
    assert_close(slope, torch.tensor([[0.0, 1.0, 1.0]] * 2, dtype=torch.float64))


@pytest.mark.parametrize("offset", [0.0, 2000.0, -2000.0])
def test_the_log_of_a_mean_neither_overflows_nor_underflows(offset):
    weights = torch.tensor([[1.0, 2.0], [3.0, 6.0]], dtype=torch.float64)
    expected = torch.tensor([2.0, 4.0], dtype=torch.float64).log() + offset
    assert_close(densities.log_mean_exp(weights.log() + offset), expected)
