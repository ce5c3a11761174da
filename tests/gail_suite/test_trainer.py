"""GAIL as a whole: an exact game, CartPole from twenty pairs, and a resume equal to an unbroken run."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from envs import make_venv
from gail_suite import GAIL, BehaviouralCloning, Demonstrations, TrainConfig, evaluate_policy
from gail_suite.config import BehaviouralCloningConfig, CriticConfig, PPOConfig
from gail_suite.errors import InputError
from gail_suite.evaluation import Episodes
from gail_suite.recorder import RunRecorder, restore
from gail_suite.reward.adversarial import AdversarialReward
from gail_suite.reward.protocol import Transitions
from gail_suite.reward.shaping import SHAPES
from gail_suite.reward.views import VIEWS
from gail_suite.run_directory import RunDirectory
from gail_suite.run_off import run_off
from generative_core import CriticStep, MLPCritic, load_checkpoint, save_checkpoint
from tests.gail_suite.helpers import demonstrations

SMALL = TrainConfig(
    n_envs=4,
    threads=1,
    warm_up_rounds=1,
    total_env_steps=512,
    ppo=PPOConfig(n_steps=32, minibatch_size=64, hidden=(16, 16)),
    critic=CriticConfig(hidden=(16,), batch_size=32),
    cloning=BehaviouralCloningConfig(max_updates=200),
)


# -- the exact game: 3 states in a ring, 2 actions (stay, go), discount 0.9 --------------------------------------------

N_STATES, GAMMA = 3, 0.9
NEXT = np.array([[s, (s + 1) % N_STATES] for s in range(N_STATES)])


def occupancy(policy: np.ndarray) -> np.ndarray:
    """(S, A) discounted state-action distribution of policy (S, A), starting uniformly; exact."""
    move = np.zeros((N_STATES, N_STATES))
    for s in range(N_STATES):
        for a in range(2):
            move[s, NEXT[s, a]] += policy[s, a]
    start = np.full(N_STATES, 1 / N_STATES)
    states = (1 - GAMMA) * np.linalg.solve(np.eye(N_STATES) - GAMMA * move.T, start)
    return states[:, None] * policy


def sample(rho: np.ndarray, n: int) -> Transitions:
    """Pairs in the proportions of rho, as one-hot rows; without sampling noise."""
    counts = np.round(rho.flatten() * n).astype(int)
    index = np.repeat(np.arange(6), counts)
    s, a = np.divmod(index, 2)
    obs = np.eye(N_STATES)[s]
    return Transitions(obs, np.eye(2)[a], obs, np.zeros(len(s), bool))


def tabular_reward() -> AdversarialReward:
    torch.manual_seed(0)
    critic = MLPCritic((5,), hidden=(32,), normalise=False)
    step = CriticStep(critic, lr=5e-3, gradient_penalty=0.0, entropy_bonus=0.0)
    return AdversarialReward(step, VIEWS["state-action"], SHAPES["airl"], updates_per_round=100, batch_size=1024)


EVERY_PAIR = Transitions(
    np.eye(3)[np.repeat(np.arange(3), 2)],
    np.eye(2)[np.tile(np.arange(2), 3)],
    np.eye(3)[np.zeros(6, int)],
    np.zeros(6, bool),
)


def test_optimal_discriminator_is_the_ratio_of_occupancies():
    expert = occupancy(np.array([[0.2, 0.8], [0.7, 0.3], [0.5, 0.5]]))
    learner = occupancy(np.array([[0.6, 0.4], [0.3, 0.7], [0.4, 0.6]]))
    reward = tabular_reward()
    for _ in range(5):
        reward.update(sample(expert, 20_000), sample(learner, 20_000))
    d = 1 / (1 + np.exp(-reward.reward(EVERY_PAIR).reshape(3, 2).astype(np.float64)))
    np.testing.assert_allclose(d, expert / (expert + learner), atol=0.03)


@pytest.mark.slow
def test_learner_s_occupancy_meets_the_expert_s():
    """Mirror descent on the learned reward (an exact policy step): the game's fixed point is the expert's occupancy."""
    expert_policy = np.array([[0.2, 0.8], [0.7, 0.3], [0.5, 0.5]])
    expert = occupancy(expert_policy)
    policy, reward = np.full((3, 2), 0.5), tabular_reward()
    start = np.abs(occupancy(policy) - expert).sum() / 2
    for _ in range(25):
        reward.update(sample(expert, 20_000), sample(occupancy(policy), 20_000))
        r = reward.reward(EVERY_PAIR).reshape(3, 2).astype(np.float64)
        q = np.zeros((3, 2))
        for _ in range(200):
            q = r + GAMMA * (policy * q).sum(axis=1)[NEXT]
        policy = policy * np.exp(0.3 * (q - q.max(axis=1, keepdims=True)))
        policy /= policy.sum(axis=1, keepdims=True)
    distance = np.abs(occupancy(policy) - expert).sum() / 2
    assert start > 0.1
    assert distance < 0.04


# -- CartPole from about twenty pairs ----------------------------------------------------------------------------------


def scripted_controller(obs: np.ndarray) -> int:
    """Push towards where the pole falls: balances for the whole of 500 steps."""
    x, x_dot, angle, angle_dot = obs
    return int(angle + 0.3 * angle_dot + 0.02 * x + 0.08 * x_dot > 0)


def cartpole_demonstration(every: int) -> Demonstrations:
    """200 steps of the controller, thinned."""
    venv = make_venv("CartPole-v1", 1, seed=0)
    obs, rows, done = venv.reset(), [], False
    while not done and len(rows) < 200:
        action = scripted_controller(obs[0])
        rows.append((obs[0].copy(), np.eye(2)[action]))
        obs, _, dones, _ = venv.step(np.array([action]))
        done = bool(dones[0])
    assert not done, "the demonstrator must balance"
    seen, acts = (np.stack(part)[::every] for part in zip(*rows, strict=True))
    return demonstrations(seen, acts, env_id="CartPole-v1", one_hot=True)


CARTPOLE = TrainConfig(
    env="CartPole-v1",
    n_envs=8,
    threads=1,
    warm_start=False,
    warm_up_rounds=0,
    ppo=PPOConfig(
        n_steps=256,
        n_epochs=10,
        minibatch_size=256,
        hidden=(64, 64),
        gamma=0.98,
        target_kl=0.01,
        policy_lr=3e-4,
        max_policy_lr=1e-3,
    ),
    critic=CriticConfig(
        hidden=(64, 64), lr=3e-3, batch_size=64, updates_per_round=32, gradient_penalty=10.0, entropy_bonus=0.0
    ),
)


@pytest.mark.slow
def test_gail_balances_cartpole_from_twenty_pairs():
    """Balancing alone proves little here, since any reward >= 0 pays for it: the actions must be the demonstrator's."""
    demos, whole = cartpole_demonstration(every=10), cartpole_demonstration(every=1)
    assert len(demos) == 20
    gail = GAIL("CartPole-v1", demos, CARTPOLE).learn(60_000)
    chosen, _ = gail.policy.predict(whole.obs, deterministic=True)
    assert (chosen == whole.acts.argmax(axis=1)).mean() > 0.8
    assert evaluate_policy(gail.policy, "CartPole-v1", 10, threads=1).returns.mean() > 400


