"""Off-policy: rewards are today's, actions are the task's, and time-outs are no ends."""

import base64
import json
import zipfile

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import DQN, SAC, TD3
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from gail_suite.replay import RelabellingReplayBuffer, RewardModelUpdates
from gail_suite.reward.adversarial import AdversarialReward
from gail_suite.reward.protocol import Transitions
from gail_suite.reward.shaping import SHAPES
from gail_suite.reward.views import VIEWS
from generative_core import CriticStep, MLPCritic


class Walk(gymnasium.Env):
    """Observes where it is and its step number; an action in +-0.4 moves it; ends, or times out, after 5 steps."""

    observation_space = spaces.Box(-np.inf, np.inf, (2,), np.float32)
    action_space = spaces.Box(-0.4, 0.4, (1,), np.float32)

    def __init__(self, time_out: bool):
        self.time_out = time_out

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.x, self.t = 0.0, 0
        return self._obs(), {}

    def step(self, action):
        self.x, self.t = self.x + float(action[0]), self.t + 1
        over = self.t == 5
        return self._obs(), 100.0, over and not self.time_out, over and self.time_out, {}

    def _obs(self):
        return np.array([self.x, self.t], np.float32)


class Move:
    """Pays what the action was times a factor, which may change; remembers what it was shown."""

    def __init__(self, factor: float = 1.0, end: float = 0.0):
        self.factor, self.end = factor, end
        self.updates: list[int] = []

    def reward(self, batch: Transitions):
        self.seen = batch
        return (self.factor * batch.acts[:, 0]).astype(np.float32)

    def after_end(self):
        return self.end

    def update(self, expert, policy):
        self.updates.append(len(policy.obs))
        return {"n": float(len(policy.obs))}


def venv() -> DummyVecEnv:
    return DummyVecEnv([lambda: Walk(time_out=False), lambda: Walk(time_out=True)])


def learner(model, algorithm=SAC, env=None, **settings):
    settings = {"learning_starts": 10, "batch_size": 8, "buffer_size": 200, "train_freq": 1, "seed": 0} | settings
    return algorithm(
        "MlpPolicy",
        env or venv(),
        replay_buffer_class=RelabellingReplayBuffer,
        replay_buffer_kwargs={"reward_model": model},
        policy_kwargs={"net_arch": [8]},
        device="cpu",
        **settings,
    )


@pytest.mark.parametrize("algorithm", [SAC, TD3])
def test_a_sample_has_the_rewards_of_the_model_as_it_is_now(algorithm):
    model = Move(1.0)
    buffer = learner(model, algorithm).learn(60).replay_buffer
    samples = buffer.sample(32)
    torch.testing.assert_close(samples.rewards, 0.4 * samples.actions)  # SB3 keeps actions in [-1, 1]
    model.factor = -3.0
    samples = buffer.sample(32)
    torch.testing.assert_close(samples.rewards, -3 * 0.4 * samples.actions)


def test_the_model_sees_what_happened():
    model = Move()
    buffer = learner(model).learn(60).replay_buffer
    buffer.sample(256)
    seen = model.seen
    assert np.abs(seen.acts).max() <= 0.4
    np.testing.assert_allclose(seen.next_obs[:, 0] - seen.obs[:, 0], seen.acts[:, 0], atol=1e-5)
    np.testing.assert_array_equal(seen.next_obs[:, 1], seen.obs[:, 1] + 1)  # never the reset observation
    last = seen.next_obs[:, 1] == 5
    assert 0 < seen.terminated.sum() < last.sum()  # half of the ends are time-outs
    assert (seen.terminated <= last).all()


def test_time_outs_are_bootstrapped_and_real_ends_are_not():
    buffer = learner(Move()).learn(100).replay_buffer
    samples = buffer.sample(512)
    last = samples.next_observations[:, 1] == 5
    share = samples.dones[last].mean().item()
    assert 0.3 < share < 0.7  # one of the two environments ends really
    assert not samples.dones[~last].any()


