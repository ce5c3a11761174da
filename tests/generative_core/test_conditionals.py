"""The element-wise laws: normalised, equal to known distributions, and sampled as they say."""

import math

import pytest
import torch
from torch import distributions as D
from torch.testing import assert_close

from generative_core.autoregressive.conditionals import (
    Bernoulli,
    Categorical,
    Conditional,
    DiscreteConditional,
    DiscretisedLogisticMixture,
    MixtureOfGaussians,
)

DISCRETE = [Bernoulli(), Categorical(2), Categorical(5), DiscretisedLogisticMixture(3, 4)]
DISCRETE += [DiscretisedLogisticMixture(5, 256)]
ALL = [*DISCRETE, MixtureOfGaussians(1), MixtureOfGaussians(3)]


def parameters_of(law, *shape, scale=2.0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(*shape, law.n_parameters, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("law", ALL, ids=str)
def test_they_are_conditionals_and_only_the_discrete_ones_have_tables(law):
    assert isinstance(law, Conditional)
    assert isinstance(law, DiscreteConditional) == (law in DISCRETE)


@pytest.mark.parametrize("scale", [1.0, 30.0])
@pytest.mark.parametrize("law", DISCRETE, ids=str)
def test_the_levels_sum_to_one_edges_included(law, scale):
    parameters = parameters_of(law, 7, 3, scale=scale)
    table = law.log_table(parameters)
    assert table.shape == (7, 3, law.levels)
    assert_close(table.exp().sum(-1), torch.ones(7, 3).double(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("law", DISCRETE, ids=str)
def test_the_table_is_log_prob_at_every_level(law):
    parameters = parameters_of(law, 7)
    for k in range(law.levels):
        x = law.value(torch.full((7,), k), parameters)
        assert (law.index(x) == k).all()
        assert_close(law.log_prob(parameters, x), law.log_table(parameters)[:, k])


@pytest.mark.parametrize("law", DISCRETE, ids=str)
def test_levels_are_the_house_values(law):
    values = law.value(torch.arange(law.levels), torch.zeros((), dtype=torch.float64))
    low, high = (0, 1) if law.levels == 2 else (-1, 1)
    assert_close(values, torch.linspace(low, high, law.levels).double(), atol=1e-7, rtol=0)


@pytest.mark.parametrize("law", DISCRETE, ids=str)
def test_discrete_draws_have_the_tables_frequencies(law):
    n = 40_000
    parameters = parameters_of(law)
    x = law.sample(parameters.expand(n, -1), generator=torch.Generator().manual_seed(0))
    assert_close(law.value(law.index(x), x), x, rtol=0, atol=0)
    frequency = torch.bincount(law.index(x), minlength=law.levels) / n
    p = law.log_table(parameters).exp()
    deviation = (frequency - p).abs() / (p * (1 - p) / n + 1e-9).sqrt()
    assert deviation.max() < 4.5


def test_bernoulli_and_categorical_are_torchs():
    logits = parameters_of(Bernoulli(), 50)
    x = torch.randint(2, (50,)).double()
    assert_close(Bernoulli().log_prob(logits, x), D.Bernoulli(logits=logits.squeeze(-1)).log_prob(x))
    law = Categorical(6)
    logits, k = parameters_of(law, 50), torch.arange(50) % 6
    assert_close(law.log_prob(logits, law.value(k, logits)), D.Categorical(logits=logits).log_prob(k))


def test_bernoulli_stays_finite_where_the_logit_is_large():
    logit = torch.tensor([[40.0], [-40.0], [800.0]], dtype=torch.float64)
    expected = torch.tensor([0, 0, -800], dtype=torch.float64)
    assert_close(Bernoulli().log_prob(logit, torch.tensor([1.0, 0.0, 0.0]).double()), expected, rtol=0, atol=1e-12)


def torch_mixture(law, parameters):
    """The same law from torch.distributions; its bound on the scales written out."""
    logits, means, raw = parameters.chunk(3, dim=-1)
    low, high = math.log(law.min_scale), math.log(law.max_scale)
    log_scales = (low + high) / 2 + (high - low) / 2 * torch.tanh((raw - (low + high) / 2) / ((high - low) / 2))
    return D.MixtureSameFamily(D.Categorical(logits=logits), D.Normal(means, log_scales.exp()))


def test_the_mixture_of_gaussians_is_torchs():
    law = MixtureOfGaussians(4, min_scale=0.1, max_scale=50.0)
    parameters = parameters_of(law, 30, 2, scale=3.0)
    x = 5 * torch.randn(30, 2, generator=torch.Generator().manual_seed(1)).double()
    assert_close(law.log_prob(parameters, x), torch_mixture(law, parameters).log_prob(x))


def test_draws_of_the_mixture_of_gaussians_have_its_distribution_function():
    law = MixtureOfGaussians(3)
    parameters, n = parameters_of(law), 20_000
    x = law.sample(parameters.expand(n, -1), generator=torch.Generator().manual_seed(0)).sort().values
    steps = torch.arange(1, n + 1) / n
    distance = (torch_mixture(law, parameters).cdf(x) - steps).abs().max()
    assert distance < 1.95 / math.sqrt(n)  # Kolmogorov-Smirnov at 0.1 %


def test_scales_are_bounded_however_wild_the_parameters_are():
    law = MixtureOfGaussians(1, min_scale=0.01, max_scale=10.0)
    for raw in (-1e6, -20.0, 20.0, 1e6):
        parameters = torch.tensor([[0.0, 0.0, raw]], dtype=torch.float64, requires_grad=True)
        at_mean = law.log_prob(parameters, torch.zeros(1).double())
        limit = 0.01 if raw < 0 else 10
        assert_close(at_mean.item(), -math.log(limit * math.sqrt(2 * math.pi)), atol=0.01, rtol=0)
        (grad,) = torch.autograd.grad(at_mean.sum(), parameters)
        assert torch.isfinite(grad).all()
    far = law.log_prob(torch.tensor([[0.0, 0.0, -50.0]]), torch.tensor([1e6]))
    assert torch.isfinite(far).all()


def test_the_raw_log_scale_is_the_log_scale_near_the_middle():
    law = MixtureOfGaussians(1)
    at_mean = law.log_prob(torch.tensor([[0.0, 0.0, 0.3]]).double(), torch.zeros(1).double())
    assert_close(at_mean.item(), -0.3 - 0.5 * math.log(2 * math.pi), atol=2e-3, rtol=0)


def test_the_discretised_logistic_is_the_difference_of_two_sigmoids():
    law = DiscretisedLogisticMixture(1, 8, min_scale=1e-3, max_scale=1e3)
    mean, log_scale, half = 0.1, -0.5, 1 / 7
    parameters = torch.tensor([0.0, mean, log_scale], dtype=torch.float64)  # 0 is the middle of the log range
    scale = math.exp(math.log(1e3) * math.tanh(log_scale / math.log(1e3)))
    edges = torch.linspace(-1 - half, 1 + half, 9).double()
    cdf = torch.sigmoid((edges - mean) / scale)
    cdf[0], cdf[-1] = 0, 1
    assert_close(law.log_table(parameters).exp(), cdf.diff())


@pytest.mark.parametrize("law", ALL, ids=str)
def test_every_parameter_gets_a_finite_gradient_even_far_out(law):
    parameters = parameters_of(law, 64, scale=20.0).float().requires_grad_()
    x = law.sample(parameters_of(law, 64, seed=1).float(), generator=torch.Generator().manual_seed(0))
    law.log_prob(parameters, x).sum().backward()
    assert torch.isfinite(parameters.grad).all()
    assert parameters.grad.any(0).all() or law.n_parameters == 3  # one component has nothing to weigh


@pytest.mark.parametrize("law", ALL, ids=str)
def test_equal_generators_give_equal_draws_and_no_other_number_is_used(law):
    parameters = parameters_of(law, 100)
    state = torch.get_rng_state()
    first, second, other = (law.sample(parameters, generator=torch.Generator().manual_seed(s)) for s in (0, 0, 1))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), state)
    assert first.dtype == torch.float64


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="two levels"):
        Categorical(1)
    with pytest.raises(ValueError, match="one component"):
        MixtureOfGaussians(0)
    with pytest.raises(ValueError, match="min_scale"):
        MixtureOfGaussians(2, min_scale=0.0)
    with pytest.raises(ValueError, match="Bernoulli"):
        DiscretisedLogisticMixture(2, 2)
