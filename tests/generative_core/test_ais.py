"""Annealed importance sampling, against exact log Z."""

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from generative_core import RBM, DeepBoltzmannMachine, GaussianRBM, annealed_importance_sampling, nll
from generative_core.markov_chain.ais import summarise, warming
from tests.generative_core.boltzmann_laws import seeded, shaken

MODELS = {
    "rbm": lambda: shaken(RBM((12,), n_hidden=9), 0.8),
    "rbm_wide": lambda: shaken(RBM((7,), n_hidden=14), 0.8),
    "gaussian_rbm": lambda: shaken(GaussianRBM((5,), n_hidden=8), 0.5),
    "deep_boltzmann_machine": lambda: shaken(DeepBoltzmannMachine((10,), n_hidden=(8, 6)), 0.6),
}


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS.keys())
def test_it_finds_the_exact_log_z(make):
    model = make()
    exact = model.exact_log_partition().item()
    x = model.sample(200, generator=seeded(1), n_sweeps=100)
    for path in (model.annealed_path(), model.annealed_path(x)):
        estimate = annealed_importance_sampling(path, n_chains=400, n_temperatures=500, generator=seeded())
        assert abs(estimate.log_z - exact) < 0.1
        assert abs(estimate.log_z - exact) < 4 * estimate.standard_error
        assert 0 < estimate.standard_error < 0.05
        assert 100 < estimate.effective_sample_size <= 400


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS.keys())
def test_single_precision_is_enough(make):
    model = make()
    exact = model.exact_log_partition().item()
    estimate = annealed_importance_sampling(
        model.float().annealed_path(), n_chains=300, n_temperatures=500, generator=seeded()
    )
    assert abs(estimate.log_z - exact) < 0.1
    assert estimate.log_weights.dtype == torch.float64


def test_the_standard_error_is_the_spread_of_repeated_runs():
    path = MODELS["rbm"]().annealed_path()
    runs = [
        annealed_importance_sampling(path, n_chains=50, n_temperatures=60, generator=seeded(seed)) for seed in range(40)
    ]
    spread = np.std([run.log_z for run in runs], ddof=1)
    claimed = np.mean([run.standard_error for run in runs])
    assert 0.7 < spread / claimed < 1.4
    assert spread > 0.02


def test_where_nothing_is_coupled_the_answer_is_exact_at_once():
    model = MODELS["rbm"]()
    with torch.no_grad():
        model.weight.zero_(), model.hidden_bias.zero_()
    model.visible_bias.data = torch.zeros(12).double()
    estimate = annealed_importance_sampling(model.annealed_path(), n_chains=10, n_temperatures=29, generator=seeded())
    assert_close(estimate.log_z, 21 * np.log(2), rtol=1e-12, atol=0)
    assert estimate.standard_error < 1e-12
    assert_close(estimate.effective_sample_size, 10.0)


def test_the_weights_are_summarised_by_their_mean():
    log_weights = torch.tensor([1.0, 3.0, 2.0], dtype=torch.float64).log() + 800  # beyond the range of exp
    estimate = summarise(log_weights)
    assert_close(estimate.log_z, np.log(2) + 800)
    assert_close(estimate.standard_error, 1 / np.sqrt(3) / 2)
    assert_close(estimate.effective_sample_size, 36 / 14)


def test_the_warming_is_dense_near_the_model():
    betas = np.array(warming(14_500))
    assert len(betas) == 14_501
    assert betas[0] == 0
    assert betas[-1] == 1
    assert (np.diff(betas) > 0).all()
    assert ((betas < 0.5).sum(), ((betas >= 0.5) & (betas < 0.9)).sum()) == (500, 4000)


def test_negative_log_likelihood_is_energy_plus_log_z():
    model = MODELS["rbm"]()
    x = model.sample(5, generator=seeded(), n_sweeps=2)
    log_z = model.exact_log_partition()
    assert_close(nll(model, x, log_z.item()), model.energy(x) + log_z)


def test_wrong_arguments_are_refused_with_what_was_given():
    path = MODELS["rbm"]().annealed_path()
    with pytest.raises(ValueError, match="n_chains must be at least 2"):
        annealed_importance_sampling(path, n_chains=1)
    with pytest.raises(ValueError, match="at least 29, got 10"):
        annealed_importance_sampling(path, n_temperatures=10)
    for betas in ([0.0, 0.5], [0.1, 1.0], [0.0, 0.6, 0.6, 1.0], [1.0]):
        with pytest.raises(ValueError, match="rise from exactly 0 to exactly 1"):
            annealed_importance_sampling(path, betas=betas)
