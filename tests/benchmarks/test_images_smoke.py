"""The preset smoke: one of each family, offline; what fails leaves a note and stops nobody else."""

import json

import pytest
import torch

from benchmarks.images import __main__ as command_line
from benchmarks.images import smoke
from benchmarks.images.cases import CASES
from benchmarks.images.evaluation import AnnealedImportance, ImportanceWeighted
from benchmarks.images.experiments.cases import EXPERIMENTS
from benchmarks.images.families import FAMILIES, OTHER, family_of
from tests.benchmarks.test_experiments import TOY


@pytest.fixture(autouse=True)
def random_state():
    before = torch.get_rng_state()
    yield
    torch.set_rng_state(before)


def test_every_case_and_experiment_is_of_one_family():
    names = [name for models in FAMILIES.values() for name in models]
    assert sorted(names) == sorted([*CASES, *EXPERIMENTS])
    assert family_of("glow") == "flows"
    assert family_of("<b>") == OTHER


@pytest.mark.parametrize("name", CASES)
def test_the_smoke_size_of_a_case_needs_no_file_and_few_updates(name):
    case = smoke.small(CASES[name])
    assert case.dataset == "digits"
    assert getattr(case.cpu, "steps", 0) <= smoke.STEPS
    if isinstance(case.evaluation, ImportanceWeighted):
        assert case.evaluation.k <= 10
    if isinstance(case.evaluation, AnnealedImportance):
        assert case.evaluation.n_temperatures <= 50
    assert case.about == CASES[name].about


@pytest.mark.parametrize("name", [models[0] for models in FAMILIES.values() if models[0] in CASES])
def test_the_case_that_stands_for_its_family_runs_through(name, tmp_path):
    assert (
        command_line.main(["--model", name, "--preset", "smoke", "--threads", "1", "--out", str(tmp_path / "r")]) == 0
    )
    found = json.loads((tmp_path / "r" / "result.json").read_text())
    assert found["preset"] == "smoke"
    assert found["data"]["name"] == "digits"


def test_without_a_model_each_family_runs_and_a_failure_is_noted(tmp_path, monkeypatch, capsys):
    def fail(lab, size):
        raise ZeroDivisionError("by <zero>")

    monkeypatch.setitem(EXPERIMENTS, "coin", TOY)
    monkeypatch.setitem(EXPERIMENTS, "broken", type(TOY)(**{**vars(TOY), "run": fail}))
    monkeypatch.setattr(smoke, "FAMILIES", {"first": ("broken",), "second": ("coin", "dcgan")})
    out = tmp_path / "runs"
    assert command_line.main(["--preset", "smoke", "--threads", "1", "--out", str(out)]) == 1
    said = capsys.readouterr()
    assert "1 of 2 families ran through" in said.out
    assert "failed: broken" in said.err
    assert (out / "coin" / "result.json").exists()
    assert not (out / "dcgan").exists()
    note = json.loads((out / "broken" / "failure.json").read_text())
    assert note["failed"] == "ZeroDivisionError: by <zero>"
    assert note["command"].startswith("python -m benchmarks.images --model broken --preset smoke")
    assert note["log"][-1] == note["failed"]
    monkeypatch.setitem(EXPERIMENTS, "broken", TOY)
    assert command_line.main(["--resume", str(out / "broken")]) == 0
    assert not (out / "broken" / "failure.json").exists()
