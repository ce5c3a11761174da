"""What every model with an exact density promises."""

import copy
import functools
import math

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from generative_core import (
    AbstractTractable,
    MaximumLikelihoodStep,
    Sampler,
    ScoreKind,
    Scorer,
    load_checkpoint,
    save_checkpoint,
)
from tests import zoo
from tests.generative_core.autoregressive_laws import binary_states

CASES = zoo.TRACTABLES
REAL = {name: case for name, case in CASES.items() if not case.binary and case.levels is None}


def by_name(cases: dict[str, zoo.Case]):
    return pytest.mark.parametrize("case", cases.values(), ids=cases.keys())


def fresh(case: zoo.Case) -> AbstractTractable:
    torch.manual_seed(0)
    return case.make()


def is_trained_by_steps(model: AbstractTractable) -> bool:
    """The others have closed forms or EM."""
    return any(p.requires_grad for p in model.parameters())


def trained(case: zoo.Case) -> AbstractTractable:
    """In evaluation mode, after a few steps on noise: far enough from its start for every part to act."""
    return copy.deepcopy(trained_once(case))


@functools.cache
def trained_once(case: zoo.Case) -> AbstractTractable:
    model = fresh(case)
    if is_trained_by_steps(model):
        step = MaximumLikelihoodStep(model, lr=3e-2)
        for i in range(3):
            step(*case.batch(model, 64, seed=100 + i))
    return model.eval()


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@by_name(CASES)
def test_score_is_the_log_density_and_loss_its_negative_one_number_an_event(case):
    model = trained(case)
    assert isinstance(model, Scorer)
    assert isinstance(model, Sampler)
    assert model.score_kind is ScoreKind.LOG_PROB
    x, context = case.batch(model)
    log_prob = model.log_prob(x, context)
    assert log_prob.shape == (6,)
    assert log_prob.isfinite().all()
    assert log_prob.std() > 0
    assert torch.equal(model.score(x, context, generator=seeded()), log_prob)
    if type(model).loss is AbstractTractable.loss:  # some train on an estimate
        assert torch.equal(model.loss(x, context), -log_prob)


@by_name(CASES)
def test_events_are_judged_one_by_one(case):
    model = trained(case)
    x, context = case.batch(model)
    alone = [model.log_prob(x[i : i + 1], None if context is None else context[i : i + 1]) for i in range(len(x))]
    assert_close(torch.cat(alone), model.log_prob(x, context), rtol=1e-4, atol=1e-4)


@by_name(CASES)
def test_an_empty_batch_is_no_trouble(case):
    model = trained(case)
    x, context = case.batch(model, 0)
    assert model.log_prob(x, context).shape == (0,)
    assert model.sample(0, context).shape == (0, *model.event_shape)


@by_name(CASES)
def test_double_precision_goes_through(case):
    model = trained(case)
    x, context = case.batch(model)
    single = model.log_prob(x, context)
    double = model.double().log_prob(x.double(), None if context is None else context.double())
    assert double.dtype == torch.float64
    assert_close(double.float(), single, atol=1e-3, rtol=1e-3)
    draws = model.sample(6, None if context is None else context.double(), generator=seeded())
    assert draws.dtype == torch.float64


@by_name(CASES)
def test_samples_are_valid_events_with_a_density(case):
    model = trained(case)
    _, context = case.batch(model, 200)
    draws = model.sample(200, context, generator=seeded())
    assert draws.shape == (200, *model.event_shape)
    assert draws.dtype == torch.float32
    if case.binary:
        assert set(draws.unique().tolist()) == {0.0, 1.0}
    elif case.levels is not None:
        levels = torch.linspace(-1, 1, case.levels)
        assert ((draws.unsqueeze(-1) - levels).abs().amin(-1) < 1e-6).all()
        assert len(draws.unique()) > 1
    log_prob = model.log_prob(draws, context)
    assert log_prob.isfinite().all()


@by_name(CASES)
def test_samples_are_the_random_generators_and_nothing_elses(case):
    model = trained(case)
    _, context = case.batch(model, 32)
    before = torch.get_rng_state()
    first, second, other = (model.sample(32, context, generator=seeded(seed)) for seed in (3, 3, 4))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), before)


@by_name(CASES)
def test_the_context_is_needed_where_there_is_one_and_refused_where_there_is_none(case):
    model = trained(case)
    x, context = case.batch(model)
    wrong = [torch.zeros(6, case.context + 1)]
    if case.context and not case.context_is_optional:
        wrong.append(None)
    for other in wrong:
        with pytest.raises(ValueError):
            model.log_prob(x, other)
        with pytest.raises(ValueError):
            model.sample(6, other)
    model.log_prob(x, context)


