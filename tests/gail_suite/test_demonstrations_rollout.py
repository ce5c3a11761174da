"""Rolling out: true successors, no bias to short episodes, the same again from the same seed."""

import gymnasium
import numpy as np
import pytest
import torch
from torch import nn

import envs
from gail_suite.demonstrations.rollout import MAX_SLOTS, collect
from gail_suite.errors import InputError
from gail_suite.policies import plain_policy
from tests.gail_suite import toy_envs


class Constant:
    """A policy that always sends the same action."""

    def __init__(self, action):
        self.action = action

    def predict(self, observation, *, deterministic=False):
        return np.array([self.action] * len(observation)), None


IDLE = Constant([0.5])


def test_successors_are_true_at_the_end_of_an_episode_too():
    demos = collect(IDLE, "Counting-v0", 40, seed=0)
    np.testing.assert_array_equal(demos.next_obs[:, 0], demos.obs[:, 0] + 1)
    np.testing.assert_array_equal(demos.next_obs[:, 1], demos.obs[:, 1])  # of the same episode
    last = np.append(np.diff(demos.episode) > 0, True)
    np.testing.assert_array_equal(demos.terminated, last)
    np.testing.assert_array_equal(demos.next_obs[last, 0], demos.provenance.lengths)
    t = np.array(demos.provenance.lengths)
    np.testing.assert_array_equal(demos.provenance.returns, t * (t + 1) / 2)


def test_a_time_out_is_no_termination():
    demos = collect(IDLE, "Endless-v0", 3, seed=0)
    assert demos.provenance.lengths == (toy_envs.LIMIT,) * 3
    assert all(demos.provenance.complete)
    assert not demos.terminated.any()
    assert demos.next_obs[-1, 0] == toy_envs.LIMIT


def test_the_episodes_kept_are_the_first_ones_of_each_simulation():
    n = 3 * MAX_SLOTS + 5
    kept = collect(IDLE, "Counting-v0", n, seed=7).provenance.lengths
    expected = []
    for slot in range(MAX_SLOTS):
        env = gymnasium.make("Counting-v0")
        for k in range(4 if slot < 5 else 3):
            obs, _ = env.reset(seed=7 + slot if k == 0 else None)
            expected.append(int(obs[1]))
    assert kept == tuple(expected)
    share_long = np.mean(np.array(kept) == toy_envs.LONG)
    assert 0.3 < share_long < 0.7  # taking whichever ends first would leave under 0.1


def test_the_same_seed_gives_the_same_arrays_and_leaves_the_generator_alone():
    venv = envs.make_venv("Pendulum-v1", 1, None)
    policy = plain_policy(venv.observation_space, venv.action_space, hidden=[4], activation=nn.Tanh)
    torch.manual_seed(11)
    before = torch.get_rng_state()
    one = collect(policy, "Pendulum-v1", 2, seed=5)
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(3)
    assert collect(policy, "Pendulum-v1", 2, seed=5).checksum == one.checksum
    assert collect(policy, "Pendulum-v1", 2, seed=6).checksum != one.checksum
    quiet = collect(policy, "Pendulum-v1", 2, seed=5, deterministic=True)
    np.testing.assert_array_equal(quiet.obs[quiet.episode == 0][0], one.obs[0])
    np.testing.assert_allclose(quiet.acts, policy.predict(quiet.obs, deterministic=True)[0], rtol=1e-4, atol=1e-6)


def test_discrete_actions_are_stored_one_hot():
    demos = collect(Constant(2), "CountingChoice-v0", 2, seed=0)
    assert demos.provenance.one_hot_actions
    np.testing.assert_array_equal(demos.acts, np.tile([0, 0, 1], (len(demos), 1)))
    demos.validate(envs.make_venv("CountingChoice-v0", 1, 0))


def test_the_record_says_where_they_come_from():
    demos = collect(IDLE, "Counting-v0", 2, seed=4, env_kwargs={"n_choices": 0})
    p = demos.provenance
    assert (p.env_id, p.seed, p.env_kwargs) == ("Counting-v0", 4, {"n_choices": 0})
    assert set(p.versions) == {"gymnasium", "mujoco", "numpy"}
    for name in ("obs", "next_obs", "acts", "rewards"):
        assert demos.arrays()[name].dtype == np.float32


@pytest.mark.parametrize("kind", ["image", "dict", "multi"])
def test_tasks_that_are_not_flat_are_refused_by_name(kind):
    with pytest.raises(InputError, match=f"needs Box .* Odd-{kind}-v0 has"):
        collect(IDLE, f"Odd-{kind}-v0", 1, seed=0)


def test_no_episodes_are_refused():
    with pytest.raises(InputError, match="ask for 1 or more"):
        collect(IDLE, "Counting-v0", 0, seed=0)
