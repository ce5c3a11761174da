"""The gradient of the log-likelihood, read off a chain."""

import pytest
import torch
from torch.testing import assert_close

from generative_core import (
    RBM,
    BoltzmannMachine,
    ContrastiveDivergenceStep,
    DeepBoltzmannMachine,
    GaussianRBM,
    SaveCheckpoint,
    ShuffledBatches,
    TrainStep,
    fit,
    linear_decay,
    load_checkpoint,
)
from tests.generative_core.boltzmann_laws import seeded, shaken, states

BINARY = {
    "rbm": lambda: shaken(RBM((4,), n_hidden=3)),
    "boltzmann_machine": lambda: shaken(BoltzmannMachine((4,))),
    "boltzmann_machine_hidden": lambda: shaken(BoltzmannMachine((3,), n_hidden=2)),
    "deep_boltzmann_machine": lambda: shaken(DeepBoltzmannMachine((3,), n_hidden=(3, 2))),
}
DATA = torch.randint(2, (50, 4), generator=seeded()).double()


def gradients(model, value):
    return torch.autograd.grad(value, list(model.parameters()), allow_unused=True)


@pytest.mark.parametrize("make", BINARY.values(), ids=BINARY.keys())
def test_over_exact_chains_the_negative_phase_is_the_gradient_of_log_z(make):
    """E_p grad chain_energy = -grad log Z, with the law of the chain's state summed exactly."""
    model = make()
    s = states(model.random_chains(1).shape[1])
    p = (-model.chain_energy(s)).softmax(0).detach()
    negative_phase = gradients(model, (p * model.chain_energy(s)).sum())
    for ours, exact in zip(negative_phase, gradients(model, -model.exact_log_partition()), strict=True):
        assert_close(ours, exact)


@pytest.mark.parametrize("make", BINARY.values(), ids=BINARY.keys())
def test_the_steps_gradient_is_the_exact_likelihoods_within_its_noise(make):
    """Many chains, started from exact draws of the model: one sweep keeps them exact, so the bias is zero."""
    model = make()
    x = DATA[:, : model.n_visible]
    free_energy = model.energy(x) if isinstance(model, RBM) else model.exact_energy(x)
    exact = gradients(model, free_energy.mean() + model.exact_log_partition())
    model.n_clamped_sweeps = 20
    step = ContrastiveDivergenceStep(model, lr=0.0, n_chains=100_000)
    s = states(step.chains.shape[1])
    p = (-model.chain_energy(s)).softmax(0).detach()
    step.chains = s[torch.multinomial(p, 100_000, replacement=True, generator=seeded())]
    step(x.repeat(2000, 1))
    for parameter, expected in zip(model.parameters(), exact, strict=True):
        assert_close(parameter.grad, expected, atol=0.012, rtol=0)
    assert max(g.abs().max() for g in exact) > 0.1


def test_contrastive_divergence_starts_at_the_data_and_persistent_chains_do_not():
    """Units that hold their own value through a hidden unit of their own: chains stay where they start."""
    model = shaken(RBM((4,), n_hidden=4), 0.0)
    with torch.no_grad():
        model.weight.copy_(40 * torch.eye(4))
        model.hidden_bias.fill_(-20.0)
        model.visible_bias.fill_(-17.0)  # an energy of -3 for each unit that is on
    x = torch.zeros(8, 4).double()
    assert abs(ContrastiveDivergenceStep(model, persistent=False, n_sweeps=5)(x)["loss"]) < 1e-6
    away = ContrastiveDivergenceStep(model, persistent=True, n_chains=500)(x)["loss"]
    assert_close(away, 6.0, atol=0.5, rtol=0)  # random chains have two units on, on average


def test_metrics_are_the_two_energies_and_their_difference():
    model = BINARY["rbm"]()
    step = ContrastiveDivergenceStep(model, n_chains=7)
    assert isinstance(step, TrainStep)
    expected = model.energy(DATA).mean().item()
    chains = step.chains.clone()
    metrics = step(DATA)
    assert metrics.keys() == {"loss", "energy_data", "energy_model"}
    assert_close(metrics["energy_data"], expected)
    assert_close(metrics["loss"], metrics["energy_data"] - metrics["energy_model"])
    assert step.chains.shape == (7, 4)
    assert not torch.equal(step.chains, chains)


def test_an_energy_that_is_not_finite_changes_nothing():
    model = GaussianRBM((2,), n_hidden=2)
    step = ContrastiveDivergenceStep(model)
    before, chains = [p.clone() for p in model.parameters()], step.chains.clone()
    with pytest.raises(FloatingPointError, match="GaussianRBM"):
        step(torch.full((3, 2), torch.nan))
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), before, strict=True))
    assert torch.equal(step.chains, chains)


def test_a_finite_energy_whose_gradient_is_not_finite_changes_nothing(monkeypatch):
    model = BINARY["rbm"]()
    monkeypatch.setattr(
        model, "clamped_energy", lambda x, generator=None: (0 * model.weight.sum()).sqrt().expand(len(x))
    )
    step = ContrastiveDivergenceStep(model)
    before, chains = [p.clone() for p in model.parameters()], step.chains.clone()
    with pytest.raises(FloatingPointError, match="the norm of the gradient"):
        step(DATA)
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), before, strict=True))
    assert torch.equal(step.chains, chains)


def test_the_schedule_ends_the_noise():
    model = BINARY["rbm"]()
    step = ContrastiveDivergenceStep(model, lr=0.1, schedule=linear_decay(10))
    fit(step, iter([(DATA,)] * 10), 10)
    before = [p.detach().clone() for p in model.parameters()]
    step(DATA)
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), before, strict=True))


@pytest.mark.parametrize("persistent", [True, False])
def test_twenty_updates_equal_ten_a_checkpoint_and_ten(persistent, tmp_path):
    """Bit-equal metrics, parameters and chains, resumed into objects of other seeds."""

    def parts(seed: int):
        torch.manual_seed(seed)
        model = DeepBoltzmannMachine((4,), n_hidden=(3, 2))
        schedule = linear_decay(25)
        step = ContrastiveDivergenceStep(
            model, lr=1e-2, schedule=schedule, persistent=persistent, n_chains=9, weight_decay=0.1, seed=seed
        )
        return step, ShuffledBatches(DATA.float(), batch_size=15, seed=seed)

    step, batches = parts(0)
    metrics: list[dict[str, float]] = []
    hooks = [
        lambda i, m: metrics.append(m),
        SaveCheckpoint(tmp_path / "ten", {"step": step, "batches": batches}, every=10),
    ]
    fit(step, batches, 10, hooks)
    fit(step, batches, 20, hooks[:1], first_step=10)

    resumed, resumed_batches = parts(1)
    state = load_checkpoint(tmp_path / "ten")
    resumed.load_state_dict(state["step"])
    resumed_batches.load_state_dict(state["batches"])
    again: list[dict[str, float]] = []
    fit(resumed, resumed_batches, 20, [lambda i, m: again.append(m)], first_step=state["first_step"])
    assert again == metrics[10:]
    assert torch.equal(resumed.chains, step.chains)
    for name, value in step.model.state_dict().items():
        assert torch.equal(resumed.model.state_dict()[name], value)


def test_wrong_arguments_are_refused_with_what_was_given():
    for name in ("n_sweeps", "n_chains"):
        with pytest.raises(ValueError, match=f"{name} must be at least 1, got 0"):
            ContrastiveDivergenceStep(BINARY["rbm"](), **{name: 0})