@by_name({name: case for name, case in CASES.items() if case.context})
def test_the_context_matters(case):
    model = trained(case)
    x, context = case.batch(model)
    other = context.roll(1, 1) if case.context_is_label else -context
    assert ((model.log_prob(x, context) - model.log_prob(x, other)).abs() > 0).all()
    draws = [model.sample(6, c, generator=seeded()) for c in (context, other)]
    if not case.binary and case.levels is None:
        assert not torch.equal(*draws)


@by_name(CASES)
def test_events_of_another_shape_are_refused(case):
    model = trained(case)
    x, context = case.batch(model)
    with pytest.raises(ValueError):
        model.log_prob(torch.cat([x, x], dim=1), context)


@by_name(REAL)
def test_the_score_has_a_slope_in_the_event(case):
    model = trained(case)
    x, context = case.batch(model)
    x.requires_grad_(True)
    (slope,) = torch.autograd.grad(model.score(x, context).sum(), x)
    assert (slope.flatten(1).norm(dim=1) > 0).all()


@by_name(CASES)
def test_every_parameter_is_trained(case):
    model = fresh(case)
    before = {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}
    if not before:
        pytest.skip("fitted in closed form or by EM")
    step = MaximumLikelihoodStep(model, lr=1e-2)
    for i in range(4):  # the layers before one that starts at zero wait for it
        step(*case.batch(model, 64, seed=i))
    after = dict(model.named_parameters())
    assert [name for name, value in before.items() if torch.equal(after[name], value)] == []


@by_name(CASES)
def test_training_raises_the_density_of_its_batch(case):
    model = fresh(case)
    if not is_trained_by_steps(model):
        pytest.skip("fitted in closed form or by EM")
    x, context = case.batch(model, 32)
    step = MaximumLikelihoodStep(model, lr=1e-2)
    losses = [step(x, context)["loss"] for _ in range(12)]
    assert losses[-1] < losses[0] - 1e-2


@by_name(CASES)
def test_a_saved_model_judges_and_draws_alike_to_the_bit(case, tmp_path):
    model = trained(case)
    other = fresh(case)
    x, context = case.batch(model, 32)
    save_checkpoint(tmp_path / "model.safetensors", model.state_dict())
    other.load_state_dict(load_checkpoint(tmp_path / "model.safetensors"))
    other.eval()
    assert torch.equal(other.log_prob(x, context), model.log_prob(x, context))
    draws = [m.sample(8, None if context is None else context[:8], generator=seeded()) for m in (model, other)]
    assert torch.equal(*draws)


def one_context(case: zoo.Case, model: AbstractTractable, n: int) -> Tensor | None:
    """The same context n times."""
    _, context = case.batch(model, 1)
    return None if context is None else context.double().expand(n, -1)


@by_name(REAL)
def test_samples_and_density_are_of_one_distribution(case):
    """E_p[q(x) / p(x)] = 1 for any density q: here a normal one, a little narrower than the samples."""
    model = trained(case).double()
    n = 4000
    context = one_context(case, model, n)
    with torch.no_grad():
        x = model.sample(n, context, generator=seeded())
        log_prob = model.log_prob(x, context)
    flat = x.flatten(1)
    q = torch.distributions.Normal(flat.mean(0), 0.8 * flat.std(0))
    weight = (q.log_prob(flat).sum(1) - log_prob).exp()
    error = weight.std().item() / math.sqrt(n)
    assert error < 0.1  # else the law could not fail
    assert abs(weight.mean().item() - 1) < 5 * error


@by_name({name: case for name, case in CASES.items() if case.binary})
def test_binary_densities_sum_to_one_and_their_samples_follow_them(case):
    model = trained(case).double()
    n_dims = math.prod(model.event_shape)
    if n_dims > 12:
        pytest.skip(f"2^{n_dims} events are too many for here; the model's own tests crop it")
    states = binary_states(model.event_shape)
    with torch.no_grad():
        p = model.log_prob(states, one_context(case, model, len(states))).exp()
        draws = model.sample(4000, one_context(case, model, 4000), generator=seeded())
    assert_close(p.sum().item(), 1.0, rtol=0, atol=1e-9)
    place = 2 ** torch.arange(n_dims - 1, -1, -1)
    frequency = torch.bincount((draws.flatten(1).long() * place).sum(1), minlength=len(states)) / 4000
    assert ((frequency - p).abs() < 5 * (p * (1 - p) / 4000).sqrt() + 1e-3).all()
