"""Statistics with known answers, and episodes counted without favour."""

import gymnasium
import numpy as np
import pytest

import envs
from gail_suite.evaluation import Episodes, RandomPolicy, Scale, evaluate_policy, interval, iqm
from tests.gail_suite.toy_envs import Slope


def test_interquartile_mean_drops_the_outer_quarters():
    assert iqm(np.array([-1000.0, 1, 2, 3, 4, 5, 6, 9999.0])) == pytest.approx(3.5)


def test_interval_covers_the_true_mean_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(100):
        low, high = interval(rng.normal(3.0, 1.0, 40))
        hits += low <= 3.0 <= high
    assert 85 <= hits <= 99


def test_interval_of_constant_returns_is_a_point():
    assert interval(np.full(5, 7.0)) == (7.0, 7.0)


def test_normalised_return_is_zero_at_random_and_one_at_the_expert():
    scale = Scale(random=-50.0, expert=150.0)
    assert [scale.normalise(r) for r in (-50.0, 150.0, 50.0)] == [0.0, 1.0, 0.5]
    assert Scale(random=None, expert=1.0).normalise(3.0) is None


def test_measured_reference_beats_what_the_caller_measured():
    known = envs.reference_returns("Ant-v4")
    scale = Scale.of("Ant-v4", random=1.0, expert=2.0)
    assert scale.expert == known["expert"]["return_mean"]
    assert Scale.of(None, random=1.0, expert=2.0) == Scale(1.0, 2.0)
    assert Scale.of("CartPole-v1", random=20.0, expert=500.0) == Scale(20.0, 500.0)


def test_summary_has_the_fields_of_evaluation_json():
    row = Episodes(np.array([1.0, 3.0]), np.array([10, 20]), None).summary(Scale(0.0, 4.0))
    assert row["return_mean"] == 2.0
    assert row["return_std"] == 1.0
    assert row["normalised_return"] == 0.5
    assert row["episode_length_mean"] == 15
    assert row["displacement_mean"] is None


def test_evaluation_has_exactly_the_asked_episodes_and_repeats():
    policy = RandomPolicy(envs.make_venv("Hopper-v4").action_space, seed=3)
    first = evaluate_policy(policy, "Hopper-v4", 7, seed=5, threads=1)
    again = evaluate_policy(RandomPolicy(policy._space, seed=3), "Hopper-v4", 7, seed=5, threads=1)
    assert len(first.returns) == 7
    np.testing.assert_array_equal(first.returns, again.returns)
    assert first.displacements is not None


def test_episodes_of_a_simulation_that_diverged_are_counted():
    class Broken:
        def predict(self, observation, *, deterministic=False):
            return np.full((len(observation), 3), np.nan, np.float32), None

    episodes = evaluate_policy(Broken(), "Hopper-v4", 3, threads=1)
    assert episodes.lengths.tolist() == [1, 1, 1]
    assert episodes.summary(Scale(None, None))["diverged_episodes"] == 3
    sound = evaluate_policy(RandomPolicy(envs.make_venv("Hopper-v4").action_space), "Hopper-v4", 2, threads=1)
    assert sound.summary(Scale(None, None))["diverged_episodes"] == 0


def test_a_return_that_is_not_finite_is_no_figure():
    class Lost(Slope):
        def step(self, action):
            obs, _, *rest = super().step(action)
            return obs, np.nan, *rest

    gymnasium.register("Lost-v0", Lost, max_episode_steps=3)
    with pytest.raises(FloatingPointError, match="2 of 2 returns are not finite"):
        evaluate_policy(RandomPolicy(Lost.action_space), "Lost-v0", 2)


def test_short_episodes_are_not_favoured(monkeypatch):
    """Slots with long episodes must weigh as much as slots with short ones, which finish many times meanwhile."""
    from gymnasium import spaces
    from stable_baselines3.common.monitor import Monitor
    from stable_baselines3.common.vec_env import DummyVecEnv

    class Fixed(gymnasium.Env):
        observation_space = spaces.Box(-1, 1, (1,))
        action_space = spaces.Discrete(2)

        def __init__(self, length):
            self.length = length

        def reset(self, *, seed=None, options=None):
            self.t = 0
            return np.zeros(1, np.float32), {}

        def step(self, action):
            self.t += 1
            return np.zeros(1, np.float32), 1.0, self.t == self.length, False, {}

    lengths = [2, 2, 50, 50]
    made = DummyVecEnv([lambda n=n: Monitor(Fixed(n)) for n in lengths])
    monkeypatch.setattr("gail_suite.evaluation.make_venv", lambda *args: made)
    episodes = evaluate_policy(RandomPolicy(made.action_space), "any", 4)
    assert sorted(episodes.lengths) == lengths