def test_cloning_twenty_pairs_of_cartpole_predicts_most_of_the_rest():
    demos, whole = cartpole_demonstration(every=10), cartpole_demonstration(every=1)
    gail = GAIL("CartPole-v1", demos, CARTPOLE)
    gail.warm_start()
    chosen, _ = gail.policy.predict(whole.obs, deterministic=True)
    assert (chosen == whole.acts.argmax(axis=1)).mean() > 0.8


def test_cloning_recovers_a_linear_demonstrator():
    rng = np.random.default_rng(0)
    obs = rng.normal(3.0, 2.0, (2000, 11))
    acts = np.clip(0.1 * (obs[:, :3] - 3.0), -1, 1)
    gail = GAIL("Hopper-v4", demonstrations(obs, acts, env_id="Hopper-v4"), SMALL)
    config = BehaviouralCloningConfig(max_updates=2000, input_noise=0.0)
    result = BehaviouralCloning(gail.learner.policy, gail.demonstrations, config, seed=0).fit()
    fresh = rng.normal(3.0, 2.0, (500, 11))
    error = gail.learner.policy.predict(fresh, deterministic=True)[0] - 0.1 * (fresh[:, :3] - 3.0)
    assert result.held_out_loss < 1e-3
    assert np.abs(error).mean() < 0.03
    assert gail.learner.policy.normaliser.mean.mean() == pytest.approx(3.0, abs=0.1)


