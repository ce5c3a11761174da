"""What every energy model promises."""

import pytest
import torch
from torch.testing import assert_close

from generative_core import AbstractEnergy, ContrastiveDivergenceStep, Sampler, ScoreKind, Scorer
from tests import zoo


@pytest.fixture(params=zoo.ENERGIES.values(), ids=zoo.ENERGIES.keys())
def case(request):
    return request.param


def build(case) -> AbstractEnergy:
    """The tiny instance, moved away from where its energy is almost flat."""
    torch.manual_seed(0)
    model = case.make()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.6 * torch.randn(p.shape, generator=generator))
    return model


def test_score_is_minus_the_energy_one_number_an_event(case):
    model = build(case)
    assert isinstance(model, Scorer)
    assert isinstance(model, Sampler)
    assert model.score_kind is ScoreKind.UNNORMALISED
    x, _ = case.batch(model)
    assert model.score(x).shape == (6,)
    assert model.score(x).dtype == torch.float32
    assert_close(model.score(x), -model.energy(x), rtol=0, atol=0)
    assert model.score(x).std() > 0


def test_events_are_judged_one_by_one(case):
    model = build(case)
    x, _ = case.batch(model)
    assert_close(torch.cat([model.energy(x[i : i + 1]) for i in range(6)]), model.energy(x))
    assert model.energy(x[:0]).shape == (0,)


def test_the_energy_has_a_slope_in_the_event(case):
    model = build(case)
    x = case.batch(model)[0].requires_grad_(True)
    (slope,) = torch.autograd.grad(model.energy(x).sum(), x)
    assert (slope.flatten(1).norm(dim=1) > 0).all()


def test_double_precision_goes_through(case):
    model = build(case)
    x, _ = case.batch(model)
    single = model.energy(x)
    model.double()
    energy = model.energy(x.double())
    assert energy.dtype == torch.float64
    assert_close(energy.float(), single, atol=1e-4, rtol=1e-4)
    assert model.sample(3, n_sweeps=2).dtype == torch.float64


def test_samples_have_the_event_shape_and_kind(case):
    model = build(case)
    x = model.sample(50, n_sweeps=5, generator=torch.Generator().manual_seed(0))
    assert x.shape == (50, *model.event_shape)
    assert x.dtype == torch.float32
    assert (set(x.unique().tolist()) == {0.0, 1.0}) is case.binary
    assert model.sample(0, n_sweeps=2).shape == (0, *model.event_shape)


def test_samples_are_the_random_generators_and_nothing_elses(case):
    model = build(case)
    before = torch.get_rng_state()
    first, second, other = (
        model.sample(300, n_sweeps=3, generator=torch.Generator().manual_seed(seed)) for seed in (3, 3, 4)
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), before)
    assert first.std(0).min() > 0  # the noise reaches every element


def test_samples_have_lower_energies_than_noise(case):
    model = build(case)
    samples = model.sample(500, n_sweeps=50, generator=torch.Generator().manual_seed(0))
    noise = model.visible(model.random_chains(500, generator=torch.Generator().manual_seed(0)))
    assert model.energy(samples).mean() < model.energy(noise).mean() - 0.05


@pytest.mark.parametrize("persistent", [True, False])
def test_one_update_trains_every_parameter(case, persistent):
    model = build(case)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    x, _ = case.batch(model, 32)
    ContrastiveDivergenceStep(model, lr=1e-2, persistent=persistent, n_chains=20)(x)
    assert [name for name, p in model.named_parameters() if torch.equal(p, before[name])] == []


def test_training_lowers_the_energy_of_the_data_against_noise(case):
    model = build(case)
    generator = torch.Generator().manual_seed(0)
    pattern = case.batch(model, 1, seed=7)[0]
    noise, _ = case.batch(model, 200, seed=8)
    x = torch.where(torch.rand(200, *model.event_shape, generator=generator) < 0.1, noise, pattern)
    gap_before = (model.energy(noise).mean() - model.energy(x).mean()).item()
    step = ContrastiveDivergenceStep(model, lr=2e-2)
    for _ in range(100):
        step(x)
    gap = (model.energy(noise).mean() - model.energy(x).mean()).item()
    assert gap > max(gap_before, 0) + 1


def test_a_saved_model_judges_and_draws_alike(case):
    model, torch_seed = build(case), 1
    torch.manual_seed(torch_seed)
    other = case.make()
    x, _ = case.batch(model)
    model.initialise(x)
    assert not torch.equal(model.energy(x), other.energy(x))
    other.load_state_dict(model.state_dict())
    assert torch.equal(model.energy(x), other.energy(x))
    draws = [m.sample(4, n_sweeps=2, generator=torch.Generator().manual_seed(0)) for m in (model, other)]
    assert torch.equal(*draws)


def test_contexts_and_other_shapes_are_refused(case):
    model = build(case)
    x, _ = case.batch(model)
    with pytest.raises(ValueError, match="unconditional"):
        model.energy(x, torch.zeros(6, 2))
    with pytest.raises(ValueError, match="unconditional"):
        model.sample(6, torch.zeros(6, 2))
    with pytest.raises(ValueError, match=type(model).__name__):
        model.energy(torch.zeros(6, 17))
