"""The learner: its normalised values, adaptive steps, plain copies, and that it learns."""

import subprocess
import sys
from dataclasses import replace

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import DummyVecEnv
from torch import nn

from envs import make_venv
from gail_suite.config import PPOConfig
from gail_suite.ppo import AdaptivePPO
from gail_suite.training_policy import ScaledValue, to_plain

SMALL = PPOConfig(n_steps=32, minibatch_size=64, hidden=(16, 16))


class Target(gymnasium.Env):
    """One step an episode; the best action is half the observation."""

    observation_space = spaces.Box(-np.inf, np.inf, (2,), np.float64)
    action_space = spaces.Box(-0.4, 0.4, (2,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.obs = 5.0 + self.np_random.uniform(-0.6, 0.6, 2)  # far from standardised
        return self.obs, {}

    def step(self, action):
        reward = -float(np.sum((action - (self.obs - 5.0) / 2) ** 2))
        return self.obs, reward, True, False, {}


def test_value_statistics_move_without_moving_the_values():
    torch.manual_seed(0)
    head, features = ScaledValue(nn.Linear(4, 1)), torch.randn(50, 4)
    head.start(torch.randn(100) * 3 + 7)
    before = head(features).detach()
    for _ in range(5):
        head.track(torch.randn(100) * 30 - 100, rate=0.3)
    torch.testing.assert_close(head(features), before, rtol=1e-4, atol=1e-3)
    assert head.std > 10
    assert head.mean < -50


def test_value_statistics_follow_mean_and_spread():
    torch.manual_seed(0)
    head = ScaledValue(nn.Linear(4, 1))
    head.start(torch.zeros(10))
    returns = torch.randn(20_000) * 4 + 10
    for _ in range(200):
        head.track(returns, rate=0.1)
    assert head.mean.item() == pytest.approx(10, abs=0.1)
    assert head.std.item() == pytest.approx(4, abs=0.1)


@pytest.mark.parametrize("env_id", ["Hopper-v4", "CartPole-v1"])
def test_plain_copy_computes_the_same(env_id):
    ppo = AdaptivePPO(make_venv(env_id, 2, 0), SMALL, seed=0)
    ppo.learn(256, log_interval=None)
    policy, plain = ppo.policy, to_plain(ppo.policy)
    obs = np.random.default_rng(0).normal(0, 2, (64, *policy.observation_space.shape)).astype(np.float32)
    np.testing.assert_allclose(
        plain.predict(obs, deterministic=True)[0], policy.predict(obs, deterministic=True)[0], atol=1e-4
    )
    tensor = torch.from_numpy(obs)
    torch.testing.assert_close(plain.predict_values(tensor), policy.predict_values(tensor), rtol=1e-4, atol=1e-3)
    ours, theirs = policy.get_distribution(tensor).distribution, plain.get_distribution(tensor).distribution
    if env_id == "Hopper-v4":
        torch.testing.assert_close(ours.stddev, theirs.stddev)


def test_policy_zip_loads_where_this_package_is_not_installed(tmp_path):
    ppo = AdaptivePPO(make_venv("Hopper-v4", 2, 0), SMALL, seed=0)
    ppo.to_sb3().save(tmp_path / "policy.zip")
    obs = np.linspace(-1, 1, 11)
    np.save(tmp_path / "obs.npy", obs)
    code = (
        "import sys\n"
        "for name in ('gail_suite', 'generative_core', 'envs', 'benchmarks'): sys.modules[name] = None\n"
        "import numpy as np, stable_baselines3 as sb3\n"
        "model = sb3.PPO.load('policy.zip', device='cpu')\n"
        "action, _ = model.predict(np.load('obs.npy'), deterministic=True)\n"
        "print(*map(float, action))\n"
        "model.set_env(sb3.common.env_util.make_vec_env('Hopper-v4', 1)); model.n_steps = 64\n"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    expected = ppo.policy.predict(obs, deterministic=True)[0]
    np.testing.assert_allclose([float(x) for x in result.stdout.split()], expected, atol=1e-4)


def test_frozen_policy_stays_and_values_learn():
    ppo = AdaptivePPO(make_venv("Hopper-v4", 4, 0), SMALL, seed=0)
    ppo.policy_frozen = True
    actor = [p.detach().clone() for p in ppo.policy.actor_parameters()]
    value = [p.detach().clone() for p in ppo.policy.value_parameters()]
    ppo.learn(256, log_interval=None)
    for before, after in zip(actor, ppo.policy.actor_parameters(), strict=True):
        assert torch.equal(before, after)
    assert ppo.policy.normaliser.count == 0
    assert any(not torch.equal(b, a) for b, a in zip(value, ppo.policy.value_parameters(), strict=True))


def test_step_size_follows_the_kl():
    ppo = AdaptivePPO(make_venv("Hopper-v4", 2, 0), SMALL, seed=0)
    for kl, factor in ((0.05, 1 / 1.5), (0.001, 1.5), (0.01, 1.0)):
        before = ppo.step_size
        ppo._adapt(kl)
        assert ppo.step_size == pytest.approx(before * factor)
    for _ in range(50):
        ppo._adapt(0.0)
    assert ppo.step_size == pytest.approx(SMALL.max_policy_lr)


def test_epochs_stop_for_the_policy_when_the_kl_overshoots():
    config = replace(SMALL, policy_lr=1e-2, target_kl=1e-4, kl_stop=1.5)
    ppo = AdaptivePPO(make_venv("Hopper-v4", 4, 0), config, seed=0)
    ppo.learn(128, log_interval=None)
    assert ppo.metrics["kl_stops"] == 1
    assert ppo.step_size < 1e-2


def test_progress_falls_over_the_whole_of_one_run():
    seen = []

    class Watch(BaseCallback):
        def _on_step(self):
            return True

        def _on_rollout_start(self):
            seen.append(self.model._current_progress_remaining)

    AdaptivePPO(make_venv("Hopper-v4", 2, 0), SMALL, seed=0).learn(640, callback=Watch(), log_interval=None)
    assert seen == pytest.approx(np.linspace(1.0, 0.1, 10))


def test_non_finite_gradient_is_an_error_before_the_step():
    ppo = AdaptivePPO(make_venv("Hopper-v4", 2, 0), SMALL, seed=0)
    weights = [p.detach().clone() for p in ppo.policy.value_parameters()]
    loss = ppo.policy.predict_values(torch.zeros(1, 11)).sum() * torch.nan
    with pytest.raises(FloatingPointError, match="value"):
        ppo._minimise(loss, ppo.policy.value_optimizer, ppo.policy.value_parameters(), "value")
    for before, after in zip(weights, ppo.policy.value_parameters(), strict=True):
        assert torch.equal(before, after)


@pytest.mark.parametrize("name", ["value", "policy"])
def test_an_exploding_gradient_is_cut_to_its_greatest_norm(name):
    class Recorder(torch.optim.SGD):
        def step(self, closure=None):
            self.seen = torch.cat([p.grad.flatten() for p in self.param_groups[0]["params"] if p.grad is not None])

    ppo = AdaptivePPO(make_venv("Hopper-v4", 2, 0), SMALL, seed=0)
    policy = ppo.policy
    parameters = policy.value_parameters() if name == "value" else policy.actor_parameters()
    outputs = policy.predict_values if name == "value" else policy.law
    recorder = Recorder(parameters)
    ppo._minimise(1e9 * outputs(torch.ones(1, 11)).square().sum(), recorder, parameters, name)
    assert recorder.seen.norm().item() == pytest.approx(SMALL.max_grad_norm, rel=1e-3)


def test_learns_a_regression_by_reward_in_raw_units():
    config = replace(SMALL, n_steps=128, minibatch_size=256, target_kl=0.02, initial_std=0.5, policy_lr=1e-3)
    ppo = AdaptivePPO(DummyVecEnv([Target] * 8), config, seed=0)
    ppo.learn(40_000, log_interval=None)
    obs = 5.0 + np.random.default_rng(0).uniform(-0.6, 0.6, (200, 2))
    error = ppo.policy.predict(obs, deterministic=True)[0] - (obs - 5.0) / 2
    assert np.sqrt((error**2).mean()) < 0.04  # the untrained policy's is 0.17
