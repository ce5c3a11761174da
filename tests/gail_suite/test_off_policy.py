"""SAC and TD3 as learners: cloned starts, frozen actors, rewards of today, exact resumes, plain SB3 copies."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import stable_baselines3 as sb3
import torch

from envs import make_venv
from gail_suite import GAIL, TrainConfig
from gail_suite.config import BehaviouralCloningConfig, CriticConfig, OffPolicyConfig
from gail_suite.errors import InputError
from gail_suite.policies import read_sb3_zip
from gail_suite.presets import preset
from gail_suite.replay import RelabellingReplayBuffer
from gail_suite.reward.adversarial import ConstantReward
from gail_suite.reward.shaping import SHAPES
from tests.gail_suite.helpers import demonstrations, transitions

SMALL = TrainConfig(
    env="Humanoid-v4",
    algo="sac",
    n_envs=4,
    threads=1,
    warm_up_rounds=2,
    total_env_steps=256,
    off_policy=OffPolicyConfig(
        n_steps=8, batch_size=16, hidden=(16, 16), learning_starts=32, buffer_size=400, update_ratio=0.2, actor_lr=1e-3
    ),
    critic=CriticConfig(hidden=(16,), batch_size=32, updates_per_round=2),
    cloning=BehaviouralCloningConfig(max_updates=300, lr=3e-3, input_noise=0.0),
)
BOTH = pytest.mark.parametrize("algo", ["sac", "td3"])


def humanoid_demonstrations(n: int = 200):
    """Humanoid's actions lie in +-0.4, and some of its observations are constant."""
    rng = np.random.default_rng(0)
    obs = rng.normal(size=(n, 376))
    obs[:, 100:140] = 3.0
    return demonstrations(obs, np.clip(0.2 * obs[:, :17], -0.4, 0.4), env_id="Humanoid-v4")


def gail(algo: str, **changes) -> GAIL:
    off_policy = replace(SMALL.off_policy, **changes.pop("off_policy", {}))
    return GAIL("Humanoid-v4", humanoid_demonstrations(), replace(SMALL, algo=algo, off_policy=off_policy, **changes))


def actor_weights(gail: GAIL) -> list[torch.Tensor]:
    return [p.detach().clone() for p in gail.learner.policy.actor_parameters()]


@BOTH
def test_the_clone_acts_as_demonstrated_and_its_noise_is_set(algo):
    trained = gail(algo, warm_start_std=0.05)
    trained.warm_start()
    policy, demos = trained.learner.policy, trained.demonstrations
    obs = demos.obs[:50]
    mean = policy.predict(obs, deterministic=True)[0]
    assert (
        np.corrcoef(mean.flatten(), demos.acts[:50].flatten())[0, 1] > 0.5
    )  # of noise, early stopping leaves that much
    assert np.abs(mean).max() <= 0.4
    noisy = np.stack([0.4 * policy.explore(obs) for _ in range(200)])
    np.testing.assert_allclose(noisy.mean(axis=0), mean, atol=0.02)
    inside = np.abs(mean) < 0.1  # where the tanh is straight
    np.testing.assert_allclose(noisy.std(axis=0)[inside], 0.05 * 0.4, rtol=0.4)
    if algo == "td3":
        for target, source in zip(policy.actor_target.parameters(), policy.actor.parameters(), strict=True):
            assert torch.equal(target, source)


@BOTH
def test_only_a_policy_that_was_not_cloned_begins_at_random(algo):
    for warm in (False, True):
        trained = gail(algo, warm_start=warm, warm_start_std=0.001).learn(32)  # all before learning starts
        buffer = trained.learner.replay_buffer
        assert buffer.size() == 8
        said = trained.learner.policy.predict(buffer.observations[:8].reshape(32, -1), deterministic=True)[0]
        gap = np.abs(0.4 * buffer.actions[:8].reshape(32, -1) - said).max()
        assert gap < 0.01 if warm else gap > 0.1


