"""What every generator promises."""

import pytest
import torch

from generative_core import Sampler
from tests import zoo


def seeded(make):
    torch.manual_seed(0)
    return make()


@pytest.fixture(params=zoo.GENERATORS.values(), ids=zoo.GENERATORS.keys())
def make_generator(request):
    return lambda: seeded(request.param)


def test_samples_have_the_event_shape(make_generator):
    sampler = make_generator()
    assert isinstance(sampler, Sampler)
    x = sampler.sample(5)
    assert x.shape == (5, *sampler.event_shape)
    assert x.dtype == torch.float32
    assert sampler.sample(0).shape == (0, *sampler.event_shape)


def test_samples_are_the_random_generators_and_nothing_elses(make_generator):
    sampler = make_generator()
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