def test_cloning_that_is_no_longer_finite_is_an_error():
    gail = GAIL("Hopper-v4", hopper_demonstrations(), SMALL)
    huge = demonstrations(np.zeros((50, 11)), np.full((50, 3), 1e30), env_id="Hopper-v4")  # its square is infinite
    with pytest.raises(FloatingPointError, match="the cloning loss is not finite"):
        BehaviouralCloning(gail.learner.policy, huge, SMALL.cloning, seed=0).fit()


def test_cloning_stops_early_on_noise():
    rng = np.random.default_rng(0)
    demos = demonstrations(rng.normal(size=(60, 11)), rng.uniform(-1, 1, (60, 3)), env_id="Hopper-v4")
    gail = GAIL("Hopper-v4", demos, SMALL)
    config = BehaviouralCloningConfig(max_updates=20_000, min_updates_per_check=20, patience=5)
    result = BehaviouralCloning(gail.learner.policy, demos, config, seed=0).fit()
    assert result.epochs < 500
    assert result.best_epoch < result.epochs


# -- the trainer -------------------------------------------------------------------------------------------------------


def hopper_demonstrations() -> Demonstrations:
    rng = np.random.default_rng(0)
    return demonstrations(rng.normal(size=(200, 11)), rng.uniform(-1, 1, (200, 3)), env_id="Hopper-v4")


def test_warm_start_happens_once_and_quietens_the_policy():
    frozen_statistics = replace(SMALL.ppo, update_normaliser=False)
    gail = GAIL("Hopper-v4", hopper_demonstrations(), replace(SMALL, warm_start_std=0.05, ppo=frozen_statistics))
    gail.learn(128)
    gail.learn(256)
    assert gail.policy.normaliser.count.item() == 200  # the demonstrations, once
    assert gail.env_steps == 256
    assert gail.policy.log_std.exp().mean().item() == pytest.approx(0.05, rel=0.2)


def test_policy_is_frozen_during_the_warm_up_and_moves_after_it():
    gail = GAIL("Hopper-v4", hopper_demonstrations(), replace(SMALL, warm_start=False, warm_up_rounds=2))
    weights = [p.detach().clone() for p in gail.policy.actor_parameters()]
    gail.learn(2 * 128)
    assert all(torch.equal(a, b) for a, b in zip(weights, gail.policy.actor_parameters(), strict=True))
    gail.learn(3 * 128)
    assert not all(torch.equal(a, b) for a, b in zip(weights, gail.policy.actor_parameters(), strict=True))


def test_what_comes_out_is_the_average_of_the_last_rounds(tmp_path):
    """theta_ema follows d theta_ema + (1 - d) theta, d = min(decay, (1 + k) / (10 + k)), once a live round."""
    config = replace(SMALL, warm_start=False, warm_up_rounds=1, ppo=replace(SMALL.ppo, averaging=0.15))
    gail = GAIL("Hopper-v4", hopper_demonstrations(), config)
    expected = gail.learner.policy.action_net.weight.detach().clone()
    for n_rounds, decay in ((1, 1.0), (2, 0.1), (3, 0.15)):
        gail.learn(n_rounds * 128)
        expected = torch.lerp(expected, gail.learner.policy.action_net.weight.detach(), 1 - decay)
        torch.testing.assert_close(gail.policy.action_net.weight, expected)
    obs = np.random.default_rng(0).normal(size=(5, 11))
    saved = gail.to_sb3().predict(obs, deterministic=True)[0]
    np.testing.assert_allclose(saved, gail.policy.predict(obs, deterministic=True)[0], rtol=1e-4, atol=1e-5)
    assert not np.allclose(saved, gail.learner.policy.predict(obs, deterministic=True)[0], rtol=1e-4, atol=1e-5)


def test_n_plus_m_steps_equal_a_resume(tmp_path):
    demos = hopper_demonstrations()
    unbroken = GAIL("Hopper-v4", demos, SMALL).learn(768)
    GAIL("Hopper-v4", demos, SMALL).learn(384).save(tmp_path / "gail.safetensors")
    torch.rand(7), np.random.rand(3)  # noqa: NPY002  # whatever happens in between must not matter
    resumed = GAIL.load(tmp_path / "gail.safetensors", demos)
    assert resumed.env_steps == 384
    resumed.learn(768)
    for (name, a), b in zip(unbroken.policy.state_dict().items(), resumed.policy.state_dict().values(), strict=True):
        assert torch.equal(a, b), name
    assert unbroken.metrics == resumed.metrics
    assert unbroken.learner.metrics == resumed.learner.metrics
    np.testing.assert_array_equal(unbroken.learner._last_obs, resumed.learner._last_obs)