@BOTH
def test_the_actor_waits_for_the_action_values(algo):
    trained = gail(algo)
    trained.warm_start()
    before = actor_weights(trained)
    values = [p.detach().clone() for p in trained.learner.policy.critic.parameters()]
    trained.learn(64)  # two rounds of 32
    assert all(torch.equal(a, b) for a, b in zip(before, actor_weights(trained), strict=True))
    assert trained.learner._n_updates > 0
    assert any(not torch.equal(a, b) for a, b in zip(values, trained.learner.policy.critic.parameters(), strict=True))
    trained.learn(128)
    assert any(not torch.equal(a, b) for a, b in zip(before, actor_weights(trained), strict=True))


@BOTH
def test_the_warm_up_begins_when_there_is_something_to_learn_from(algo):
    trained = gail(algo, warm_up_rounds=2, off_policy={"learning_starts": 100})  # three rounds of 32 only collect
    trained.warm_start()
    before = actor_weights(trained)
    trained.learn(160)
    assert trained.learner._n_updates == 2 * 6
    assert all(torch.equal(a, b) for a, b in zip(before, actor_weights(trained), strict=True))
    trained.learn(192)
    assert any(not torch.equal(a, b) for a, b in zip(before, actor_weights(trained), strict=True))


@BOTH
def test_n_plus_m_steps_equal_a_resume(algo, tmp_path):
    wrapped = {"buffer_size": 80, "demo_share": 0.25, "recent": 70}
    unbroken = gail(algo, off_policy=wrapped).learn(256)
    assert unbroken.learner.replay_buffer.full
    gail(algo, off_policy=wrapped).learn(128).save(tmp_path / "gail.safetensors")
    torch.rand(7), np.random.rand(3)  # noqa: NPY002  # whatever happens in between must not matter
    resumed = GAIL.load(tmp_path / "gail.safetensors", humanoid_demonstrations())
    assert resumed.env_steps == 128
    resumed.learn(256)
    for (name, a), b in zip(unbroken.policy.state_dict().items(), resumed.policy.state_dict().values(), strict=True):
        assert torch.equal(a, b), name
    assert unbroken.metrics == resumed.metrics
    assert unbroken.learner.metrics == resumed.learner.metrics
    ours, theirs = unbroken.learner.replay_buffer.state_dict(), resumed.learner.replay_buffer.state_dict()
    for name, value in ours.items():
        np.testing.assert_array_equal(value, theirs[name])


