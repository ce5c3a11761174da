"""What every latent-variable model with a bound promises."""

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from generative_core import (
    AbstractVariational,
    FeatureConsistentVAE,
    MaximumLikelihoodStep,
    Sampler,
    ScoreKind,
    Scorer,
)
from tests import zoo


@pytest.fixture(params=zoo.VARIATIONALS.values(), ids=zoo.VARIATIONALS.keys())
def case(request) -> zoo.Case:
    return request.param


def build(case: zoo.Case) -> AbstractVariational:
    torch.manual_seed(0)
    return case.make()


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def doubled(batch: tuple[Tensor, Tensor | None]) -> tuple[Tensor, Tensor | None]:
    x, context = batch
    return x.double(), None if context is None else context.double()


def test_the_score_is_the_bound_and_the_loss_minus_it(case):
    model = build(case).eval()
    assert isinstance(model, Scorer)
    is_bound = not isinstance(model, FeatureConsistentVAE)
    assert model.score_kind is (ScoreKind.LOG_BOUND if is_bound else ScoreKind.CRITIC_VALUE)
    x, context = case.batch(model)
    elbo = model.elbo(x, context, generator=seeded())
    assert elbo.shape == (6,)
    assert elbo.dtype == torch.float32
    assert elbo.std() > 0
    assert_close(model.score(x, context, generator=seeded()), elbo, rtol=0, atol=0)
    assert_close(model.loss(x, context, generator=seeded()), -elbo, rtol=0, atol=0)


def test_codes_and_events_keep_their_shapes(case):
    model = build(case).eval()
    assert isinstance(model, Sampler)
    x, context = case.batch(model)
    z = model.encode(x, context)
    assert z.ndim == 2
    assert len(z) == 6
    mean = model.decode(z, context)
    draws = model.sample(6, context)
    assert mean.shape == draws.shape == x.shape
    none = None if context is None else context[:0]
    assert model.sample(0, none).shape == (0, *model.event_shape)
    assert model.elbo(x[:0], none).shape == (0,)


def test_draws_lie_where_the_events_do(case):
    model = build(case).eval()
    _, context = case.batch(model, 200)
    x = model.sample(200, context, generator=seeded())
    if case.binary:
        assert set(x.unique().tolist()) == {0.0, 1.0}
    elif case.levels is not None:
        level = (x + 1) / 2 * (case.levels - 1)
        assert_close(level, level.round())
        assert set(level.round().unique().tolist()) == set(map(float, range(case.levels)))
    assert x.std(0).min() > 0


def test_the_decoded_mean_is_the_mean_of_draws_given_the_code(case):
    """E[x] two ways: the mean over z of the decoded means, and the mean of draws."""
    model = build(case).double().eval()
    _, context = doubled(case.batch(model, 1))
    n = 20_000
    contexts = None if context is None else context.expand(n, -1)
    z = torch.randn(n, model.encode(*doubled(case.batch(model, 1))).shape[1], generator=seeded(1)).double()
    with torch.no_grad():
        means = model.decode(z, contexts)
        draws = model.sample(n, contexts, generator=seeded(2))
    error = (means.var(0) + draws.var(0)).div(n).sqrt()
    assert ((means.mean(0) - draws.mean(0)).abs() < 5 * error).all()


def test_noise_is_the_random_generators_and_nothing_elses(case):
    model = build(case)
    x, context = case.batch(model)
    before = torch.get_rng_state()
    for draw in (
        lambda generator: model.elbo(x, context, generator=generator),
        lambda generator: model.encode(x, context, generator=generator),
        lambda generator: model.sample(6, context, generator=generator),
    ):
        first, second, other = draw(seeded(3)), draw(seeded(3)), draw(seeded(4))
        assert torch.equal(first, second)
        assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), before)


def test_events_are_judged_one_by_one(case):
    model = build(case).eval()
    x, context = case.batch(model)
    other, _ = case.batch(model, seed=1)
    changed = torch.cat([x[:1], other[1:]])
    first, second = (model.elbo(batch, context, generator=seeded()) for batch in (x, changed))
    assert_close(first[0], second[0])
    assert not torch.allclose(first[1:], second[1:])


def test_the_bound_has_a_slope_in_the_event_and_in_the_context(case):
    model = build(case).eval()
    inputs = [tensor.requires_grad_(True) for tensor in case.batch(model) if tensor is not None]
    for grad in torch.autograd.grad(model.elbo(*inputs, generator=seeded()).sum(), inputs):
        assert (grad.flatten(1).norm(dim=1) > 0).all()


def test_events_far_from_the_data_have_a_finite_bound_and_slope(case):
    if case.binary or case.levels is not None:
        pytest.skip("the events are bounded")
    model = build(case).eval()
    x, context = case.batch(model)
    for far in (1e2, 1e4, 1e6):
        event = (far * x).requires_grad_(True)
        elbo = model.elbo(event, context, generator=seeded())
        assert elbo.isfinite().all()
        assert torch.autograd.grad(elbo.sum(), event)[0].isfinite().all()


def test_half_precision_regions_leave_the_bound_in_full_precision(case):
    model = build(case).eval()
    x, context = case.batch(model)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        elbo = model.elbo(x, context, generator=seeded())
    assert elbo.dtype == torch.float32
    assert_close(elbo, model.elbo(x, context, generator=seeded()), rtol=0.02, atol=0.05)


def test_double_precision_goes_through(case):
    model = build(case).double().eval()
    x, context = doubled(case.batch(model))
    for out in (model.elbo(x, context), model.encode(x, context), model.sample(6, context)):
        assert out.dtype == torch.float64


def test_every_parameter_gets_a_gradient(case):
    model = build(case)
    x, context = case.batch(model, 64)
    model.loss(x, context, generator=seeded()).mean().backward()
    untouched = [
        name for name, p in model.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.any())
    ]
    assert untouched == []


def test_training_raises_the_bound(case):
    model = build(case)
    x, context = case.batch(model, 32)
    step = MaximumLikelihoodStep(model, lr=1e-2)
    bound = lambda: model.eval().elbo(x, context, generator=seeded()).mean().item()  # noqa: E731
    before = bound()
    for _ in range(60):
        step(x, context)
    assert bound() > before + 0.2


def test_a_saved_model_judges_and_draws_alike(case):
    model, other = build(case).eval(), build(case).eval()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.1)
    x, context = case.batch(model)
    elbo = lambda m: m.elbo(x, context, generator=seeded())  # noqa: E731
    sample = lambda m: m.sample(6, context, generator=seeded())  # noqa: E731
    assert not torch.equal(elbo(model), elbo(other))
    other.load_state_dict(model.state_dict())
    assert torch.equal(elbo(model), elbo(other))
    assert torch.equal(sample(model), sample(other))


def test_a_context_is_given_if_and_only_if_it_was_declared(case):
    model = build(case)
    x, context = case.batch(model)
    wrong = torch.zeros(6, 3) if context is None else None
    z = model.encode(x, context)
    for call in (
        lambda c: model.elbo(x, c),
        lambda c: model.encode(x, c),
        lambda c: model.decode(z, c),
        lambda c: model.sample(6, c),
    ):
        with pytest.raises(ValueError, match="context features"):
            call(wrong)
        if context is not None:
            with pytest.raises(ValueError, match="context features"):
                call(context[:, :1])


def test_events_of_another_shape_are_refused(case):
    model = build(case)
    x, context = case.batch(model)
    with pytest.raises(ValueError, match="built for events"):
        model.elbo(torch.cat([x, x], dim=1), context)
