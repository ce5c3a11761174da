"""The flow posterior: its density is right, it bends where a Gaussian cannot, and free bits keep it in use."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from generative_core import IAFVAE, VAE, GaussianLikelihood
from generative_core.densities import standard_normal_log_prob
from generative_core.variational.latent_variable import AbstractLatentVariable


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def tiny(**keywords) -> IAFVAE:
    torch.manual_seed(0)
    sizes = {"latent": 3, "hidden": (8,), "steps": 3, "flow_hidden": (16,), "flow_context": 4}
    return IAFVAE((2,), **(sizes | keywords)).double()


def test_log_q_is_the_change_of_variables_from_the_noise():
    model = tiny()
    with torch.no_grad():
        for p in model.steps.parameters():
            p.mul_(3)  # far from the identity
    x = torch.randn(1, 2, generator=seeded(), dtype=torch.float64)
    posterior = model.posterior(x)
    noise = torch.randn(1, 3, generator=seeded(1), dtype=torch.float64)
    _, log_q = posterior.push(noise)
    jacobian = torch.autograd.functional.jacobian(lambda e: posterior.push(e)[0].squeeze(0), noise).squeeze(1)
    expected = standard_normal_log_prob(noise).sum() - torch.linalg.slogdet(jacobian).logabsdet
    assert_close(log_q.sum(), expected)
    assert jacobian.triu(1).abs().max() > 1e-3  # steps in both directions: no longer triangular
    assert jacobian.tril(-1).abs().max() > 1e-3
    assert_close(posterior.draw(generator=seeded(2))[0], posterior.push(posterior.base.noise(generator=seeded(2)))[0])


def test_one_step_sees_only_the_elements_before():
    step = tiny().steps[0]
    h = torch.zeros(1, 4, dtype=torch.float64)
    z = torch.randn(1, 3, generator=seeded(), dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(lambda z: step(z, h)[0].squeeze(0), z).squeeze(1)
    assert not jacobian.triu(1).any()
    assert jacobian.tril().count_nonzero() == 6
    _, log_s = step(z, h)
    assert_close(jacobian.diagonal().log(), log_s[0])


def test_an_untrained_step_keeps_most_of_z():
    step = tiny().steps[0]
    _, log_s = step(torch.randn(100, 3, generator=seeded(), dtype=torch.float64), torch.zeros(100, 4).double())
    assert 0.8 < log_s.exp().mean() < 0.95


class Radius(nn.Module):
    """z (B, 2) -> ||z|| (B, 1)."""

    def forward(self, z: Tensor) -> Tensor:
        return torch.linalg.vector_norm(z, dim=1, keepdim=True)


def log_prob_of_radius(radius: float, scale: float) -> float:
    """log of the integral of r exp(-r^2 / 2) N(radius; r, scale^2) dr: the length of z ~ N(0, I_2), seen with noise."""
    r = torch.linspace(1e-4, 8, 20_000, dtype=torch.float64)
    log_likelihood = standard_normal_log_prob((radius - r) / scale) - math.log(scale)
    log_joint = r.log() - 0.5 * r.square() + log_likelihood
    return (log_joint.logsumexp(0) + (r[1] - r[0]).log()).item()


def test_the_flow_comes_nearer_than_a_gaussian_to_a_posterior_in_the_shape_of_a_ring():
    """One event, the length 1.5; log p(x) minus the bound is KL(q || p(z | x))."""

    def gap(model: AbstractLatentVariable) -> float:
        x = torch.full((128, 1), 1.5)
        optimiser = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=1e-2)
        generator = seeded()
        for _ in range(200):
            optimiser.zero_grad()
            model.loss(x, generator=generator).mean().backward()
            optimiser.step()
        with torch.no_grad():
            bound = model.elbo(x[:1].expand(20_000, 1), generator=generator).mean().item()
        return log_prob_of_radius(1.5, 0.2) - bound

    known = {"decoder": Radius(), "likelihood": GaussianLikelihood(scale=0.2, learned=False)}
    torch.manual_seed(2)
    gaussian = gap(VAE((1,), latent=2, hidden=(8,), **known))
    torch.manual_seed(2)
    flow = gap(IAFVAE((1,), latent=2, hidden=(8,), steps=4, flow_hidden=(32,), flow_context=2, **known))
    assert gaussian > 1.4
    assert 0 < flow < 0.6 * gaussian


def test_free_bits_change_the_bound_in_training_alone_and_only_downwards():
    plain, free = tiny(), tiny(free_bits=3.0)
    x = torch.randn(32, 2, generator=seeded(), dtype=torch.float64)
    bounds = [
        model.train(training).elbo(x, generator=seeded(1)) for training in (True, False) for model in (plain, free)
    ]
    assert bounds[1].mean() < bounds[0].mean() - 0.1
    assert_close(bounds[2], bounds[0])
    assert_close(bounds[3], bounds[0])


def test_free_bits_keep_the_latent_in_use_where_it_would_collapse():
    """A decoder that has no use for z: the KL falls to zero without free bits; with them it stays near one each."""

    def kl(free_bits: float) -> float:
        model = tiny(free_bits=free_bits, steps=1)
        with torch.no_grad():
            model.encoder.net.layers[-1].bias[:3] = 2.0  # begins far from the prior
            model.decoder.net.layers[-1].weight.zero_()
        parameters = [*model.encoder.parameters(), *model.steps.parameters()]
        optimiser = torch.optim.SGD(parameters, lr=0.05)
        x = torch.zeros(512, 2, dtype=torch.float64)
        generator = seeded()
        for _ in range(80):
            optimiser.zero_grad()
            model.loss(x, generator=generator).mean().backward()
            optimiser.step()
        with torch.no_grad():
            z, log_q = model.posterior(x.repeat(6, 1)).draw(generator=generator)
            return (log_q - standard_normal_log_prob(z)).sum(1).mean().item()

    assert kl(0.0) < 0.15
    assert 1.2 < kl(1.0) < 3.5


def test_sizes_that_make_no_flow_are_refused():
    for keywords in ({"steps": 0}, {"flow_context": 0}, {"free_bits": -0.1}):
        with pytest.raises(ValueError, match="IAFVAE needs"):
            tiny(**keywords)
