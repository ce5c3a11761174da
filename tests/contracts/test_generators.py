"""What every generator promises, alone and as one of two players."""

import pytest
import torch
from torch.testing import assert_close

from generative_core import AdversarialStep, Sampler
from tests import zoo

SAMPLERS = zoo.GENERATORS | zoo.TWO_PLAYERS


def seeded(make):
    torch.manual_seed(0)
    return make()


@pytest.fixture(params=SAMPLERS.values(), ids=SAMPLERS.keys())
def sampler(request):
    return seeded(request.param)


@pytest.fixture(params=zoo.GENERATORS.values(), ids=zoo.GENERATORS.keys())
def make_generator(request):
    return lambda: seeded(request.param)


def test_samples_have_the_event_shape(sampler):
    assert isinstance(sampler, Sampler)
    x = sampler.sample(5)
    assert x.shape == (5, *sampler.event_shape)
    assert x.dtype == torch.float32
    assert sampler.sample(0).shape == (0, *sampler.event_shape)


def test_samples_are_the_random_generators_and_nothing_elses(sampler):
    before = torch.get_rng_state()
    first, second, other = (sampler.sample(5, generator=torch.Generator().manual_seed(seed)) for seed in (3, 3, 4))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), before)
    assert first.std(0).min() > 0  # the noise reaches every element


def test_a_generator_has_no_density(make_generator):
    generator = make_generator()
    with pytest.raises(TypeError, match=type(generator).__name__):
        generator.log_prob(generator.sample(2))


def test_every_parameter_gets_a_gradient(make_generator):
    generator = make_generator()
    generator.sample(32).square().sum().backward()
    assert [name for name, p in generator.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_a_saved_generator_draws_alike(make_generator):
    generator, other = make_generator(), make_generator()
    with torch.no_grad():
        for p in generator.parameters():
            p.add_(0.1)
    draw = lambda model: model.sample(4, generator=torch.Generator().manual_seed(0))  # noqa: E731
    assert not torch.equal(draw(generator), draw(other))
    other.load_state_dict(generator.state_dict())
    assert torch.equal(draw(generator), draw(other))


@pytest.mark.parametrize("make", zoo.TWO_PLAYERS.values(), ids=zoo.TWO_PLAYERS.keys())
def test_a_round_of_the_game_trains_both_players_in_full(make):
    gan = seeded(make)
    before = {name: p.detach().clone() for name, p in gan.named_parameters()}
    x = torch.randn(32, *gan.event_shape, generator=torch.Generator().manual_seed(0))
    metrics = AdversarialStep(gan, lr=1e-2)(x)
    assert {"loss", "loss_generator", "accuracy"} <= set(metrics)
    assert [name for name, p in gan.named_parameters() if torch.equal(p, before[name])] == []


@pytest.mark.parametrize("make", zoo.TWO_PLAYERS.values(), ids=zoo.TWO_PLAYERS.keys())
def test_the_pair_samples_from_its_generator(make):
    gan = seeded(make)
    draws = [model.sample(4, generator=torch.Generator().manual_seed(0)) for model in (gan, gan.generator)]
    assert_close(*draws, rtol=0, atol=0)
