"""Step sizes that change over a run, and the other flags of the maximum-likelihood step."""

import itertools

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from generative_core import MaximumLikelihoodStep, cosine_decay, fit, linear_decay
from tests.generative_core.toys import ToyGaussian, ToyVariational


def data() -> Tensor:
    return torch.randn(64, 2, generator=torch.Generator().manual_seed(0)) * 0.5 + 1


@pytest.mark.parametrize("decay", [linear_decay, cosine_decay])
def test_decay_begins_at_one_passes_the_middle_and_stays_at_its_end(decay):
    factor = decay(100, final=0.2)
    assert_close([factor(0), factor(50), factor(100), factor(1000)], [1.0, 0.6, 0.2, 0.2])


def test_linear_decay_is_a_line_and_cosine_is_flat_at_both_ends():
    assert_close(linear_decay(8)(2), 0.75)
    assert_close(cosine_decay(4)(1), 0.5 * (1 + 2**-0.5))
    assert cosine_decay(1000)(1) > 1 - 1e-5


def test_warm_up_rises_from_the_first_update_to_the_top():
    factor = linear_decay(13, warm_up=3)
    assert_close([factor(i) for i in range(5)], [0.25, 0.5, 0.75, 1.0, 0.9])


@pytest.mark.parametrize("warm_up", [-1, 10])
def test_warm_up_longer_than_the_run_is_refused(warm_up):
    with pytest.raises(ValueError, match="warm_up"):
        cosine_decay(10, warm_up=warm_up)


def test_the_schedule_scales_each_update():
    """Adam's first update is lr times the gradient's sign; at a factor of zero nothing moves."""
    model = ToyGaussian([0.0, 0.0])
    step = MaximumLikelihoodStep(model, lr=0.1, schedule=lambda n_updates: [0.5, 0.0][n_updates])
    step(data())
    after_first = model.loc.detach().clone()
    assert_close(after_first, torch.full((2,), 0.05))
    step(data())
    assert_close(model.loc.detach(), after_first, rtol=0, atol=0)


def test_the_place_in_the_schedule_is_resumed():
    def make() -> MaximumLikelihoodStep:
        return MaximumLikelihoodStep(ToyGaussian([0.0, 0.0]), lr=0.1, schedule=linear_decay(10))

    straight, half, resumed = make(), make(), make()
    fit(straight, itertools.repeat((data(),)), 10)
    fit(half, itertools.repeat((data(),)), 5)
    resumed.load_state_dict(half.state_dict())
    fit(resumed, itertools.repeat((data(),)), 10, first_step=5)
    assert_close(resumed.state_dict(), straight.state_dict(), rtol=0, atol=0)


def test_autocast_reaches_the_products_and_leaves_parameters_alone():
    class Linear(ToyVariational):
        def elbo(self, x, context=None, *, generator=None):
            self.product = x @ torch.eye(2)
            return -(self.product - self.loc).float().square().sum(1)

    for autocast, dtype in ((None, torch.float32), (torch.bfloat16, torch.bfloat16)):
        model = Linear()
        step = MaximumLikelihoodStep(model, lr=0.1, autocast=autocast)
        step(data())
        assert model.product.dtype == dtype
        assert model.loc.dtype == model.loc.grad.dtype == torch.float32
        assert_close(model.loc.detach(), torch.full((2,), 0.1))


def test_half_precision_without_loss_scaling_is_refused():
    with pytest.raises(ValueError, match="bfloat16"):
        MaximumLikelihoodStep(ToyGaussian([0.0]), autocast=torch.float16)


def test_compile_hands_the_loss_to_the_compiler(monkeypatch):
    compiled = []
    monkeypatch.setattr(torch, "compile", lambda function: compiled.append(function) or function)
    model = ToyGaussian([0.0, 0.0])
    step = MaximumLikelihoodStep(model, compile=True)
    assert compiled == [model.loss]
    assert step(data())["loss"] == pytest.approx(float(-ToyGaussian([0.0, 0.0]).log_prob(data()).mean().detach()))
