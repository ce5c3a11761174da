"""The VAE where the truth is known: linear and Gaussian, or few enough binary events to add them all up."""

import itertools
import math

import pytest
import torch
from sklearn.decomposition import PCA
from torch import nn
from torch.testing import assert_close

from generative_core import VAE, Bernoulli, GaussianLikelihood, MixtureOfGaussians
from generative_core.densities import log_mean_exp, standard_normal_log_prob
from generative_core.nets.shaped_mlp import ShapedMLP
from generative_core.variational.posteriors import DiagonalGaussian
from tests.generative_core.linear_gaussian import exact_log_prob, exact_posterior, linear_vae, minimise


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


@pytest.mark.parametrize("context_features", [0, 2])
def test_a_linear_vae_reaches_the_likelihood_of_probabilistic_pca(context_features):
    """The maximum is known in closed form; with a context, of what a regression on it leaves over."""
    x = random(300, 2) @ random(2, 5, seed=1) + 0.4 * random(300, 5, seed=2) + 1.0
    context, rest = None, x
    if context_features:
        context = random(300, context_features, seed=3)
        x = x + context @ random(context_features, 5, seed=4)
        design = torch.cat([context, torch.ones(300, 1, dtype=torch.float64)], dim=1)
        rest = x - design @ torch.linalg.lstsq(design, x).solution
    best = PCA(2).fit(rest.numpy()).score(rest.numpy())

    vae = linear_vae(5, 2, context_features=context_features)
    x_often, context_often = x.repeat(30, 1), None if context is None else context.repeat(30, 1)
    minimise(vae, lambda: vae.loss(x_often, context_often, generator=seeded()).mean(), max_iter=60)  # same noise

    with torch.no_grad():
        reached = exact_log_prob(vae, x, context).mean()
        bound = vae.elbo(x_often, context_often, generator=seeded(1)).mean()
    assert best - 0.003 < reached < best + 0.001  # PCA divides by n - 1, so it is itself a hair below the maximum
    assert reached - 0.02 < bound < reached + 0.005


def test_the_bounds_rise_with_the_number_of_draws_towards_the_exact_likelihood():
    vae = linear_vae(4, 2)
    with torch.no_grad():
        for p in vae.encoder.parameters():
            p.zero_()  # q(z | x) = N(0, I): no weight is larger than the density's peak
        vae.decoder.net.layers[0].weight.mul_(2)
    x = random(200, 4)
    with torch.no_grad():
        exact = exact_log_prob(vae, x).mean()
        elbo = vae.elbo(x.repeat(100, 1), generator=seeded()).mean()
        few = vae.iw_bound(x.repeat(50, 1), 5, generator=seeded()).mean()
        more = vae.iw_bound(x.repeat(5, 1), 50, generator=seeded()).mean()
        many = vae.iw_bound(x, 5000, generator=seeded(), chunk=50_000).mean()
    assert elbo + 0.05 < few
    assert few + 0.01 < more < exact + 0.01
    assert more - 0.01 < many
    assert abs(many - exact) < 0.005


def test_one_weighted_draw_has_the_bound_as_its_mean():
    """The closed-form KL and the sampled one agree in the mean."""
    vae = linear_vae(4, 2)
    x = 0.3 * random(5, 4)
    with torch.no_grad():
        closed = vae.elbo(x.repeat(20_000, 1), generator=seeded()).unflatten(0, (-1, 5))
        _, sampled = vae.weighted_draws(x, 20_000, generator=seeded(1))
    error = (closed.var(0) / len(closed) + sampled.var(0) / len(sampled)).sqrt()
    assert ((closed.mean(0) - sampled.mean(0)).abs() < 4 * error).all()
    assert (error < 0.1).all()


def test_the_bound_with_the_exact_posterior_is_the_likelihood_at_every_draw():
    vae = linear_vae(4, 1)  # one latent, so that the exact posterior is a diagonal Gaussian
    x = random(6, 4)
    mean, covariance = exact_posterior(vae, x)
    vae.encoder = FixedOutput(torch.cat([mean, 0.5 * covariance.log().expand(6, 1)], dim=1).detach())
    assert_close(vae.iw_bound(x, 1, generator=seeded()), exact_log_prob(vae, x))
    assert_close(vae.iw_bound(x, 7, generator=seeded()), exact_log_prob(vae, x))


def test_the_probabilities_of_all_binary_events_add_up_to_one():
    torch.manual_seed(0)
    vae = VAE((2, 2), latent=2, likelihood=Bernoulli(), hidden=(8,), activation=nn.Tanh).double()
    with torch.no_grad():
        for p in vae.decoder.parameters():
            p.mul_(3)  # far from independent pixels
        events = torch.tensor(list(itertools.product([0.0, 1.0], repeat=4)), dtype=torch.float64).view(16, 2, 2)
        probabilities = vae.iw_bound(events, 5000, generator=seeded()).exp()
    assert probabilities.max() > 0.1
    assert abs(probabilities.sum() - 1) < 0.01


def test_draws_in_chunks_are_all_the_draws():
    vae = linear_vae(3, 2)
    x = random(4, 3)
    generator = seeded()
    log_weight = torch.cat([vae.weighted_draws(x, n, generator=generator)[1] for n in (3, 3, 1)])
    assert_close(vae.iw_bound(x, 7, generator=seeded(), chunk=13), log_mean_exp(log_weight))

    generator = seeded()
    pairs = [vae.iw_bound(pair, 7, generator=generator, chunk=2) for pair in x.split(2)]
    assert_close(vae.iw_bound(x, 7, generator=seeded(), chunk=2), torch.cat(pairs))