@BOTH
def test_plain_sb3_loads_the_policy_without_this_package(algo, tmp_path):
    trained = gail(algo).learn(128)
    trained.to_sb3().save(tmp_path / "policy.zip")
    obs = np.random.default_rng(1).normal(size=(5, 376))
    obs[:, 100:140] = 3.1  # moved by a hair where the demonstrations are constant
    np.save(tmp_path / "obs.npy", obs)
    code = (
        "import sys\n"
        "for name in ('gail_suite', 'generative_core', 'envs', 'benchmarks'): sys.modules[name] = None\n"
        "import numpy as np, stable_baselines3 as sb3\n"
        f"model = sb3.{algo.upper()}.load('policy.zip', device='cpu')\n"
        "np.save('actions.npy', model.predict(np.load('obs.npy'), deterministic=True)[0])\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    expected = trained.policy.predict(obs, deterministic=True)[0]
    np.testing.assert_allclose(np.load(tmp_path / "actions.npy"), expected, atol=1e-5)
    env = make_venv("Humanoid-v4", 1, 0)
    read = read_sb3_zip(tmp_path / "policy.zip", env.observation_space, env.action_space)
    np.testing.assert_allclose(read.predict(obs, deterministic=True)[0], expected, atol=1e-5)


@BOTH
def test_the_copy_s_action_values_are_the_same_too(algo):
    trained = gail(algo).learn(128)
    rng = np.random.default_rng(1)
    obs = torch.from_numpy(rng.normal(size=(6, 376)))
    acts = torch.from_numpy(rng.uniform(-1, 1, (6, 17)).astype(np.float32))
    plain, ours = trained.to_sb3().policy, trained.policy
    for a, b in zip(plain.critic(obs, acts), ours.critic(obs, acts), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_training_can_go_on_in_plain_sb3(tmp_path):
    for temperature in (None, 0.03):
        trained = gail("sac", off_policy={"temperature": temperature}).learn(128)
        trained.to_sb3().save(tmp_path / "policy.zip")
        loaded = sb3.SAC.load(tmp_path / "policy.zip", env=make_venv("Humanoid-v4", 1, 0), device="cpu")
        assert loaded.replay_buffer.buffer_size == SMALL.off_policy.buffer_size
        now = loaded.ent_coef_tensor if temperature else loaded.log_ent_coef.exp()
        assert now.item() == pytest.approx(trained.learner.metrics["ent_coef"], rel=0.02)
        loaded.learn(8)


def test_the_temperature_is_fixed_or_learned():
    fixed = gail("sac", off_policy={"temperature": 0.03}).learn(128)
    assert fixed.learner.metrics["ent_coef"] == pytest.approx(0.03)
    learned = gail("sac").learn(128)
    assert learned.learner.target_entropy == -17
    assert learned.learner.metrics["ent_coef"] != pytest.approx(0.01)  # where it starts
    wanted = gail("sac", off_policy={"entropy_target": -2.5})
    assert wanted.learner.target_entropy == -2.5 * 17


@BOTH
def test_the_actor_s_step_size_follows_how_far_its_actions_move(algo):
    for start, rises in ((1e-7, True), (1e-3, False)):  # hardly anything, and much more than the target
        settings = {"actor_lr": start, "target_shift": 0.005, "learning_starts": 0, "update_ratio": 1.0}
        trained = gail(algo, warm_up_rounds=1, off_policy=settings)
        trained.learn(32)
        assert trained.learner.metrics["shift"] == 0  # frozen
        assert trained.learner.step_size == start
        trained.learn(64)
        assert trained.learner.step_size == pytest.approx(start * 1.5 if rises else start / 1.5)
        assert (trained.learner.metrics["shift"] < 0.0025) == rises


@BOTH
@pytest.mark.parametrize("n_updates", [1, 8])  # by the eighth the actor has followed
def test_weights_that_are_lost_in_a_burst_of_updates_are_an_error(algo, n_updates):
    """An infinite weight, as a gradient that explodes leaves it: SB3 goes on with it."""
    trained = gail(algo, off_policy={"learning_starts": 0}).learn(64)
    with torch.no_grad():
        next(trained.learner.critic.parameters()).fill_(torch.inf)
    with pytest.raises(FloatingPointError, match=r"the learner's .* is not finite"):
        trained.learner.train(n_updates, 16)


def test_gradient_steps_keep_the_update_ratio():
    trained = gail("td3", off_policy={"update_ratio": 0.5, "learning_starts": 0}).learn(128)
    assert trained.learner._n_updates == 64


class Watching(ConstantReward):
    """Remembers how often it was shown the policy, and the last transitions."""

    def __init__(self):
        super().__init__(SHAPES["gail"])
        self.shown = []

    def update(self, expert, policy):
        self.shown.append(policy)
        return {}


def test_the_reward_model_is_shown_recent_steps_once_a_round():
    config = replace(SMALL, off_policy=replace(SMALL.off_policy, recent=40))
    watching = Watching()
    trained = GAIL("Humanoid-v4", humanoid_demonstrations(), config, reward_model=watching).learn(128)
    assert [len(policy.obs) for policy in watching.shown] == [32, 40, 40, 40]
    assert np.abs(watching.shown[-1].acts).max() <= np.float32(0.4)
    newest = trained.learner.replay_buffer.observations[31]  # the last step of four environments
    np.testing.assert_array_equal(watching.shown[-1].obs[-4:], newest)
    assert len(trained.learner.rewards) == 32


@pytest.mark.parametrize(
    ("flags", "remedy"),
    [
        ({"gamma": 1.0}, "--off-policy.gamma"),
        ({"hidden": ()}, "--off-policy.hidden"),
        ({"update_ratio": float("inf")}, "finite"),
        ({"temperature": float("inf")}, "finite"),
        ({"entropy_target": float("-inf")}, "finite"),
        ({"tau": 0.0}, "--off-policy.tau"),
        ({"demo_share": 1.5}, "--off-policy.demo-share"),
        ({"buffer_size": 0}, "--off-policy.buffer-size"),
    ],
)
def test_numbers_that_cannot_work_are_refused_by_their_flag(flags, remedy):
    with pytest.raises(InputError, match=remedy):
        replace(SMALL, off_policy=replace(SMALL.off_policy, **flags)).check()


def test_a_share_of_demonstrations_without_actions_is_refused():
    demos = demonstrations(np.zeros((10, 376)), np.zeros((10, 0)), env_id="Humanoid-v4")
    config = replace(SMALL, warm_start=False, view="state", off_policy=replace(SMALL.off_policy, demo_share=0.5))
    with pytest.raises(InputError, match="demo-share"):
        GAIL("Humanoid-v4", demos, config)


def test_actions_that_are_choices_are_refused_with_the_remedy():
    demos = demonstrations(np.zeros((10, 4)), np.eye(2)[np.zeros(10, int)], env_id="CartPole-v1", one_hot=True)
    with pytest.raises(InputError, match="--algo ppo"):
        GAIL("CartPole-v1", demos, replace(SMALL, env="CartPole-v1"))


# -- demonstrations in the buffer --------------------------------------------------------------------------------------


class ActionSum:
    """Pays the sum of the action, times a factor that may change."""

    factor = 1.0

    def reward(self, batch):
        return (self.factor * batch.acts.sum(axis=1)).astype(np.float32)

    def after_end(self):
        return 0.0


def buffer_with(demo_share: float, model) -> RelabellingReplayBuffer:
    env = make_venv("Humanoid-v4", 2, 0)
    expert = transitions(50, n_obs=376, n_acts=17, shift=7.0)
    expert = expert._replace(acts=0.4 * expert.acts)
    buffer = RelabellingReplayBuffer(
        100,
        env.observation_space,
        env.action_space,
        device="cpu",
        n_envs=2,
        reward_model=model,
        demonstrations=expert,
        demo_share=demo_share,
    )
    for _ in range(10):
        zeros = np.zeros((2, 376))
        buffer.add(zeros, zeros, np.zeros((2, 17)), np.zeros(2), np.zeros(2), [{}, {}])
    return buffer


@pytest.mark.parametrize(("share", "n_demonstrated"), [(0.0, 0), (0.25, 10), (1.0, 40)])
def test_a_batch_holds_the_demonstrations_share_with_rewards_of_today(share, n_demonstrated):
    model = ActionSum()
    buffer = buffer_with(share, model)
    for factor in (1.0, -2.0):
        model.factor = factor
        batch = buffer.sample(40)
        demonstrated = batch.observations.mean(dim=1) > 3
        assert demonstrated.sum() == n_demonstrated
        assert batch.actions.abs().max() <= 1  # scaled, as SB3 keeps them
        expected = factor * 0.4 * batch.actions.sum(dim=1, keepdim=True)
        torch.testing.assert_close(batch.rewards, expected, rtol=1e-4, atol=1e-5)
        assert batch.observations.dtype == batch.rewards.dtype == torch.float32


def test_a_share_without_demonstrations_is_refused():
    env = make_venv("Hopper-v4", 1, 0)
    with pytest.raises(ValueError, match="demo_share"):
        RelabellingReplayBuffer(10, env.observation_space, env.action_space, reward_model=ActionSum(), demo_share=0.5)


def test_presets_know_the_algorithm():
    assert preset("Ant-v4", algo="sac").algo == "sac"
    assert preset("Ant-v4", algo="sac").warm_up_rounds > preset("Ant-v4").warm_up_rounds
    assert preset("Ant-v4", algo="td3", warm_start=False).warm_up_rounds == 0


@pytest.mark.slow
@BOTH
def test_a_constant_reward_teaches_cloned_hopper_nothing_wrong(algo):
    """The whole path through SB3 on another body: finite numbers, a policy in range, the average beside the latest."""
    demos = demonstrations(np.random.default_rng(0).normal(size=(100, 11)), np.zeros((100, 3)), env_id="Hopper-v4")
    config = replace(SMALL, env="Hopper-v4", algo=algo)
    control = GAIL("Hopper-v4", demos, config, reward_model=ConstantReward(SHAPES["gail"])).learn(512)
    assert np.isfinite(list(control.learner.metrics.values())).all()
    assert isinstance(control.to_sb3(), sb3.SAC if algo == "sac" else sb3.TD3)
    latest, average = control.learner.policy, control.policy
    assert any(not torch.equal(a, b) for a, b in zip(latest.parameters(), average.parameters(), strict=True))
