"""The importance-weighted bound as a loss, and the sharper posterior that it stands for."""

import pytest
import torch
from torch.testing import assert_close

from generative_core import IAFVAE, IWAE, VAE, MaximumLikelihoodStep
from tests.generative_core.linear_gaussian import exact_log_prob, exact_posterior, linear_vae


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


def with_the_prior_as_posterior() -> VAE:
    vae = linear_vae(3, 2)
    with torch.no_grad():
        vae.decoder.net.layers[0].weight.mul_(2)
        for p in vae.encoder.parameters():
            p.zero_()
    return vae


def test_the_score_is_the_models_own_bound_at_k_draws():
    vae = linear_vae(3, 2)
    x = random(4, 3)
    score = IWAE(vae, importance_samples=7).score(x, generator=seeded())
    assert_close(score, vae.iw_bound(x, 7, generator=seeded()), rtol=0, atol=0)


def test_the_kept_draws_follow_the_exact_posterior():
    """From draws of the prior: 1 of 200 kept by its weight."""
    vae = with_the_prior_as_posterior()
    x = random(1, 3)
    with torch.no_grad():
        mean, covariance = exact_posterior(vae, x)
        z = IWAE(vae, importance_samples=200).encode(x.expand(5000, -1), generator=seeded())
        assert mean.norm() > 0.5  # far from the prior
        assert covariance.det() < 0.7
        assert_close(z.mean(0), mean[0], atol=0.05, rtol=0)
        assert_close(z.T.cov(), covariance, atol=0.05, rtol=0)


def test_training_moves_the_model_that_is_wrapped_to_a_better_likelihood():
    """With q fixed to the prior, the bound at many draws leads the decoder further than the bound at one."""
    x = (random(64, 1) @ random(1, 3, seed=5) + 0.3 * random(64, 3, seed=2)).float()
    reached = {}
    for k in (1, 50):
        vae = with_the_prior_as_posterior().float()
        vae.encoder.requires_grad_(False)
        step = MaximumLikelihoodStep(IWAE(vae, importance_samples=k), lr=0.05)
        for _ in range(60):
            step(x)
        reached[k] = exact_log_prob(vae, x).mean().item()
    assert reached[50] > reached[1] + 0.5


def test_it_wraps_the_flow_posterior_too():
    model = IWAE(IAFVAE((3,), latent=2, hidden=(4,), steps=1, flow_hidden=(4,), flow_context=2), importance_samples=3)
    assert model.elbo(torch.zeros(2, 3)).shape == (2,)


def test_no_draws_are_refused():
    with pytest.raises(ValueError, match="at least 1, got 0"):
        IWAE(linear_vae(3, 2), importance_samples=0)
