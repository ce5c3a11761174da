"""The running normaliser is numpy's mean and variance, whatever the batching; its map is affine."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import nn
from torch.testing import assert_close

from generative_core import MLPCritic
from generative_core.nets.normaliser import RunningNormaliser

MATRICES = hnp.arrays(np.float64, st.tuples(st.integers(1, 30), st.just(3)), elements=st.floats(-1e3, 1e3, width=32))


def stream(n: int = 200, seed: int = 0) -> torch.Tensor:
    """Three live dimensions of unlike scale, and a constant one."""
    x = np.random.default_rng(seed).normal(size=(n, 4)) * [1e-3, 1.0, 1e4, 0.0] + [5.0, -2.0, 1e5, 0.1]
    return torch.from_numpy(x)


def fitted(x: torch.Tensor) -> RunningNormaliser:
    normaliser = RunningNormaliser(x.shape[1:])
    normaliser.update(x)
    return normaliser


@settings(max_examples=60, deadline=None)
@given(x=MATRICES, cuts=st.lists(st.integers(0, 30), max_size=4))
def test_statistics_equal_numpy_over_any_batching(x, cuts):
    normaliser = RunningNormaliser((3,))
    for part in np.split(x, sorted(min(cut, len(x)) for cut in cuts)):  # empty parts included
        normaliser.update(torch.from_numpy(part))
    assert normaliser.count == len(x)
    np.testing.assert_allclose(normaliser.mean.numpy(), x.mean(0), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(normaliser.var.numpy(), x.var(0), rtol=1e-9, atol=1e-8)


def test_a_small_spread_far_from_zero_survives_the_merging():
    x = 1e6 + 1e-2 * torch.randn(1000, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    normaliser = RunningNormaliser((1,))
    for part in x.split(7):
        normaliser.update(part)
    assert_close(normaliser.var, x.var(0, correction=0), rtol=1e-6, atol=0)


def test_output_is_standardised():
    x = stream()
    y = fitted(x)(x)[:, :3]
    assert_close(y.mean(0), torch.zeros(3, dtype=torch.float64), atol=1e-9, rtol=0)
    assert_close(y.std(0, correction=0), torch.ones(3, dtype=torch.float64))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_constant_dimension_becomes_exact_zero_even_where_it_moves_later(dtype):
    normaliser = fitted(stream())
    moved = stream().to(dtype)
    moved[:, 3] += 1e-3
    y = normaliser(moved)
    assert y.dtype == dtype
    assert (y[:, 3] == 0).all()
    assert (y[:, :3] != 0).any(0).all()


def test_the_border_of_constancy_is_a_std_of_1e_minus_5():
    x = torch.tensor([[-1.0, -1.0], [1.0, 1.0]], dtype=torch.float64) * torch.tensor([0.9e-5, 1.1e-5]).double()
    scale, _ = fitted(x).scale_and_shift()
    assert scale[0] == 0
    assert_close(scale[1], torch.tensor(1 / 1.1e-5, dtype=torch.float64))


def test_nothing_is_clipped():
    assert fitted(torch.tensor([[-1.0], [1.0]]))(torch.tensor([[1e6]])) == 1e6


def test_before_the_first_update_it_is_the_identity():
    x = torch.randn(5, 2, 3, generator=torch.Generator().manual_seed(0))
    assert_close(RunningNormaliser((2, 3))(x), x, rtol=0, atol=0)


def test_folding_into_a_linear_layer_equals_normalise_then_linear():
    x = stream()
    normaliser = fitted(x)
    linear = nn.Linear(4, 5, dtype=torch.float64)
    scale, shift = normaliser.scale_and_shift()
    weight = linear.weight * scale
    folded = x @ weight.T + (linear.bias - weight @ shift)
    assert_close(folded, linear(normaliser(x)), rtol=1e-9, atol=1e-9)


def test_the_float32_route_equals_the_float64_one():
    x = stream()
    normaliser = fitted(x)
    live = [0, 1]  # the third has a mean of ten stds: what float32 itself loses there
    assert_close(normaliser(x.float())[:, live].double(), normaliser(x)[:, live], rtol=1e-3, atol=1e-3)


def test_state_dict_restores_exactly_alone_and_inside_a_critic():
    normaliser = fitted(stream())
    assert set(normaliser.state_dict()) == {"mean", "var", "count", "floor"}
    other = RunningNormaliser((4,))
    other.load_state_dict(normaliser.state_dict())
    critic, copied = MLPCritic((4,), hidden=()), MLPCritic((4,), hidden=())
    critic.update_normaliser(stream().float())
    copied.load_state_dict(critic.state_dict())
    x = stream(seed=1).float()
    assert torch.equal(other(x), normaliser(x))
    assert torch.equal(copied.features(x), critic.features(x))
    assert torch.equal(copy.deepcopy(critic).features(x), critic.features(x))
    other.update(stream(seed=2))
    normaliser.update(stream(seed=2))
    assert torch.equal(other(x), normaliser(x))


def test_a_batch_with_nan_is_refused_and_leaves_no_trace():
    normaliser = fitted(stream())
    before = {name: value.clone() for name, value in normaliser.state_dict().items()}
    bad = stream()
    bad[3, 1] = torch.nan
    with pytest.raises(ValueError, match="nan or inf"):
        normaliser.update(bad)
    assert all(torch.equal(before[name], value) for name, value in normaliser.state_dict().items())


def test_a_batch_of_another_shape_is_refused():
    with pytest.raises(ValueError, match="expects"):
        fitted(stream()).update(torch.zeros(2, 1))


def test_heavy_tails_are_scaled_down_and_the_rest_is_left_alone():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1000, 3, generator=generator)
    x[7, 1] = 500.0
    x[:, 2] = 4.0
    normaliser = RunningNormaliser((3,))
    normaliser.update(x)
    before = normaliser(x)
    assert before[:, 1].abs().max() > 30
    normaliser.bound(x, 5.0)
    after = normaliser(x)
    assert after[:, 1].abs().max() == pytest.approx(5.0)
    assert torch.equal(after[:, [0, 2]], before[:, [0, 2]])
    torch.testing.assert_close(after[:, 1] / after[7, 1], before[:, 1] / before[7, 1])  # still affine
    normaliser.bound(x[:5], 5.0)  # what was bounded stays so
    assert torch.equal(normaliser(x), after)
    again = RunningNormaliser((3,))
    again.load_state_dict(normaliser.state_dict())
    assert torch.equal(again(x), after)
    with pytest.raises(ValueError, match="limit"):
        normaliser.bound(x, 0.0)
