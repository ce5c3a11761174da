"""Each thing that goes wrong, made to go wrong in a short run of the command line, and found by the doctor."""

import sys
from pathlib import Path

import numpy as np
import pytest

from envs import make_venv
from gail_suite import cli, diagnosis, train
from gail_suite.demonstrations.episodes import Episode, make_demonstrations
from gail_suite.diagnosis import Finding
from gail_suite.doctor import examine
from tests.gail_suite import toy_envs
from tests.gail_suite.helpers import demonstrations
from tests.gail_suite.test_train_cli import FAST

TOY = f"{toy_envs.__name__}:"
COMMON = [flag for flag in FAST if flag not in ("--env", "Hopper-v4")]


def trained(monkeypatch, folder: Path, env_id: str, demos, *flags: str) -> dict[str, Finding]:
    """The doctor's findings of a run, by name."""
    demos.save(folder / "demos.npz")
    arguments = ["--env", env_id, *COMMON, "--demos", str(folder / "demos.npz"), "--out", str(folder / "run"), *flags]
    monkeypatch.setattr(sys, "argv", ["train", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.run_verb(train.main)
    assert ended.value.code == 0
    return {finding.name: finding for finding in examine(folder / "run")}


def of_hopper(n: int = 100, env_id: str = "Hopper-v4", n_obs: int = 11, n_acts: int = 3):
    rng = np.random.default_rng(0)
    return demonstrations(rng.normal(size=(n, n_obs)), rng.uniform(-1, 1, (n, n_acts)), env_id=env_id)


def toy(env_id: str, action: float):
    """An episode of forty steps with that action, and a little noise."""
    rng = np.random.default_rng(0)
    t = np.arange(41) / 40
    obs = np.stack([t, np.full(41, 2.0)], axis=1)
    acts = np.clip(action + 0.05 * rng.normal(size=(40, 1)), -1, 1)
    return make_demonstrations([Episode(obs, acts, np.ones(40), True, False)] * 4, "a toy", TOY + env_id)


def rolled_out_at_random(env_id: str, n_episodes: int):
    venv = make_venv(env_id, 1, 0)
    rng = np.random.default_rng(0)
    episodes = []
    while len(episodes) < n_episodes:
        obs, acts, rewards = [venv.reset()[0]], [], []
        done = False
        while not done:
            acts.append(rng.uniform(-1, 1, venv.action_space.shape).astype(np.float32))
            after, reward, dones, infos = venv.step(acts[-1][None])
            done = bool(dones[0])
            obs.append(infos[0]["terminal_observation"] if done else after[0])
            rewards.append(float(reward[0]))
        episodes.append(Episode(np.array(obs), np.array(acts), np.array(rewards), True, True))
    return make_demonstrations(episodes, "random actions", env_id)


def test_a_reward_that_pays_for_time_alone_leaves_an_ant_standing(tmp_path, monkeypatch, capsys):
    flags = ["--reward", "constant", "--no-warm-start", "--total-env-steps", "256", "--select-episodes", "1"]
    demos = of_hopper(env_id="Ant-v4", n_obs=27, n_acts=8)
    found = trained(monkeypatch, tmp_path, "Ant-v4", demos, *flags)
    assert "the policy stands" in found["survival bias"].evidence
    assert "warning: survival bias" in capsys.readouterr().err  # and while it trained


@pytest.mark.slow
def test_a_reward_that_charges_for_time_teaches_to_quit(tmp_path, monkeypatch):
    flags = ["--reward", "log-d", "--no-warm-start", "--total-env-steps", "7680", "--eval-every", "1280"]
    flags += ["--ppo.policy-lr", "3e-3", "--ppo.target-kl", "0.1", "--critic.lr", "1e-5", "--ppo.averaging", "0"]
    found = trained(monkeypatch, tmp_path, TOY + "Quit-v0", toy("Quit-v0", -0.8), *flags)
    assert "shrank from 40 to 1 steps" in found["suicide bias"].evidence


@pytest.mark.slow
def test_a_run_that_ends_while_it_still_climbs_was_too_short(tmp_path, monkeypatch):
    ends = {"random": {"return_mean": 0.0}, "expert": {"return_mean": 40.0}}
    monkeypatch.setattr(diagnosis, "reference_returns", lambda env_id: ends)
    flags = ["--no-warm-start", "--total-env-steps", "5120", "--eval-every", "512", "--ppo.policy-lr", "1e-3"]
    flags += ["--ppo.initial-std", "0.2"]
    found = trained(monkeypatch, tmp_path, TOY + "Slope-v0", toy("Slope-v0", -0.9), *flags)
    assert "--total-env-steps 10240" in found["budget too small"].remedy


def test_steps_that_are_far_too_long_explode(tmp_path, monkeypatch):
    flags = ["--no-warm-start", "--warm-up-rounds", "0", "--total-env-steps", "1536", "--eval-every", "1536"]
    flags += ["--ppo.policy-lr", "0.3", "--ppo.max-policy-lr", "1", "--ppo.kl-stop", "1e9", "--ppo.max-grad-norm", "9"]
    found = trained(monkeypatch, tmp_path, "Hopper-v4", of_hopper(), *flags)
    assert "times the target" in found["values explode"].evidence


def test_action_values_that_run_away_explode(tmp_path, monkeypatch):
    flags = ["--algo", "td3", "--no-warm-start", "--total-env-steps", "1536", "--eval-every", "1536"]
    flags += ["--off-policy.n-steps", "32", "--off-policy.hidden", "16", "16", "--off-policy.batch-size", "16"]
    flags += ["--off-policy.learning-starts", "0", "--off-policy.update-ratio", "4", "--off-policy.tau", "1"]
    flags += ["--off-policy.critic-lr", "0.01", "--off-policy.actor-lr", "0.01"]
    found = trained(monkeypatch, tmp_path, "Hopper-v4", of_hopper(), *flags)
    assert "the action values reach" in found["values explode"].evidence
    assert "--off-policy.critic-lr" in found["values explode"].remedy


def test_demonstrations_of_nobody_in_particular_are_weak_and_inconsistent(tmp_path, monkeypatch):
    demos = rolled_out_at_random("Hopper-v4", 12)
    found = trained(monkeypatch, tmp_path, "Hopper-v4", demos, "--n-demos", "12", "--total-env-steps", "128")
    assert {"weak expert", "inconsistent expert"} <= set(found)


def test_what_never_moves_is_told_of_a_run(tmp_path, monkeypatch):
    found = trained(monkeypatch, tmp_path, TOY + "Quit-v0", toy("Quit-v0", -0.8), "--total-env-steps", "128")
    assert "1 of 2 observation dimensions" in found["constant dimensions"].evidence
    assert "demonstrations and task do not match" not in found
