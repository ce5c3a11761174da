"""The restricted Boltzmann machine, against sums over all its states."""

import math

import pytest
import torch
from torch.testing import assert_close

from generative_core import RBM, ContrastiveDivergenceStep, fit, linear_decay
from tests.generative_core.boltzmann_laws import (
    bars_and_stripes,
    frequencies,
    seeded,
    shaken,
    state_number,
    states,
    total_variation,
)


def tiny(n_visible: int = 3, n_hidden: int = 4) -> RBM:
    return shaken(RBM((n_visible,), n_hidden=n_hidden))


def log_joint(model: RBM) -> torch.Tensor:
    """log p(v, h) for every pair, (2^D, 2^H), from the joint energy alone."""
    v, h = states(model.n_visible), states(model.n_hidden)
    pairs = model.joint_energy(v.repeat_interleave(len(h), 0), h.repeat(len(v), 1)).view(len(v), len(h))
    return -pairs - torch.logsumexp(-pairs.flatten(), 0)


@pytest.mark.parametrize(("n_visible", "n_hidden"), [(3, 4), (5, 2)])
def test_the_free_energy_and_log_z_are_sums_over_all_hidden_states(n_visible, n_hidden):
    model = tiny(n_visible, n_hidden)
    marginal = log_joint(model).logsumexp(1)
    assert_close(-model.energy(states(n_visible)) - model.exact_log_partition(), marginal)
    assert_close(marginal.exp().sum(), torch.ones(()).double())


def test_the_joint_energy_is_the_centred_one_up_to_a_constant():
    model = tiny()
    v, h = states(3).repeat_interleave(16, 0), states(4).repeat(8, 1)
    dv, dh = v - model.visible_offset, h - model.hidden_offset
    centred = -(dv @ model.visible_bias) - dh @ model.hidden_bias - ((dv @ model.weight) * dh).sum(1)
    difference = model.joint_energy(v, h) - centred
    assert_close(difference, difference[:1].expand(128))


def test_without_offsets_it_is_the_textbooks_energy():
    model = tiny()
    model.visible_offset.zero_(), model.hidden_offset.zero_()
    v, h = states(3)[[1, 6]], states(4)[[9, 3]]
    by_hand = [
        -(model.visible_bias @ a) - model.hidden_bias @ b - a @ model.weight @ b for a, b in zip(v, h, strict=True)
    ]
    assert_close(model.joint_energy(v, h), torch.stack(by_hand))


def test_block_gibbs_leaves_the_model_as_it_is():
    """P[v, v'] = sum_h p(h | v) p(v' | h), from the joint; pi P = pi; and the sampler's own frequencies are P's."""
    model = tiny()
    joint = log_joint(model).exp()
    pi = joint.sum(1)
    transition = (joint / pi.unsqueeze(1)) @ (joint / joint.sum(0)).T
    assert_close(transition.sum(1), torch.ones(8).double())
    assert_close(pi @ transition, pi)
    for n_sweeps in (1, 3):
        expected = torch.linalg.matrix_power(transition, n_sweeps)
        for number, v in enumerate(states(3)):
            ends = model.gibbs(v.expand(20_000, -1), n_sweeps, generator=seeded(number))
            assert total_variation(frequencies(state_number(ends), 8), expected[number]) < 0.015


def test_samples_follow_the_model():
    model = tiny()
    x = model.sample(20_000, generator=seeded(), n_sweeps=60)
    assert total_variation(frequencies(state_number(x), 8), log_joint(model).exp().sum(1)) < 0.015


def test_initialise_starts_at_the_rates_of_the_data():
    x = (torch.rand(500, 6, generator=seeded()) < torch.tensor([0.02, 0.2, 0.5, 0.5, 0.9, 1.0])).float()
    model = RBM((6,), n_hidden=5)
    model.initialise(x)
    model.double()
    log_p = -model.energy(states(6)) - model.exact_log_partition()
    assert_close(log_p.exp() @ states(6), x.double().mean(0), atol=0.01, rtol=0)
    assert model.energy(x.double()).isfinite().all()


@pytest.mark.parametrize("initialise", [True, False])
def test_persistent_training_comes_close_to_the_optimum(initialise):
    """Fourteen equally likely pictures: no model is below log 14 nats, independent pixels are at 9 log 2."""
    x = bars_and_stripes()
    torch.manual_seed(0)
    model = RBM((9,), n_hidden=12)
    if initialise:
        model.initialise(x)
    step = ContrastiveDivergenceStep(model, lr=0.05, schedule=linear_decay(600), n_sweeps=2)
    fit(step, iter([(x,)] * 600), 600)
    nll = (model.energy(x).mean() + model.exact_log_partition()).item()
    assert math.log(14) < nll < math.log(14) + 0.5
    assert nll < 9 * math.log(2) - 3


def test_an_exact_sum_out_of_reach_says_what_to_do_instead():
    with pytest.raises(ValueError, match="annealed_importance_sampling"):
        RBM((40,), n_hidden=26).exact_log_partition()


def test_wrong_arguments_are_refused_with_what_was_given():
    with pytest.raises(ValueError, match="n_hidden must be at least 1, got 0"):
        RBM((3,), n_hidden=0)
