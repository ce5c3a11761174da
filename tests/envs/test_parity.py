"""The batched tasks are gymnasium's tasks: same seeds and actions, same numbers, to the last bit."""

import gymnasium
import numpy as np
import pytest
from stable_baselines3.common.vec_env import DummyVecEnv

from envs import make_venv
from envs.tasks import TASKS

N_ENVS = 2
# NumPy 1 takes a float32 sum times a Python number for a double: there the last bits of gymnasium's own rewards differ
TOLERANCE = {"rtol": 0.0, "atol": 0.0} if int(np.__version__.split(".")[0]) >= 2 else {"rtol": 1e-6, "atol": 1e-7}
INSTALLED = [env_id for env_id in TASKS if env_id in gymnasium.registry]


@pytest.mark.parametrize("env_id", INSTALLED)
def test_batched_task_equals_gymnasium_bit_for_bit(env_id):
    ours = make_venv(env_id, N_ENVS, seed=7, n_threads=2)
    theirs = DummyVecEnv([lambda: gymnasium.make(env_id)] * N_ENVS)
    theirs.seed(7)
    np.testing.assert_array_equal(ours.reset(), theirs.reset())
    rng = np.random.default_rng(0)
    n_resets, n_terminated = np.zeros(N_ENVS, int), 0
    step = 0
    while step < 2100 or n_resets.min() < 5:
        # calm stretches let episodes reach the time limit, wild ones make bodies fall
        scale = 0.1 if step < 1100 else 1.0
        step += 1
        high = ours.action_space.high
        actions = (scale * rng.uniform(-high, high, (N_ENVS, *high.shape))).astype(np.float32)
        obs, rewards, dones, infos = ours.step(actions)
        their_obs, their_rewards, their_dones, their_infos = theirs.step(actions)
        np.testing.assert_array_equal(obs, their_obs)
        np.testing.assert_allclose(rewards, their_rewards, **TOLERANCE)  # both float32
        np.testing.assert_array_equal(dones, their_dones)
        for i in np.flatnonzero(dones):
            n_resets[i] += 1
            n_terminated += not infos[i]["TimeLimit.truncated"]
            assert infos[i]["TimeLimit.truncated"] == their_infos[i]["TimeLimit.truncated"]
            np.testing.assert_array_equal(infos[i]["terminal_observation"], their_infos[i]["terminal_observation"])
    assert rewards.dtype == their_rewards.dtype == np.float32
    assert obs.dtype == their_obs.dtype == np.float64
    assert n_terminated > 0 or env_id.startswith("HalfCheetah")


@pytest.mark.parametrize("n_threads", [1, 2])
def test_thread_count_does_not_change_a_bit(n_threads):
    venv = make_venv("Humanoid-v4", 3, seed=1, n_threads=n_threads)
    rows = [venv.reset()]
    rng = np.random.default_rng(0)
    for _ in range(60):
        rows.append(venv.step(rng.uniform(-0.4, 0.4, (3, 17)).astype(np.float32))[0])
    single = make_venv("Humanoid-v4", 1, seed=1, n_threads=1)  # the first of three is the one alone
    np.testing.assert_array_equal(single.reset()[0], rows[0][0])
    rng = np.random.default_rng(0)
    for row in rows[1:]:
        actions = rng.uniform(-0.4, 0.4, (3, 17)).astype(np.float32)
        np.testing.assert_array_equal(single.step(actions[:1])[0][0], row[0])
