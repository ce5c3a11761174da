"""The loop, its batches, and exact resume through a checkpoint file."""

import itertools
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from generative_core import (
    GAN,
    AdversarialStep,
    ExponentialMovingAverage,
    MaximumLikelihoodStep,
    MetricHistory,
    SaveCheckpoint,
    ShuffledBatches,
    TrainStep,
    fit,
    load_checkpoint,
)
from tests.generative_core.toys import ToyGaussian, ToyVariational


def data(n: int = 100) -> Tensor:
    return torch.randn(n, 2, generator=torch.Generator().manual_seed(0)) * 0.5 + 1


def test_maximum_likelihood_finds_mean_and_standard_deviation():
    x = data()
    model = ToyGaussian([0.0, 0.0])
    step = MaximumLikelihoodStep(model, lr=5e-2)
    history = MetricHistory()
    fit(step, itertools.repeat((x,)), 300, [history])
    assert_close(model.loc.detach(), x.mean(0), atol=1e-3, rtol=0)
    assert_close(model.log_scale.exp().detach(), x.std(0, correction=0), atol=1e-3, rtol=0)
    entropy = (0.5 * math.log(2 * math.pi * math.e) + x.std(0, correction=0).log()).sum()
    assert_close(history.values["loss"][-1], entropy.item(), atol=1e-4, rtol=0)  # nats


def test_the_context_of_a_batch_reaches_the_model():
    x, context = data(), 10 * torch.randn(100, 2, generator=torch.Generator().manual_seed(1))
    model = ToyGaussian([0.0, 0.0])
    fit(MaximumLikelihoodStep(model, lr=5e-2), itertools.repeat((x + context, context)), 300)
    assert_close(model.loc.detach(), x.mean(0), atol=1e-3, rtol=0)


def test_weight_decay_pulls_by_the_step_size_times_the_parameter():
    plain, decayed = ToyGaussian([3.0, -2.0]), ToyGaussian([3.0, -2.0])
    MaximumLikelihoodStep(plain, lr=0.1)(data())
    MaximumLikelihoodStep(decayed, lr=0.1, weight_decay=0.5)(data())
    assert_close(decayed.loc - plain.loc, torch.tensor([-0.15, 0.1]))


def test_a_half_of_a_batch_averaged_with_the_other_is_the_step_of_the_whole():
    x = data()
    halves, whole, other = (ToyGaussian([0.0, 0.0]) for _ in range(3))
    loss = other.loss(x[50:]).mean()
    loss.backward()

    def average(tensors):
        for mine, theirs in zip(tensors, [loss.detach(), *(p.grad for p in other.parameters())], strict=True):
            mine.add_(theirs).div_(2)

    said = MaximumLikelihoodStep(halves, lr=0.1, max_grad_norm=0.5, average=average)(x[:50])
    assert said["loss"] == pytest.approx(MaximumLikelihoodStep(whole, lr=0.1, max_grad_norm=0.5)(x)["loss"], rel=1e-5)
    assert_close(halves.state_dict(), whole.state_dict())


def test_a_likelihood_that_is_not_finite_changes_nothing():
    model = ToyGaussian([0.0, 0.0])
    with pytest.raises(FloatingPointError, match="ToyGaussian"):
        MaximumLikelihoodStep(model)(torch.full((3, 2), torch.nan))
    assert_close(model.loc.detach(), torch.zeros(2), rtol=0, atol=0)


def gaussian_step(seed: int) -> TrainStep:
    return MaximumLikelihoodStep(ToyGaussian([float(seed), 0.0]), lr=1e-2, seed=seed)


def variational_step(seed: int) -> TrainStep:
    return MaximumLikelihoodStep(ToyVariational(), lr=1e-2, weight_decay=0.1, seed=seed)


def adversarial_step(seed: int) -> TrainStep:
    torch.manual_seed(seed)
    gan = GAN((2,), latent=3, hidden=(8,), r1=1.0)
    return AdversarialStep(gan, critic_steps=2, seed=seed)


