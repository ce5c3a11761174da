"""The general Boltzmann machine, against sums over all its states."""

import itertools

import pytest
import torch
from torch.testing import assert_close

from generative_core import RBM, BoltzmannMachine, ContrastiveDivergenceStep, fit, linear_decay
from tests.generative_core.boltzmann_laws import (
    frequencies,
    seeded,
    shaken,
    state_number,
    states,
    total_variation,
)


def tiny(n_visible: int = 3, n_hidden: int = 0, scale: float = 1.0) -> BoltzmannMachine:
    return shaken(BoltzmannMachine((n_visible,), n_hidden=n_hidden), scale)


def energy_by_hand(model: BoltzmannMachine, s: torch.Tensor) -> float:
    couplings = model.couplings()
    pairs = sum(couplings[i, j] * s[i] * s[j] for i, j in itertools.combinations(range(len(s)), 2))
    return -(model.bias @ s) - pairs


def test_the_energy_counts_every_pair_once():
    model = tiny(4)
    assert_close(model.energy(states(4)), torch.stack([energy_by_hand(model, s) for s in states(4)]))
    assert_close(model.couplings(), model.couplings().T)
    assert not model.couplings().diagonal().any()


def test_log_z_and_the_free_energy_are_sums_over_all_states():
    model = tiny(2, 3)
    all_energies = model.chain_energy(states(5))
    assert_close(model.exact_log_partition(), torch.logsumexp(-all_energies, 0))
    v = states(2)
    joint = torch.stack([model.chain_energy(torch.cat([v, h.expand(4, -1)], 1)) for h in states(3)])
    assert_close(model.exact_energy(v), -torch.logsumexp(-joint, 0))
    assert_close(tiny(3).exact_energy(states(3)), tiny(3).energy(states(3)))


def test_a_sweep_leaves_the_model_as_it_is():
    """The sweep's matrix is the product of the single-unit ones, each made from the energies alone."""
    model = tiny(3)
    s = states(3)
    p = (-model.energy(s)).softmax(0)
    sweep = torch.eye(8, dtype=torch.float64)
    for i in range(3):
        flipped = state_number(s.clone().index_copy_(1, torch.tensor([i]), 1 - s[:, i : i + 1]))
        kernel = torch.zeros(8, 8, dtype=torch.float64)
        kernel[torch.arange(8), flipped] = p[flipped] / (p + p[flipped])
        kernel[torch.arange(8), torch.arange(8)] = p / (p + p[flipped])
        sweep = sweep @ kernel
    assert_close(p @ sweep, p)
    for number, start in enumerate(s):
        before = start.expand(20_000, -1).clone()
        ends = model.gibbs(before, 1, generator=seeded(number))
        assert total_variation(frequencies(state_number(ends), 8), sweep[number]) < 0.015
        assert_close(before, start.expand(20_000, -1))  # the caller's chains are left alone


def test_samples_follow_the_visible_marginal():
    model = tiny(3, 2)
    x = model.sample(20_000, generator=seeded(), n_sweeps=30)
    expected = (-model.exact_energy(states(3)) - model.exact_log_partition()).exp()
    assert total_variation(frequencies(state_number(x), 8), expected) < 0.015


def test_the_learned_moments_of_ten_units_are_the_datas():
    """At the optimum of a model without hidden units means and pair moments agree; the model's are exact sums here."""
    teacher = shaken(BoltzmannMachine((10,)), 0.7)
    p = (-teacher.energy(states(10))).softmax(0)
    x = states(10)[torch.multinomial(p, 1000, replacement=True, generator=seeded())]
    model = BoltzmannMachine((10,)).double()
    model.initialise(x)
    step = ContrastiveDivergenceStep(model, lr=0.1, schedule=linear_decay(400), n_chains=500)
    fit(step, iter([(x,)] * 400), 400)
    p = (-model.energy(states(10))).softmax(0).detach()
    moments = states(10).T @ (states(10) * p.unsqueeze(1))  # E s_i s_j, the means on the diagonal
    assert_close(moments, x.T @ x / 1000, atol=0.015, rtol=0)
    nll = (model.energy(x).mean() + model.exact_log_partition()).item()
    rate = x.mean(0)
    independent = -(torch.xlogy(rate, rate) + torch.xlogy(1 - rate, 1 - rate)).sum().item()
    assert nll < independent - 0.2


def test_the_mean_field_energy_is_a_bound_that_sweeps_tighten():
    model = tiny(3, 4)
    exact = model.exact_energy(states(3))
    bounds = []
    for n in (1, 2, 5, 50):
        model.n_mean_field = n
        bounds.append(model.energy(states(3)))
    assert (bounds[-1] > exact).all()
    assert all((after <= before + 1e-12).all() for before, after in itertools.pairwise(bounds))
    assert (bounds[-1] < bounds[0] - 1e-6).any()


def test_without_couplings_among_hidden_units_the_bound_is_exact_and_the_model_is_an_rbm():
    model = tiny(3, 2)
    with torch.no_grad():
        rows, columns = torch.triu_indices(5, 5, offset=1)
        model.pair_couplings[(rows < 3) == (columns < 3)] = 0.0
    assert_close(model.energy(states(3)), model.exact_energy(states(3)))
    rbm = RBM((3,), n_hidden=2).double()
    rbm.weight.data = model.couplings()[:3, 3:].detach()
    rbm.visible_bias.data, rbm.hidden_bias.data = model.bias[:3].detach(), model.bias[3:].detach()
    assert_close(rbm.energy(states(3)), model.energy(states(3)))
    assert_close(rbm.exact_log_partition(), model.exact_log_partition())


def test_wrong_arguments_are_refused_with_what_was_given():
    with pytest.raises(ValueError, match="n_hidden must be at least 0, got -1"):
        BoltzmannMachine((3,), n_hidden=-1)
    with pytest.raises(ValueError, match="n_mean_field must be at least 1, got 0"):
        BoltzmannMachine((3,), n_mean_field=0)