@pytest.mark.parametrize("chunk", [1, 3, 10, 1000])
def test_no_more_rows_are_decoded_at_a_time_than_allowed(chunk):
    vae = linear_vae(3, 2)
    rows_decoded, rows_encoded = [], []
    vae.decoder.register_forward_hook(lambda module, inputs, out: rows_decoded.append(len(out)))
    vae.encoder.register_forward_hook(lambda module, inputs, out: rows_encoded.append(len(out)))
    bound = vae.iw_bound(random(5, 3), 11, chunk=chunk)
    assert bound.shape == (5,)
    assert max(rows_decoded) <= chunk
    assert sum(rows_decoded) == 5 * 11
    assert sum(rows_encoded) == 5  # each event is encoded once
    with pytest.raises(ValueError, match="positive"):
        vae.iw_bound(random(5, 3), 0)


def test_weighted_draws_belong_to_their_events():
    """Row i of event b has the weight that its own joint density gives it."""
    vae = linear_vae(3, 2, context_features=2)
    x, context = random(4, 3), random(4, 2, seed=1)
    z, log_weight = vae.weighted_draws(x, 3, context, generator=seeded())
    assert z.shape == (3, 4, 2)
    posterior = vae.posterior(x, context)
    for i in range(3):
        log_joint = vae.log_likelihood(x, z[i], context) + standard_normal_log_prob(z[i]).sum(1)
        assert_close(log_weight[i], log_joint - posterior.log_prob(z[i]))


def test_the_learned_scale_ends_at_the_root_mean_squared_error():
    likelihood = GaussianLikelihood((3, 1), scale=2.0).double()
    x = random(50, 3, 4) * torch.tensor([0.1, 1.0, 10.0], dtype=torch.float64).view(3, 1)
    parameters = torch.zeros(50, 3, 4, 1, dtype=torch.float64)
    minimise(likelihood, lambda: -likelihood.log_prob(parameters, x).mean())
    scale = likelihood.log_scale.exp().squeeze(1).detach()
    assert_close(scale, x.square().mean((0, 2)).sqrt(), rtol=1e-4, atol=0)
    draws = likelihood.sample(parameters.repeat(400, 1, 1, 1), generator=seeded())
    assert_close(draws.std((0, 2)).detach(), scale, rtol=0.03, atol=0)


def test_the_posteriors_log_scale_is_the_encoders_until_it_is_wide_and_always_has_a_slope():
    raw = torch.tensor([-50.0, -1.0, 0.0, 4.9, 5.0 + math.e - 1, 1e6], dtype=torch.float64).requires_grad_(True)
    log_scale = DiagonalGaussian.from_raw(torch.stack([raw, raw], dim=1)).log_scale.squeeze(1)
    assert torch.equal(log_scale[:4], raw[:4])
    assert_close(log_scale[4].item(), 6.0)
    assert log_scale[5] < 20
    (slope,) = torch.autograd.grad(log_scale.sum(), raw)
    assert_close(slope, torch.tensor([1, 1, 1, 1, 1 / math.e, 1e-6], dtype=torch.float64), rtol=1e-4, atol=0)


def test_a_fixed_scale_is_not_trained():
    vae = VAE((3,), latent=2, hidden=(4,), likelihood=GaussianLikelihood(scale=0.5, learned=False))
    vae.loss(torch.zeros(2, 3)).mean().backward()
    assert vae.likelihood.log_scale.grad is None
    assert_close(vae.likelihood.log_scale.exp().item(), 0.5)


def test_the_defaults_are_those_of_binary_mnist():
    vae = VAE((1, 28, 28), likelihood=Bernoulli())
    assert vae.latent_features == 50
    assert vae.reconstruct(torch.zeros(2, 1, 28, 28)).shape == (2, 1, 28, 28)


def test_networks_that_do_not_fit_are_named():
    x = torch.zeros(4, 3)
    with pytest.raises(ValueError, match=r"encoder of this VAE must return \(4, 4\), got \(4, 5\)"):
        VAE((3,), latent=2, encoder=nn.Linear(3, 5)).elbo(x)
    with pytest.raises(ValueError, match=r"decoder of this VAE must return \(4, 3\), got \(4, 2\)"):
        VAE((3,), latent=2, decoder=nn.Linear(2, 2)).elbo(x)
    with pytest.raises(ValueError, match="2 latent features, got 5"):
        VAE((3,), latent=2).decode(torch.zeros(4, 5))


def test_a_network_that_is_passed_in_takes_the_context_second():
    networks = {
        "encoder": ShapedMLP((3,), (4,), context_features=1, hidden=(8,)),
        "decoder": ShapedMLP((2,), (3,), context_features=1, hidden=(8,)),
    }
    vae = VAE((3,), latent=2, context_features=1, **networks)
    x = torch.zeros(4, 3)
    low, high = (vae.reconstruct(x, torch.full((4, 1), value), generator=seeded()) for value in (-1.0, 1.0))
    assert ((low - high).abs() > 1e-6).all()


def test_a_likelihood_without_a_mean_or_with_a_bad_scale_is_refused():
    with pytest.raises(ValueError, match="positive, got 0"):
        GaussianLikelihood(scale=0.0)
    if not hasattr(MixtureOfGaussians(1), "mean"):
        with pytest.raises(ValueError, match="MixtureOfGaussians has neither"):
            VAE((3,), likelihood=MixtureOfGaussians(1))


class FixedOutput(nn.Module):
    """The same tensor whatever comes in."""

    def __init__(self, out: torch.Tensor) -> None:
        super().__init__()
        self.out = out

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out
