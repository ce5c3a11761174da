"""The deep Boltzmann machine, against sums over all its states."""

import itertools
import math

import pytest
import torch
from torch.testing import assert_close

from generative_core import RBM, ContrastiveDivergenceStep, DeepBoltzmannMachine, fit, linear_decay
from tests.generative_core.boltzmann_laws import (
    bars_and_stripes,
    frequencies,
    seeded,
    shaken,
    state_number,
    states,
    total_variation,
)


def tiny(scale: float = 1.0) -> DeepBoltzmannMachine:
    return shaken(DeepBoltzmannMachine((3,), n_hidden=(3, 2)), scale)


def log_joint(model: DeepBoltzmannMachine) -> torch.Tensor:
    """log p(v, h, g), (8, 8, 4), from the joint energy alone."""
    s = states(8)
    log_p = (-model.joint_energy(s[:, :3], s[:, 3:6], s[:, 6:])).log_softmax(0)
    return log_p.view(4, 8, 8).permute(2, 1, 0)  # unit 0 is the lowest bit: v varies fastest


def test_the_joint_energy_is_the_centred_one_up_to_a_constant():
    model, s = tiny(), states(8)
    v, h, g = s[:, :3] - model.visible_offset, s[:, 3:6] - model.hidden_offset, s[:, 6:] - model.top_offset
    pairs = ((v @ model.weight) * h).sum(1) + ((h @ model.top_weight) * g).sum(1)
    centred = -(v @ model.visible_bias) - h @ model.hidden_bias - g @ model.top_bias - pairs
    difference = model.joint_energy(s[:, :3], s[:, 3:6], s[:, 6:]) - centred
    assert_close(difference, difference[:1].expand(256))


def test_sums_over_layers_are_sums_over_all_states():
    model, s = tiny(), states(8)
    joint = log_joint(model)
    log_z = torch.logsumexp(-model.joint_energy(s[:, :3], s[:, 3:6], s[:, 6:]), 0)
    assert_close(model.exact_log_partition(), log_z)
    assert_close(-model.exact_energy(states(3)) - log_z, joint.logsumexp((1, 2)))
    assert_close(-model.chain_energy(states(3)) - log_z, joint.logsumexp((0, 2)))


def test_the_mean_field_energy_is_a_bound_that_sweeps_tighten():
    model = tiny(2.0)
    with torch.no_grad():  # undecided units: the sweeps have a way to go
        for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
            if "weight" not in name:
                tensor.fill_(0.5 if "offset" in name else 0.0)
    exact = model.exact_energy(states(3))
    bounds = []
    for n in (1, 2, 5, 60):
        model.n_mean_field = n
        bounds.append(model.energy(states(3)))
    assert (bounds[-1] > exact).all()
    assert all((after <= before + 1e-12).all() for before, after in itertools.pairwise(bounds))
    assert (bounds[-1] < bounds[0] - 1e-6).any()


def test_the_bound_is_the_best_factorised_posteriors():
    """E_q E - H(q) by summing over all states, at the q found and at others near it."""
    model = tiny()
    model.n_mean_field = 500
    v, s = states(3)[[5]], states(5)
    h, g = model.mean_field(v)

    def free_energy(q: torch.Tensor) -> torch.Tensor:
        log_q = (torch.xlogy(s, q) + torch.xlogy(1 - s, 1 - q)).sum(1)
        return (log_q.exp() * (model.joint_energy(v.expand(32, -1), s[:, :3], s[:, 3:]) + log_q)).sum()

    q = torch.cat([h, g], 1).squeeze(0)
    assert_close(model.energy(v).squeeze(), free_energy(q))
    for i, shift in itertools.product(range(5), (-1e-2, 1e-2)):
        other = q.clone()
        other[i] += shift * q[i] * (1 - q[i])
        assert free_energy(other) > free_energy(q)


def test_slopes_are_those_of_the_bound():
    model = tiny()
    model.n_mean_field = 500
    x = torch.rand(2, 3, generator=seeded(), dtype=torch.float64).requires_grad_(True)
    assert torch.autograd.gradcheck(model.energy, (x,), eps=1e-6, atol=1e-5)


def test_gibbs_leaves_the_model_as_it_is():
    model = tiny()
    joint = log_joint(model).exp()
    pi = joint.sum((0, 2))
    ends = joint.permute(1, 0, 2).flatten(1)  # (h, vg)
    transition = (ends / pi.unsqueeze(1)) @ (ends / ends.sum(0)).T
    assert_close(pi @ transition, pi)
    for number, h in enumerate(states(3)):
        after = model.gibbs(h.expand(20_000, -1), 1, generator=seeded(number))
        assert total_variation(frequencies(state_number(after), 8), transition[number]) < 0.015


def test_with_data_clamped_the_hidden_units_follow_their_posterior():
    model = tiny(2.0)
    model.n_clamped_sweeps = 30
    for number in (1, 6):
        posterior = log_joint(model)[number].logsumexp(1).softmax(0)
        h = model.chains_from(states(3)[number].expand(20_000, -1), generator=seeded(number))
        assert total_variation(frequencies(state_number(h), 8), posterior) < 0.015


def test_samples_follow_the_visible_marginal():
    model = tiny()
    x = model.sample(20_000, generator=seeded(), n_sweeps=60)
    assert total_variation(frequencies(state_number(x), 8), log_joint(model).exp().sum((1, 2))) < 0.015


def test_without_couplings_above_it_is_an_rbm():
    model = tiny()
    with torch.no_grad():
        model.top_weight.zero_()
    rbm = RBM((3,), n_hidden=3).double()
    b, c, d = model.biases()
    rbm.weight.data, rbm.visible_bias.data, rbm.hidden_bias.data = model.weight.data, b.detach(), c.detach()
    idle = torch.nn.functional.softplus(d).sum()
    assert_close(model.energy(states(3)), rbm.energy(states(3)) - idle)
    assert_close(model.exact_log_partition(), rbm.exact_log_partition() + idle)


def test_persistent_training_without_pretraining_comes_close_to_the_optimum():
    x = bars_and_stripes()
    torch.manual_seed(0)
    model = DeepBoltzmannMachine((9,), n_hidden=(10, 6), n_mean_field=3)
    model.initialise(x)
    step = ContrastiveDivergenceStep(model, lr=0.05, schedule=linear_decay(500), n_sweeps=2)
    fit(step, iter([(x,)] * 500), 500)
    exact = (model.exact_energy(x).mean() + model.exact_log_partition()).item()
    bound = (model.energy(x).mean() + model.exact_log_partition()).item()
    assert math.log(14) < exact <= bound < math.log(14) + 0.8
    assert model.top_weight.abs().max() > 0.3  # the second layer takes part


def test_wrong_arguments_are_refused_with_what_was_given():
    with pytest.raises(ValueError, match="second_hidden must be at least 1, got 0"):
        DeepBoltzmannMachine((3,), n_hidden=(4, 0))
