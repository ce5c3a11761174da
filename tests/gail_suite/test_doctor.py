"""Each finding of the doctor, provoked, and not found where all is well."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest

from envs import reference_returns
from gail_suite import TrainConfig, cli, diagnosis, doctor, train
from gail_suite.run_directory import RunDirectory
from tests.gail_suite.helpers import demonstrations
from tests.gail_suite.test_train_cli import FAST

CONFIG = TrainConfig(env="Ant-v4", total_env_steps=100_000, warm_up_rounds=2)
EXPERT = reference_returns("Ant-v4")["expert"]


def rounds(n: int = 40, **changes) -> list[dict]:
    """A healthy run's rounds."""
    row = {
        "reward/mean": 0.7,
        "critic/accuracy": 0.7,
        "critic/logit_model": -0.5,
        "ppo/kl": 0.02,
        "ppo/explained_variance": 0.6,
    }
    return [{"env_steps": 2048 * (i + 1), "round": i + 1, **row, **changes} for i in range(n)]


def looks(returns, lengths=None, displacements=None, last_step: int = 100_000) -> list[dict]:
    n = len(returns)
    lengths = lengths or [EXPERT["episode_length_mean"]] * n
    displacements = displacements or [EXPERT["displacement_mean"]] * n
    return [
        {
            "env_steps": last_step * (i + 1) // n,
            "round": 0,
            "eval/return_mean": returns[i],
            "eval/episode_length": lengths[i],
            "eval/displacement": displacements[i],
        }
        for i in range(n)
    ]


def names(findings) -> set[str]:
    return {finding.name for finding in findings}


def test_a_healthy_run_has_no_findings():
    assert diagnosis.of_curve([*rounds(), *looks([6500.0] * 8)], CONFIG) == []


def test_a_critic_that_is_always_right_by_far_is_saturated():
    rows = rounds(**{"critic/accuracy": 0.998, "critic/logit_model": -8.0, "reward/mean": 3e-4})
    (finding,) = diagnosis.of_curve(rows, CONFIG)
    assert finding.name == "saturated critic"
    assert "99.8%" in finding.evidence
    assert "-8.0" in finding.evidence
    assert "--critic.gradient-penalty" in finding.remedy
    right_but_near = rounds(**{"critic/accuracy": 0.998, "critic/logit_model": -2.0})
    assert diagnosis.of_curve(right_but_near, CONFIG) == []
    assert diagnosis.of_curve(rows, replace(CONFIG, reward="least-squares")) == []  # its logits mean something else


def test_an_ant_that_stands_is_no_walking_ant():
    rows = looks([900.0] * 3, lengths=[1000.0] * 3, displacements=[0.5] * 3)
    (finding,) = diagnosis.of_curve(rows, CONFIG)
    assert finding.name == "survival bias"
    assert "0.5 m" in finding.evidence
    early = looks([900.0] * 3, lengths=[1000.0] * 3, displacements=[0.5] * 3, last_step=20_000)
    assert diagnosis.of_curve(early, CONFIG) == []  # a clone may stand before it learns
    falls = looks([100.0] * 3, lengths=[60.0] * 3, displacements=[0.5] * 3)
    assert diagnosis.of_curve(falls, CONFIG) == []
    assert diagnosis.of_curve(rows, replace(CONFIG, env="Unknown-v0")) == []  # nobody knows how far an expert gets


def test_a_negative_reward_that_shortens_episodes_is_a_suicide_bias():
    rows = [*rounds(**{"reward/mean": -0.9}), *looks([800.0, 500.0, 50.0], lengths=[900.0, 400.0, 40.0])]
    (finding,) = diagnosis.of_curve(rows, CONFIG)
    assert finding.name == "suicide bias"
    assert "--reward gail" in finding.remedy
    positive = [*rounds(), *looks([800.0, 500.0, 50.0], lengths=[900.0, 400.0, 40.0])]
    assert diagnosis.of_curve(positive, CONFIG) == []


def test_a_curve_that_still_climbs_had_too_small_a_budget():
    climbing = looks(list(np.linspace(0.0, 4000.0, 12)))
    (finding,) = diagnosis.of_curve(climbing, CONFIG)
    assert finding.name == "budget too small"
    assert "--total-env-steps 200000" in finding.remedy
    assert diagnosis.of_curve(looks(list(np.linspace(0.0, 4000.0, 12)), last_step=50_000), CONFIG) == []  # not over
    assert diagnosis.of_curve(looks([4000.0] * 12), CONFIG) == []


@pytest.mark.parametrize(
    ("changes", "evidence"),
    [
        ({"ppo/explained_variance": -3.0}, "worse than a constant"),
        ({"ppo/kl": 0.5}, "times the target"),
        ({"rollout/diverged_episodes": 3}, "3 episodes"),
    ],
)
def test_values_that_explode(changes, evidence):
    (finding,) = diagnosis.of_curve(rounds(**changes), CONFIG)
    assert finding.name == "values explode"
    assert evidence in finding.evidence
    assert "--ppo.policy-lr" in finding.remedy


