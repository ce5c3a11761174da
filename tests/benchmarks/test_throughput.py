"""What the throughput benchmark counts.  No test depends on how fast anything is."""

import json
import os
import subprocess
import sys
from types import SimpleNamespace

import gymnasium
import numpy as np
import pytest

from benchmarks import provenance as provenance_module
from benchmarks.throughput import cases
from benchmarks.throughput.cases import EnvPoolSteps, VecEnvSteps, contenders
from benchmarks.throughput.learners import Imitations, Ours, as_imitation, comparable
from benchmarks.throughput.limit import Replay, check_task, steps_within
from benchmarks.throughput.result import provenance, rate_rows
from envs import make_venv
from gail_suite.errors import InputError
from tests.gail_suite.helpers import demonstrations

PROVENANCE = {"command", "date", "commit", "cores", "processor", "load_average_before", "versions"}


@pytest.mark.parametrize("env_id", ["Hopper-v4", "Humanoid-v4"])
def test_replay_is_the_physics_of_the_task_with_its_resets(env_id):
    n = 70
    replay = Replay(env_id, seed=3, n_recorded=n)
    env = gymnasium.make(env_id)
    env.action_space.seed(3)
    env.reset(seed=3)
    theirs, n_ends, first = env.unwrapped.data, 0, None
    for _ in range(n):
        replay.step()
        _, _, terminated, truncated, _ = env.step(env.action_space.sample())
        np.testing.assert_array_equal(replay.data.qpos, theirs.qpos)
        np.testing.assert_array_equal(replay.data.qvel, theirs.qvel)
        if replay.contact_forces:
            np.testing.assert_array_equal(replay.data.cfrc_ext, theirs.cfrc_ext)
        first = theirs.qpos.copy() if first is None else first
        if terminated or truncated:
            n_ends += 1
            env.reset()
    assert n_ends > 0
    assert sum(len(episode.actions) for episode in replay.episodes) == n
    replay.step()
    np.testing.assert_array_equal(replay.data.qpos, first)


def test_the_limit_includes_contact_forces_where_the_task_reads_them():
    assert Replay("Humanoid-v4", seed=0, n_recorded=1).contact_forces
    assert not Replay("Ant-v4", seed=0, n_recorded=1).contact_forces


def test_steps_within_counts_every_call_and_all_the_time():
    now = [0.0]

    def step():
        now[0] += 0.375

    assert steps_within(step, 1.0, clock=lambda: now[0]) == 3 / 1.125


def test_vector_env_counts_a_step_of_every_environment(monkeypatch):
    monkeypatch.setattr(cases, "steps_within", lambda step, seconds: step() or 2.0)
    contender = VecEnvSteps(make_venv("Hopper-v4", 3), warm_up=1)
    assert contender.measure(1.0) == 6.0
    contender.close()


def test_envpool_steps_that_only_reset_are_not_counted(monkeypatch):
    class Pool:
        """Two environments whose episodes end at every fourth call."""

        action_space = gymnasium.spaces.Box(-1, 1, (1,), np.float64)
        n_calls = 0

        def reset(self):
            pass

        def step(self, actions):
            self.n_calls += 1
            over = np.full(2, self.n_calls % 4 == 0)
            return None, None, over, np.zeros(2, bool), {}

    def eight_calls(step, seconds):
        for _ in range(8):
            step()
        return 2.0

    monkeypatch.setattr(cases, "steps_within", eight_calls)
    contender = EnvPoolSteps(Pool(), 2, warm_up=0)
    assert contender.measure(1.0) == 2.0 * (2 - 2 / 8)  # the fifth call reset both; what the eighth ends is reset later
    assert contender.measure(1.0) == 2.0 * (2 - 4 / 8)


def test_random_actions_fill_the_range():
    space = gymnasium.spaces.Box(np.array([-1, 0]), np.array([1, 5]), dtype=np.float64)
    actions = cases.random_actions(space, 50)
    assert actions.shape == (cases.N_ACTION_BATCHES, 50, 2)
    assert all(space.contains(a.astype(np.float64)) for a in actions[0])
    np.testing.assert_allclose(actions.mean(axis=(0, 1)), [0, 2.5], atol=0.1)


def test_ratio_to_the_limit_is_taken_round_by_round():
    rows = rate_rows({"limit": [100.0, 10.0, 100.0], "ours": [90.0, 9.0, 90.0]})
    assert rows["ours"]["ratio_to_limit"] == pytest.approx(0.9)
    assert rows["ours"]["env_steps_per_s"] == 90.0
    assert rows["ours"]["per_round"] == [90.0, 9.0, 90.0]


