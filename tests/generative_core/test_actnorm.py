"""ActNorm: the first batch decides where it starts, and nothing starts it again."""

import copy

import pytest
import torch
from torch.testing import assert_close

from generative_core import MaximumLikelihoodStep, RealNVP, load_checkpoint, save_checkpoint
from generative_core.flows.actnorm import ActNorm
from tests.generative_core.flow_laws import noise


@pytest.mark.parametrize("shape", [(3,), (3, 4, 5)])
def test_the_first_batch_leaves_with_mean_0_and_std_1_a_channel(shape):
    norm = ActNorm(shape).double()
    x = noise(50, *shape) * 7 + 3
    y, log_det = norm.forward_and_log_det(x)
    dims = [0, *range(2, x.ndim)]
    assert_close(y.mean(dims), torch.zeros(3, dtype=torch.float64), rtol=0, atol=1e-12)
    assert_close(y.std(dims, correction=0), torch.ones(3, dtype=torch.float64), rtol=0, atol=1e-12)
    assert (log_det < -1).all()
    assert bool(norm.initialised)


def test_the_second_batch_is_only_mapped():
    norm = ActNorm((3,)).double()
    norm(noise(50, 3) * 7 + 3)
    before = copy.deepcopy(norm.state_dict())
    y = norm(noise(50, 3, seed=1) * 2 - 9)
    assert y.mean() < -1
    assert all(torch.equal(value, before[name]) for name, value in norm.state_dict().items())


def test_neither_evaluation_nor_the_inverse_nor_a_batch_without_spread_starts_it():
    norm = ActNorm((3,)).double()
    x = noise(50, 3) * 7 + 3
    assert torch.equal(norm.inverse(x), x)
    norm(x[:0])
    norm(x[:1])  # one value a channel has no spread
    assert torch.equal(norm.eval()(x), x)
    assert not norm.initialised
    assert_close(norm.train()(x).mean().item(), 0.0, rtol=0, atol=1e-12)


def test_a_constant_channel_keeps_its_scale():
    x = noise(50, 3)
    x[:, 1] = 4.0
    norm = ActNorm((3,)).double()
    y = norm(x)
    assert not y[:, 1].any()
    assert norm.log_scale[1] == 0
    assert y[:, [0, 2]].std(0, correction=0).sub(1).abs().max() < 1e-12


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_a_first_batch_with_nan_or_inf_is_refused_and_changes_nothing(bad):
    norm = ActNorm((3,)).double()
    x = noise(50, 3)
    x[4, 1] = bad
    with pytest.raises(FloatingPointError, match="nan or inf"):
        norm(x)
    assert not norm.initialised
    assert not norm.shift.any()


def test_a_loaded_layer_does_not_start_again(tmp_path):
    norm = ActNorm((3,))
    norm(torch.randn(50, 3, generator=torch.Generator().manual_seed(0)) * 7 + 3)
    save_checkpoint(tmp_path / "norm", norm.state_dict())
    loaded = ActNorm((3,))
    loaded.load_state_dict(load_checkpoint(tmp_path / "norm"))
    x = torch.randn(50, 3, generator=torch.Generator().manual_seed(1))
    assert torch.equal(loaded(x), norm(x))
    assert torch.equal(loaded.shift, norm.shift)


def test_a_layer_that_loads_a_fresh_state_starts_again():
    norm, fresh = ActNorm((3,)).double(), ActNorm((3,)).double()
    norm(noise(50, 3) * 7 + 3)
    norm.load_state_dict(fresh.state_dict())
    assert_close(norm(noise(50, 3) * 2).std(0, correction=0), torch.ones(3, dtype=torch.float64), rtol=0, atol=1e-12)


def test_training_goes_on_from_a_checkpoint_to_the_bit():
    def new_step() -> MaximumLikelihoodStep:
        torch.manual_seed(0)
        return MaximumLikelihoodStep(RealNVP((3,), couplings=2, hidden=(8,)), lr=1e-2)

    batches = [noise(32, 3, seed=i).float() * 5 + 1 for i in range(6)]
    whole, first = new_step(), new_step()
    losses = [whole(x)["loss"] for x in batches]
    for x in batches[:3]:
        first(x)
    state = copy.deepcopy(first.state_dict())
    resumed = new_step()
    resumed.load_state_dict(state)
    assert [resumed(x)["loss"] for x in batches[3:]] == losses[3:]