def with_returns(*returns: float):
    demos = demonstrations(np.random.default_rng(0).normal(size=(20, 27)), np.zeros((20, 8)), env_id="Ant-v4")
    many = {"returns": returns, "lengths": (10,) * len(returns), "complete": (True,) * len(returns)}
    return replace(demos, provenance=replace(demos.provenance, **many))


def test_demonstrations_of_a_weak_or_an_inconsistent_expert():
    assert names(diagnosis.of_demonstrations(with_returns(6500.0, 6400.0), CONFIG)) == set()
    assert names(diagnosis.of_demonstrations(with_returns(2000.0, 2100.0), CONFIG)) == {"weak expert"}
    assert names(diagnosis.of_demonstrations(with_returns(8000.0, 500.0, 7900.0), CONFIG)) == {"inconsistent expert"}


def test_dimensions_that_never_move_are_named():
    demos = with_returns(6500.0)
    obs = demos.obs.copy()
    obs[:, 4] = 1.0
    (finding,) = diagnosis.of_demonstrations(replace(demos, obs=obs), CONFIG)
    assert finding.name == "constant dimensions"
    assert "1 of 27" in finding.evidence
    assert "number 4" in finding.evidence


def test_a_task_that_begins_where_no_demonstration_has_been():
    demos = with_returns(6500.0)
    starts = np.random.default_rng(1).normal(size=(16, 27))
    assert diagnosis.of_starts(demos, starts) == []
    starts[:, 3] += 100.0
    (finding,) = diagnosis.of_starts(demos, starts)
    assert diagnosis.of_starts(demos.subsample(5), starts) == []  # they hold no starts to compare with
    assert "number 3 starts at 1" in finding.evidence
    assert "--env-kwargs" in finding.remedy


def run(verb, monkeypatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["verb", *arguments])
    with pytest.raises(SystemExit) as stopped:
        cli.run_verb(verb.main)
    return stopped.value.code


def test_the_verb_reads_a_real_run(tmp_path, monkeypatch, capsys):
    rng = np.random.default_rng(0)
    obs = rng.normal(size=(100, 11))
    obs[:, 0] = rng.normal(50.0, 0.1, size=100)  # a hopper fifty metres tall
    demonstrations(obs, rng.uniform(-1, 1, (100, 3)), env_id="Hopper-v4").save(tmp_path / "hopper.npz")
    folder = tmp_path / "run"
    arguments = [*FAST, "--demos", str(tmp_path / "hopper.npz"), "--total-env-steps", "256", "--out", str(folder)]
    assert run(train, monkeypatch, *arguments) == 0
    capsys.readouterr()
    assert run(doctor, monkeypatch, str(folder), "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert "demonstrations and task do not match" in {finding["name"] for finding in found}
    assert run(doctor, monkeypatch, str(folder)) == 0
    shown = capsys.readouterr().out
    assert "number 0 starts at 1." in shown
    assert run(doctor, monkeypatch, str(tmp_path)) == 2
    assert "no config.json" in capsys.readouterr().err


def test_a_run_in_trouble_says_so_while_it_trains(tmp_path, monkeypatch, capsys):
    """A critic under no penalty with giant steps wins at once."""
    rng = np.random.default_rng(0)
    obs = rng.normal(10.0, 1.0, size=(100, 11))
    demonstrations(obs, rng.uniform(-1, 1, (100, 3)), env_id="Hopper-v4").save(tmp_path / "hopper.npz")
    arguments = [*FAST, "--demos", str(tmp_path / "hopper.npz"), "--total-env-steps", "1920", "--eval-every", "1920"]
    harsh = ["--critic.gradient-penalty", "0", "--critic.lr", "0.02", "--critic.entropy-bonus", "0"]
    harsh += ["--critic.updates-per-round", "20", "--no-warm-start"]
    assert run(train, monkeypatch, *arguments, *harsh, "--out", str(tmp_path / "run")) == 0
    assert "warning: saturated critic" in capsys.readouterr().err
    config = RunDirectory.open(tmp_path / "run").config()
    found = diagnosis.of_curve(RunDirectory.open(tmp_path / "run").metrics(), config)
    assert "saturated critic" in names(found)


def test_the_control_gives_no_warnings(tmp_path, monkeypatch, capsys):
    rng = np.random.default_rng(0)
    demonstrations(rng.normal(size=(100, 11)), rng.uniform(-1, 1, (100, 3)), env_id="Hopper-v4").save(
        tmp_path / "hopper.npz"
    )
    monkeypatch.setattr("gail_suite.recorder.of_curve", lambda rows, config: [diagnosis.Finding("trouble", "x", "y")])
    arguments = [flag for flag in FAST if flag != "--no-controls"]
    arguments += ["--demos", str(tmp_path / "hopper.npz"), "--total-env-steps", "128", "--out", str(tmp_path / "run")]
    assert run(train, monkeypatch, *arguments) == 0
    shown = capsys.readouterr().err
    assert "constant reward" in shown
    assert shown.count("warning: trouble") == 1
