"""`imitation`'s own trainers with our networks, and its trajectories there and back."""

from dataclasses import replace

import gymnasium
import numpy as np
import pytest
import torch
from imitation.algorithms import bc, density
from imitation.algorithms.adversarial.airl import AIRL
from imitation.algorithms.adversarial.gail import GAIL
from imitation.algorithms.dagger import SimpleDAggerTrainer
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv

from gail_suite.errors import InputError
from gail_suite.imitation_plugin import ScorerRewardNet, from_trajectories, to_trajectories, to_transitions
from generative_core import LogitFromScore, MLPCritic, RealNVP
from tests.gail_suite.helpers import demonstrations


def cart_poles(n: int = 2) -> DummyVecEnv:
    return DummyVecEnv([lambda: gymnasium.make("CartPole-v1")] * n)


def balanced(n: int = 200):
    """Poles that hardly move, pushed to where they lean."""
    rng = np.random.default_rng(0)
    obs = rng.normal(scale=0.01, size=(n, 4))
    acts = np.eye(2)[(obs[:, 2] > 0).astype(int)]
    return demonstrations(obs, acts, env_id="CartPole-v1", next_obs=np.roll(obs, -1, axis=0), one_hot=True)


def learner(venv: DummyVecEnv) -> PPO:
    return PPO("MlpPolicy", venv, n_steps=64, batch_size=64, n_epochs=1, seed=0, device="cpu")


SCORERS = {
    "critic": lambda n: MLPCritic((n,), hidden=(32,)),
    "flow": lambda n: LogitFromScore(RealNVP((n,), couplings=2, hidden=(16,)), scale=0.1),
}


@pytest.mark.parametrize("trainer", [GAIL, AIRL])
@pytest.mark.parametrize("scorer", SCORERS)
def test_their_adversarial_trainers_teach_our_networks(trainer, scorer):
    torch.manual_seed(0)
    venv, demos = cart_poles(), balanced()
    net = ScorerRewardNet(venv.observation_space, venv.action_space, SCORERS[scorer](6))
    adversary = trainer(
        demonstrations=to_transitions(demos),
        demo_batch_size=64,
        venv=venv,
        gen_algo=learner(venv),
        reward_net=net,
        n_disc_updates_per_round=20,
        allow_variable_horizon=True,
        disc_opt_kwargs={"lr": 3e-3},
    )
    adversary.train(total_timesteps=512)
    expert = demos.transitions()
    far = expert.obs + np.float32(0.5)
    near, away = (net.predict(obs, expert.acts.argmax(1), obs, expert.terminated).mean() for obs in (expert.obs, far))
    assert near > away + 0.5


def test_only_training_moves_the_input_statistics():
    venv = cart_poles()
    net = ScorerRewardNet(venv.observation_space, venv.action_space, MLPCritic((6,)))
    obs, acts = torch.randn(10, 4), torch.nn.functional.one_hot(torch.arange(10) % 2, 2)
    net.eval()(obs, acts, obs, torch.zeros(10))
    assert net.scorer.normaliser.count == 0
    net.train()(obs, acts, obs, torch.zeros(10))
    assert net.scorer.normaliser.count == 10


@pytest.mark.parametrize(("view", "size"), [("state", 4), ("state-action", 6), ("state-next-state", 8)])
def test_the_view_decides_what_the_scorer_sees(view, size):
    venv = cart_poles()
    net = ScorerRewardNet(venv.observation_space, venv.action_space, MLPCritic((size,), normalise=False), view=view)
    obs, acts, next_obs = torch.randn(5, 4), torch.eye(2)[[0, 1, 0, 1, 1]], torch.randn(5, 4)
    x = {"state": obs, "state-action": torch.cat([obs, acts], 1), "state-next-state": torch.cat([obs, next_obs], 1)}
    torch.testing.assert_close(net(obs, acts, next_obs, torch.zeros(5)), net.scorer.score(x[view]))
    with pytest.raises(ValueError, match=rf"event_shape=\({size},\)"):
        ScorerRewardNet(venv.observation_space, venv.action_space, MLPCritic((size + 1,)), view=view)


def test_their_cloning_and_density_baselines_take_our_demonstrations():
    venv, demos, rng = cart_poles(), balanced(), np.random.default_rng(0)
    cloner = bc.BC(
        observation_space=venv.observation_space,
        action_space=venv.action_space,
        demonstrations=to_transitions(demos),
        rng=rng,
    )
    acts = torch.from_numpy(to_transitions(demos).acts)
    likelihood = lambda: cloner.policy.evaluate_actions(torch.from_numpy(demos.obs), acts)[1].mean().item()  # noqa: E731
    before = likelihood()
    cloner.train(n_batches=60, progress_bar=False)
    assert likelihood() > before
    baseline = density.DensityAlgorithm(
        demonstrations=to_transitions(demos), venv=venv, rl_algo=learner(venv), rng=rng, allow_variable_horizon=True
    )
    baseline.train()
    done = np.zeros(len(demos), dtype=bool)
    near, far = (baseline(obs, acts.numpy(), obs, done).mean() for obs in (demos.obs, demos.obs + 5))
    assert near > far
    baseline.train_policy(n_timesteps=128)


def test_their_dagger_starts_from_our_trajectories(tmp_path):
    venv, demos, rng = cart_poles(), balanced(), np.random.default_rng(0)
    space = {"observation_space": venv.observation_space, "action_space": venv.action_space}
    trainer = SimpleDAggerTrainer(
        venv=venv,
        scratch_dir=tmp_path,
        expert_policy=learner(venv).policy,
        rng=rng,
        expert_trajs=to_trajectories(demos),
        bc_trainer=bc.BC(**space, rng=rng),
    )
    trainer.train(total_timesteps=100, rollout_round_min_episodes=1, rollout_round_min_timesteps=50)
    acts, _ = trainer.policy.predict(demos.obs)
    assert set(acts.tolist()) <= {0, 1}
    assert list((tmp_path / "demos").rglob("*"))  # what the learner met on its way


def test_trajectories_there_and_back():
    rng = np.random.default_rng(0)
    obs = rng.normal(size=(30, 11)).astype(np.float32)
    demos = demonstrations(obs, rng.uniform(-1, 1, (30, 3)), env_id="Hopper-v4", next_obs=np.roll(obs, -1, axis=0))
    demos = replace(demos, next_obs=np.concatenate([obs[1:], obs[:1]]), rewards=np.ones(30, np.float32))
    demos = replace(demos, provenance=replace(demos.provenance, returns=(30.0,)))
    (trajectory,) = to_trajectories(demos)
    assert trajectory.terminal
    back = from_trajectories([trajectory], "Hopper-v4")
    for name in ("obs", "acts", "next_obs", "rewards", "episode"):
        np.testing.assert_array_equal(getattr(back, name), getattr(demos, name))
    assert back.provenance.returns == (30.0,)
    assert back.terminated[-1]  # thirty of Hopper's thousand steps: a real end


def test_discrete_actions_there_and_back():
    demos = balanced()
    (trajectory,) = to_trajectories(demos)
    assert trajectory.acts.shape == (200,)
    np.testing.assert_array_equal(from_trajectories([trajectory], "CartPole-v1").acts, demos.acts)


def test_what_makes_no_trajectories_is_refused():
    with pytest.raises(InputError, match="to_transitions"):
        to_trajectories(balanced().subsample(20))
    demos = demonstrations(np.zeros((5, 4)), np.zeros((5, 0)))
    with pytest.raises(InputError, match="no actions"):
        to_transitions(demos)
