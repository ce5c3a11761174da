"""The reward wrapper sees what really happened, not what the auto-reset shows."""

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3.common.vec_env import DummyVecEnv

from gail_suite.venv import RewardVecEnv


class Counter(gymnasium.Env):
    """Observes its own step number; ends (or times out) after `length` steps; resets to -1."""

    observation_space = spaces.Box(-np.inf, np.inf, (1,), np.float64)
    action_space = spaces.Box(-1, 1, (1,), np.float32)

    def __init__(self, length: int, time_out: bool):
        self.length, self.time_out = length, time_out

    def reset(self, *, seed=None, options=None):
        self.t = -1
        return np.array([-1.0]), {}

    def step(self, action):
        self.t += 1
        over = self.t == self.length
        return np.array([float(self.t)]), 100.0, over and not self.time_out, over and self.time_out, {}


class NextObservation:
    """A reward that shows which successor it was given."""

    def __init__(self):
        self.batches = []

    def reward(self, batch):
        self.batches.append(batch)
        return batch.next_obs[:, 0].astype(np.float32)


@pytest.fixture
def wrapped():
    inner = DummyVecEnv([lambda: Counter(2, time_out=False), lambda: Counter(2, time_out=True)])
    model = NextObservation()
    return RewardVecEnv(inner, model), model


def test_reward_is_of_the_terminal_observation_not_of_the_reset_one(wrapped):
    venv, model = wrapped
    venv.reset()
    still = np.zeros((2, 1), np.float32)
    rewards = [venv.step(still)[1].tolist() for _ in range(4)]
    assert rewards == [[0, 0], [1, 1], [2, 2], [0, 0]]
    last = model.batches[2]
    assert last.terminated.tolist() == [True, False]  # a time-out is not an end
    assert model.batches[3].obs.tolist() == [[-1], [-1]]  # the new episode begins at the reset observation


def test_rewards_are_fresh_and_writable(wrapped):
    venv, _ = wrapped
    venv.reset()
    rewards = venv.step(np.zeros((2, 1), np.float32))[1]
    rewards += 1000.0  # as SB3's bootstrap does
    _, kept = venv.pop_round()
    assert kept.tolist() == [0, 0]


def test_round_holds_all_transitions_since_the_last_one(wrapped):
    venv, _ = wrapped
    venv.reset()
    for _ in range(3):
        venv.step(np.full((2, 1), 0.5, np.float32))
    batch, rewards = venv.pop_round()
    assert batch.obs[:, 0].tolist() == [-1, -1, 0, 0, 1, 1]
    assert batch.next_obs[:, 0].tolist() == [0, 0, 1, 1, 2, 2]
    assert (batch.acts == 0.5).all()
    assert len(rewards) == 6
    venv.step(np.zeros((2, 1), np.float32))
    assert len(venv.pop_round()[0].obs) == 2


def test_infinite_reward_is_an_error_and_not_a_zero(wrapped):
    venv, model = wrapped
    venv.reset()
    model.reward = lambda batch: np.array([0.0, np.inf], np.float32)
    with pytest.raises(FloatingPointError, match="1 non-finite"):
        venv.step(np.zeros((2, 1), np.float32))