def test_save_before_the_first_step_is_exact_too(tmp_path):
    demos = hopper_demonstrations()
    unbroken = GAIL("Hopper-v4", demos, SMALL)
    unbroken.warm_start()
    unbroken.save(tmp_path / "gail.safetensors")
    unbroken.learn(256)
    resumed = GAIL.load(tmp_path / "gail.safetensors", demos).learn(256)
    assert unbroken.metrics == resumed.metrics
    assert unbroken.learner.metrics == resumed.learner.metrics


def test_a_last_checkpoint_of_something_else_and_a_lost_best_one_are_refused(tmp_path):
    gail, run = GAIL("Hopper-v4", hopper_demonstrations(), SMALL), RunDirectory(tmp_path)
    sound = gail.state_dict()
    for odd in ({}, {"gail": {}}, {"gail": sound}, {"gail": sound | {"learner": {"policy": 3}}, "recorder": {}}):
        save_checkpoint(run.last, odd)
        with pytest.raises(InputError, match=r"is not a checkpoint of this run .*; start a new run"):
            restore(gail, run)
    save_checkpoint(run.last, {"gail": sound, "recorder": {"unlooked": None}})
    with pytest.raises(InputError, match=r"policy\.safetensors is missing; put it back"):
        restore(gail, run)
    save_checkpoint(run.best, {})
    assert restore(gail, run) == {"unlooked": None}


def test_demonstrations_of_another_task_are_refused_by_both_names():
    with pytest.raises(InputError, match=r"Walker2d-v4.*Hopper-v4"):
        GAIL("Hopper-v4", demonstrations(np.zeros((5, 11)), np.zeros((5, 3)), env_id="Walker2d-v4"), SMALL)


def test_vec_env_of_one_s_own_is_taken():
    venv = make_venv("Hopper-v4", 2, seed=0)
    gail = GAIL(venv, hopper_demonstrations(), SMALL).learn(64)
    assert gail.policy.predict(np.zeros((1, 11)))[0].shape == (1, 3)


def test_run_off_judges_candidates_afresh(tmp_path, monkeypatch):
    """The look that was lucky loses to the one that is good."""
    gail = GAIL("Hopper-v4", hopper_demonstrations(), SMALL)
    before = {name: value.clone() for name, value in gail.policy.state_dict().items()}
    run = RunDirectory(tmp_path)
    for env_steps, worth, lucky_score in ((0, 1.0, 99.0), (128, 3.0, 50.0), (256, 2.0, 98.0)):
        state = {name: torch.full_like(value, worth) for name, value in before.items()}
        kept = {"policy": state, "env_steps": env_steps, "score": lucky_score}
        save_checkpoint(run.candidates / f"{env_steps}.safetensors", kept)

    def play(policy, env_id, n_episodes, **kwargs):
        return Episodes(np.full(n_episodes, policy.log_std[0].item()), np.ones(n_episodes, int), None)

    monkeypatch.setattr("gail_suite.run_off.evaluate_policy", play)
    run_off(gail, run)
    best = load_checkpoint(run.best)
    assert best["env_steps"] == 128
    assert best["score"] == pytest.approx(3.0)
    assert all(torch.equal(before[name], value) for name, value in gail.policy.state_dict().items())


def test_the_first_and_the_latest_look_are_candidates_whatever_their_luck(tmp_path):
    run = RunDirectory(tmp_path)
    recorder = RunRecorder(
        GAIL("Hopper-v4", hopper_demonstrations(), SMALL), run, show=None, started_at=0.0, seconds_before=0.0
    )
    for env_steps, score in enumerate([1.0, 9.0, 8.0, 7.0, 6.0, 5.0, 2.0]):
        recorder._keep_candidate({"policy": {}, "env_steps": env_steps, "score": score})
    recorder.close()
    assert [int(path.stem) for path in sorted(run.candidates.iterdir())] == [0, 1, 2, 3, 4, 6]
    assert sorted(steps for _, steps in recorder.candidates) == [0, 1, 2, 3, 4, 6]