def test_what_follows_a_real_end_is_summed_for_ever():
    buffer = learner(Move(0.0, end=2.0)).learn(60).replay_buffer
    samples = buffer.sample(256)
    torch.testing.assert_close(samples.rewards, samples.dones * 2.0 * 0.99 / (1 - 0.99), rtol=1e-4, atol=1e-4)


def test_a_normaliser_of_observations_changes_the_sample_and_not_what_the_model_sees():
    env = VecNormalize(venv(), norm_reward=False)
    model = Move()
    algorithm = learner(model, env=env).learn(60)
    samples = algorithm.replay_buffer.sample(64, env=env)
    np.testing.assert_allclose(env.normalize_obs(model.seen.obs), samples.observations.numpy(), rtol=1e-4, atol=1e-4)
    assert set(model.seen.obs[:, 1]) <= {0, 1, 2, 3, 4}


def test_recent_transitions_are_the_last_ones_also_after_the_buffer_has_wrapped():
    buffer = learner(Move(), buffer_size=40).learn(130).replay_buffer  # 20 rounds of two environments; 65 were made
    assert buffer.full
    recent = buffer.recent(9)
    assert len(recent.obs) == 9
    np.testing.assert_array_equal(recent.obs[-2:], buffer.observations[(buffer.pos - 1) % 20].reshape(2, -1))
    assert len(buffer.recent(1000).obs) == 40


def test_the_reward_model_learns_between_the_rollouts():
    model = Move()
    callback = RewardModelUpdates(model, Transitions(*[np.zeros((3, 1))] * 4), every=10, recent=16, learning_starts=20)
    learner(model).learn(60, callback=callback)
    assert model.updates == [16] * 5  # at 20, 30, ... 60
    assert callback.metrics == {"n": 16.0}


def test_discrete_actions_are_one_hot():
    model = Move()
    env = DummyVecEnv([lambda: gymnasium.make("CartPole-v1")])
    learner(model, DQN, env).learn(30).replay_buffer.sample(16)
    assert model.seen.acts.shape == (16, 2)
    assert (model.seen.acts.sum(1) == 1).all()


def test_saved_as_the_module_says_nothing_of_ours_is_in_the_file(tmp_path):
    sac = learner(Move()).learn(20)
    sac.save(tmp_path / "policy.zip", exclude=["replay_buffer_class", "replay_buffer_kwargs"])
    with zipfile.ZipFile(tmp_path / "policy.zip") as file:
        data = json.loads(file.read("data"))
    pickled = [base64.b64decode(value[":serialized:"]) for value in data.values() if ":serialized:" in str(value)]
    assert pickled
    assert not any(b"gail_suite" in value or b"Move" in value for value in pickled)
    obs = np.zeros((1, 2), np.float32)
    np.testing.assert_array_equal(
        SAC.load(tmp_path / "policy.zip", device="cpu").predict(obs, deterministic=True)[0],
        sac.predict(obs, deterministic=True)[0],
    )


def test_a_critic_teaches_sac_where_to_go():
    """The expert walks right; the task's own reward says nothing of it."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    steps = rng.integers(5, size=400)
    obs = np.stack([0.4 * steps, steps], axis=1).astype(np.float32)
    acts = np.full((400, 1), 0.4, np.float32)
    expert = Transitions(obs, acts, obs + np.float32([0.4, 1.0]), np.zeros(400, dtype=bool))
    step = CriticStep(MLPCritic((3,), hidden=(32,)), lr=3e-3, gradient_penalty=1.0)
    model = AdversarialReward(step, VIEWS["state-action"], SHAPES["gail"], updates_per_round=1, batch_size=64)
    sac = learner(model, learning_rate=3e-3, batch_size=64, buffer_size=5000, ent_coef=0.01, gradient_steps=2)
    sac.learn(1500, callback=RewardModelUpdates(model, expert, every=2, recent=500, learning_starts=50))
    action, _ = sac.predict(obs[:20], deterministic=True)
    assert action.mean() > 0.25
