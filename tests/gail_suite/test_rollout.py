"""A rollout shows the reward model what really happened, not what the auto-reset shows."""

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import DummyVecEnv

from gail_suite.config import PPOConfig
from gail_suite.ppo import AdaptivePPO

GAMMA, LAMBDA = 0.9, 0.8


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
        assert self.action_space.contains(action)
        self.t += 1
        over = self.t == self.length
        return np.array([float(self.t)]), 100.0, over and not self.time_out, over and self.time_out, {}


class NextObservation:
    """A reward that shows which successor it was given."""

    def __init__(self, after_end: float = 0.0):
        self._after_end = after_end

    def after_end(self):
        return self._after_end

    def reward(self, batch):
        return batch.next_obs[:, 0].astype(np.float32)


class OneRollout(BaseCallback):
    """Looks at the buffer before the update and stops there."""

    def _on_step(self):
        return True

    def _on_rollout_end(self):
        self.model.train = lambda: None


def rolled_out(reward_model, n_steps: int = 4) -> AdaptivePPO:
    """After one rollout of two environments, of which the first ends and the second times out."""
    venv = DummyVecEnv([lambda: Counter(2, time_out=False), lambda: Counter(2, time_out=True)])
    config = PPOConfig(n_steps=n_steps, hidden=(8,), gamma=GAMMA, gae_lambda=LAMBDA, initial_std=3.0)
    ppo = AdaptivePPO(venv, config, reward_model=reward_model, seed=0)
    return ppo.learn(2 * n_steps, callback=OneRollout(), log_interval=None)


def test_reward_is_of_the_terminal_observation_not_of_the_reset_one():
    ppo = rolled_out(NextObservation())
    assert ppo.rewards.reshape(4, 2).tolist() == [[0, 0], [1, 1], [2, 2], [0, 0]]
    assert ppo.transitions.terminated.reshape(4, 2)[:, 0].tolist() == [False, False, True, False]
    assert not ppo.transitions.terminated.reshape(4, 2)[:, 1].any()  # a time-out is not an end
    assert ppo.transitions.obs.reshape(4, 2)[:, 0].tolist() == [-1, 0, 1, -1]  # a new episode: its reset observation


def test_the_reward_model_sees_actions_as_they_were_sent():
    ppo = rolled_out(NextObservation(), n_steps=32)
    drawn = ppo.rollout_buffer.actions.reshape(-1, 1)
    assert np.abs(drawn).max() > 1  # the noise is wide
    np.testing.assert_array_equal(ppo.transitions.acts, drawn.clip(-1, 1))


def test_without_a_model_the_rewards_are_the_environments():
    assert (rolled_out(None).rewards == 100).all()


@pytest.mark.parametrize("after_end", [0.0, -0.5])
def test_advantages_go_on_behind_a_time_out_and_at_an_end_with_what_follows_for_ever(after_end):
    """Generalised advantage estimation by its definition, Schulman et al. 2016, https://arxiv.org/abs/1506.02438."""
    ppo = rolled_out(NextObservation(after_end))
    with torch.no_grad():
        value = ppo.policy.predict_values(torch.tensor([[-1.0], [0.0], [1.0], [2.0]])).flatten().numpy()
    v_reset, v0, v1, v2 = value
    path = np.array([v_reset, v0, v1, v_reset])  # values of the four observations
    rewards = np.array([0.0, 1.0, 2.0, 0.0])
    for env, after_the_third in ((0, after_end / (1 - GAMMA)), (1, v2)):
        successors = np.array([v0, v1, after_the_third, v0])
        delta = rewards + GAMMA * successors - path
        expected = delta.copy()
        for t in (1, 0):  # the third step closes an episode, the fourth is alone in its own
            expected[t] = delta[t] + GAMMA * LAMBDA * expected[t + 1]
        np.testing.assert_allclose(ppo.rollout_buffer.advantages[:, env], expected, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(ppo.rollout_buffer.values[:, env], path, rtol=1e-5, atol=1e-6)


def test_log_probabilities_are_those_of_the_policy_that_acted():
    ppo = rolled_out(NextObservation())
    buffer = ppo.rollout_buffer
    obs, actions = (torch.as_tensor(part.reshape(8, 1)) for part in (buffer.observations, buffer.actions))
    _, log_prob, _ = ppo.policy.evaluate_actions(obs, actions)
    np.testing.assert_allclose(buffer.log_probs.flatten(), log_prob.detach().numpy(), rtol=1e-5, atol=1e-5)


def test_a_first_observation_that_is_nan_is_an_error_though_no_step_leads_to_it(monkeypatch):
    monkeypatch.setattr(Counter, "reset", lambda self, **_: (setattr(self, "t", -1), (np.array([np.nan]), {}))[1])
    monkeypatch.setattr(spaces.Box, "contains", lambda self, x: True)  # of an action that nobody looks at
    with pytest.raises(FloatingPointError, match="4 of 8 numbers observed are not finite"):
        rolled_out(NextObservation())


def test_infinite_reward_is_an_error_and_not_a_zero():
    class Infinite(NextObservation):
        def reward(self, batch):
            return np.where(batch.next_obs[:, 0] == 2, np.inf, 0.0).astype(np.float32)

    with pytest.raises(FloatingPointError, match="2 of 8 rewards of the round are not finite"):
        rolled_out(Infinite())