def test_provenance_says_how_to_repeat_it():
    found = provenance(["envs", "--json", "a b.json"])
    assert set(found) == PROVENANCE
    assert found["command"] == "python -m benchmarks.throughput envs --json 'a b.json'"
    assert found["versions"]["mujoco"]
    assert json.loads(json.dumps(found)) == found


def test_every_contender_has_a_label():
    assert set(contenders("Ant-v4", 2, 0)) <= set(cases.LABELS)


@pytest.mark.parametrize("env_id", ["CartPole-v1", "Ant-v3", "Nowhere-v0"])
def test_task_without_a_known_limit_is_refused(env_id):
    with pytest.raises(InputError, match="Ant-v4"):
        check_task(env_id)


def test_both_learners_take_the_same_env_steps_and_critic_updates():
    rng = np.random.default_rng(0)
    demos = demonstrations(rng.normal(size=(40, 11)), rng.uniform(-1, 1, (40, 3)), env_id="Hopper-v4")
    config = comparable("Hopper-v4", n_envs=2, n_steps=16, critic_updates=3, critic_batch=8)
    ours, theirs = Ours(config, demos), Imitations(config, demos, make_venv("Hopper-v4", 2))
    updates = []
    step = ours.gail.reward_model.step
    ours.gail.reward_model.step = lambda *both: updates.append(len(both[0])) or step(*both)
    for learner in (ours, theirs):
        assert learner.measure(2) > 0
        assert learner.measure(1) > 0
        learner.close()
    assert ours.gail.env_steps == theirs.trainer.gen_algo.num_timesteps == 3 * 32
    assert updates == [8] * 9
    assert theirs.trainer._disc_step == 9
    assert theirs.trainer.demo_batch_size == 8


def test_demonstrations_become_imitations_transitions():
    demos = demonstrations(np.eye(4), np.ones((4, 2)))
    theirs = as_imitation(demos)
    np.testing.assert_array_equal(theirs.obs, demos.obs)
    np.testing.assert_array_equal(theirs.acts, demos.acts)
    np.testing.assert_array_equal(theirs.dones, demos.terminated)
    assert len(theirs) == 4


def test_usable_cores_are_those_of_the_affinity(monkeypatch):
    monkeypatch.setattr(provenance_module, "os", SimpleNamespace(sched_getaffinity=lambda pid: {1, 4, 5}))
    assert provenance_module.usable_cores() == 3


def measured(tmp_path, *arguments):
    """The JSON of a run of its own, with its own cache."""
    file = tmp_path / "result.json"
    command = [sys.executable, "-m", "benchmarks.throughput", *map(str, arguments), "--json", str(file)]
    done = subprocess.run(
        command,
        env=os.environ | {"XDG_CACHE_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(file.read_text()), done.stdout


@pytest.mark.slow
def test_envs_from_the_command_line(tmp_path):
    arguments = ["--env", "Hopper-v4", "--envs", 2, "--seconds", 0.05, "--rounds", 3, "--warm-up", 1]
    result, shown = measured(tmp_path, "envs", *arguments)
    assert set(result) == PROVENANCE | {"benchmark", "n_envs", "seconds", "rounds", "results"}
    rows = result["results"]["Hopper-v4"]
    assert {"limit", "ours", "subproc", "dummy"} <= set(rows)
    assert rows["limit"]["ratio_to_limit"] == 1.0
    assert all(row["env_steps_per_s"] > 0 and len(row["per_round"]) == 3 for row in rows.values())
    assert "of the limit" in shown
    assert "SB3 DummyVecEnv" in shown


@pytest.mark.slow
def test_gail_from_the_command_line(tmp_path):
    arguments = ["--env", "Ant-v4", "--envs", 2, "--steps", 8, "--rounds", 1, "--turns", 2, "--demos", 1]
    result, shown = measured(tmp_path, "gail", *arguments, "--limit-seconds", 0.05)
    assert set(result["results"]) == {"limit", "ours", "imitation_subproc", "imitation_dummy"}
    assert result["imitation_better"] in ("imitation_subproc", "imitation_dummy")
    assert result["ours_to_imitation"] > 0
    assert result["ours_to_limit"] > 0
    assert result["steps_per_round"] == 16
    assert "of imitation" in shown
