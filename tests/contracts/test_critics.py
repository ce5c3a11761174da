"""What every critic promises."""

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from generative_core import AbstractCritic, CriticStep, ScoreKind, Scorer
from tests import zoo


@pytest.fixture(params=zoo.CRITICS.values(), ids=zoo.CRITICS.keys())
def make(request):
    def seeded() -> AbstractCritic:
        torch.manual_seed(0)
        return request.param()

    return seeded


def batch(critic: AbstractCritic, n: int = 6, seed: int = 0, shift: float = 0.0) -> tuple[Tensor, Tensor | None]:
    """(x, context) as the critic takes them."""
    generator = torch.Generator().manual_seed(seed)
    x = shift + torch.randn(n, *critic.event_shape, generator=generator)
    n_context = getattr(critic, "context_features", 0)
    return x, torch.randn(n, n_context, generator=generator) if n_context else None


def test_score_is_the_logit_one_number_an_event(make):
    critic = make().eval()
    assert isinstance(critic, Scorer)
    assert critic.score_kind is ScoreKind.LOG_RATIO
    x, context = batch(critic)
    score = critic.score(x, context)
    assert score.shape == (6,)
    assert score.dtype == torch.float32
    assert_close(score, critic.logit(x, context), rtol=0, atol=0)
    assert score.std() > 0


def test_features_lead_to_the_same_logit(make):
    critic = make().eval()
    x, context = batch(critic)
    critic.update_normaliser(5 + 3 * x, context)
    features = critic.features(x, context)
    assert_close(critic.logit_from_features(features, context), critic.logit(x, context), rtol=0, atol=0)


def test_events_are_judged_one_by_one(make):
    critic = make().eval()
    x, context = batch(critic)
    alone = [critic.logit(x[i : i + 1], None if context is None else context[i : i + 1]) for i in range(6)]
    assert_close(torch.cat(alone), critic.logit(x, context))


def test_the_logit_has_a_slope_in_the_event_and_in_the_context(make):
    critic = make().eval()
    inputs = [tensor.requires_grad_(True) for tensor in batch(critic) if tensor is not None]
    for grad in torch.autograd.grad(critic.logit(*inputs).sum(), inputs):
        assert (grad.flatten(1).norm(dim=1) > 0).all()


def test_double_precision_goes_through(make):
    critic = make().double().eval()
    x, context = batch(critic)
    logit = critic.logit(x.double(), None if context is None else context.double())
    assert logit.dtype == torch.float64
    assert_close(logit.float(), make().eval().logit(x, context), atol=1e-5, rtol=1e-4)


def test_every_parameter_is_trained(make):
    critic = make()
    before = {name: p.detach().clone() for name, p in critic.named_parameters()}
    x, context = batch(critic, 64, shift=1.0)
    x_model, context_model = batch(critic, 64, seed=1)
    step = CriticStep(critic, lr=1e-2, gradient_penalty=1.0)
    step(x, x_model, context, context_model)
    assert [name for name, p in critic.named_parameters() if torch.equal(p, before[name])] == []


def test_training_raises_the_data_above_the_model(make):
    critic = make()
    step = CriticStep(critic, lr=3e-2, gradient_penalty=0.0)
    for i in range(150):
        x, context = batch(critic, 64, seed=2 * i, shift=0.5)
        x_model, context_model = batch(critic, 64, seed=2 * i + 1, shift=-0.5)
        step(x, x_model, context, context_model)
    critic.eval()
    data, model = batch(critic, 500, seed=1000, shift=0.5), batch(critic, 500, seed=1001, shift=-0.5)
    assert (critic.score(*data) > 0).float().mean() > 0.7
    assert (critic.score(*model) < 0).float().mean() > 0.7


def test_a_saved_critic_judges_alike(make):
    critic, other = make(), make()
    x, context = batch(critic, 64)
    critic.update_normaliser(4 + 2 * x, context)
    CriticStep(critic, lr=0.1, gradient_penalty=0.0)(x, x + 1, context, context)
    critic.eval(), other.eval()
    assert not torch.equal(critic.logit(x, context), other.logit(x, context))
    other.load_state_dict(critic.state_dict())
    assert torch.equal(critic.logit(x, context), other.logit(x, context))