@pytest.mark.parametrize("make_step", [gaussian_step, variational_step, adversarial_step])
def test_twenty_updates_equal_ten_a_checkpoint_and_ten(make_step, tmp_path):
    """Bit-equal metrics and states, with batches and moving average resumed into objects of other seeds."""

    def parts(seed: int):
        step = make_step(seed)
        batches = ShuffledBatches(data(), batch_size=30, seed=seed)  # 10 updates end inside an epoch
        return {"step": step, "batches": batches, "ema": ExponentialMovingAverage(step.model, decay=0.9)}

    def run(all_parts, first_step: int, n_steps: int, path: Path) -> dict[str, list[float]]:
        history = MetricHistory()
        hooks = [history, all_parts["ema"], SaveCheckpoint(path, all_parts, every=10)]
        fit(all_parts["step"], all_parts["batches"], n_steps, hooks, first_step=first_step)
        return history.values

    straight = run(parts(seed=0), 0, 20, tmp_path / "straight")
    half = run(parts(seed=0), 0, 10, tmp_path / "half")
    state = load_checkpoint(tmp_path / "half")
    resumed = parts(seed=1)
    for name, part in resumed.items():
        part.load_state_dict(state[name])
    rest = run(resumed, state["first_step"], 20, tmp_path / "rest")

    assert {name: half[name] + rest[name] for name in half} == straight
    assert (tmp_path / "rest").read_bytes() == (tmp_path / "straight").read_bytes()
    other = run(parts(seed=1), 10, 20, tmp_path / "other")  # without the state it is another run
    assert other != rest


def test_every_epoch_is_a_permutation_without_its_remainder():
    x = torch.arange(10)
    batches = ShuffledBatches(x, -x, batch_size=3, seed=0)
    epochs = [[next(batches) for _ in range(3)] for _ in range(50)]
    for epoch in epochs:
        rows = torch.cat([x for x, _ in epoch])
        assert len(rows.unique()) == 9
        assert all(torch.equal(x, -y) for x, y in epoch)
    seen = torch.cat([x for epoch in epochs for x, _ in epoch]).bincount(minlength=10)
    assert seen.min() > 35  # each row is left out one time in ten


@pytest.mark.parametrize("batch_size", [0, 11])
def test_batches_of_impossible_size_are_refused(batch_size):
    with pytest.raises(ValueError, match="batch_size"):
        ShuffledBatches(torch.zeros(10), batch_size=batch_size)


def test_batches_of_unlike_or_changed_data_are_refused():
    with pytest.raises(ValueError, match="same number of rows"):
        ShuffledBatches(torch.zeros(10), torch.zeros(9), batch_size=2)
    with pytest.raises(ValueError, match="10 rows, this has 12"):
        ShuffledBatches(torch.zeros(12), batch_size=2).load_state_dict(
            ShuffledBatches(torch.zeros(10), batch_size=2).state_dict()
        )


class CountingStep:
    """A step that only counts."""

    def __init__(self) -> None:
        self.n_calls = 0

    def __call__(self, x, context=None):
        self.n_calls += 1
        return {"loss": float(self.n_calls)}

    def state_dict(self):
        return {}

    def load_state_dict(self, state):
        pass


def test_hooks_see_every_update_in_order():
    seen = []
    fit(
        CountingStep(), itertools.repeat((torch.zeros(1),)), 7, [lambda i, m: seen.append((i, m["loss"]))], first_step=4
    )
    assert seen == [(4, 1.0), (5, 2.0), (6, 3.0)]


def test_batches_that_end_early_are_named():
    with pytest.raises(ValueError, match="after 2 of 5 updates"):
        fit(CountingStep(), iter([(torch.zeros(1),)] * 2), 5)


def test_hooks_are_closed_when_a_step_fails():
    class Hook:
        state = "new"

        def __enter__(self):
            self.state = "open"

        def __exit__(self, *exc_info):
            self.state = "closed"

        def __call__(self, i, metrics):
            assert self.state == "open"

    hook = Hook()
    with pytest.raises(ValueError, match="ended"):
        fit(CountingStep(), iter([(torch.zeros(1),)]), 2, [hook])
    assert hook.state == "closed"


class Steep(nn.Module):
    """A loss of 0 whose gradient is not finite: sqrt |w| at w = 0."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.zeros(1))

    def loss(self, x, context=None, *, generator=None):
        return self.w.abs().sqrt().expand(len(x))


@pytest.mark.parametrize("max_grad_norm", [None, 1.0])
def test_a_gradient_that_is_not_finite_moves_nothing(max_grad_norm):
    model = Steep()
    step = MaximumLikelihoodStep(model, max_grad_norm=max_grad_norm)
    with pytest.raises(FloatingPointError, match="the norm of the gradient is nan"):
        step(torch.zeros(4, 1))
    assert model.w.item() == 0.0
    assert step.n_updates == 0
    assert not step.optimiser.state
