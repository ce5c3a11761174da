"""SB3's semantics of a vector env, exact resume, and what happens when a simulation goes wrong."""

import gymnasium
import numpy as np
import pytest
from mujoco.batch import SimulationError
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv

from envs import UnknownEnvironmentError, make_venv


def actions(venv, rng):
    return rng.uniform(-1, 1, (venv.num_envs, *venv.action_space.shape)).astype(np.float32)


def test_same_seed_repeats_and_another_seed_differs():
    first, again, other = (make_venv("Hopper-v4", 2, seed=s).reset() for s in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert not np.array_equal(first[0], first[1])


def test_time_limit_is_a_truncation_and_its_observation_is_the_terminal_one():
    venv = make_venv("HalfCheetah-v4", 1, seed=0)
    venv.reset()
    for _ in range(999):
        _, _, dones, infos = venv.step(np.zeros((1, 6), np.float32))
        assert not dones[0]
        assert infos[0] == {"TimeLimit.truncated": False}
    obs, _, dones, infos = venv.step(np.zeros((1, 6), np.float32))
    assert dones[0]
    assert infos[0]["TimeLimit.truncated"] is True
    assert infos[0]["episode"]["l"] == 1000
    assert not np.array_equal(obs[0], infos[0]["terminal_observation"])


@pytest.mark.parametrize("env_kwargs", [None, {"reset_noise_scale": 0.05}], ids=["batched", "gymnasium"])
def test_a_shorter_limit_is_a_time_out_too(env_kwargs):
    venv = make_venv("HalfCheetah-v4", 2, seed=0, env_kwargs=env_kwargs, max_episode_steps=3)
    venv.reset()
    for _ in range(2):
        for step in range(3):
            _, _, dones, infos = venv.step(np.zeros((2, 6), np.float32))
            assert dones.tolist() == [step == 2] * 2
        assert all(info["TimeLimit.truncated"] and info["episode"]["l"] == 3 for info in infos)


def test_returned_arrays_belong_to_the_caller():
    venv = make_venv("Hopper-v4", 2, seed=0)
    obs = venv.reset()
    kept = obs.copy()
    venv.step(np.zeros((2, 3), np.float32))
    np.testing.assert_array_equal(obs, kept)


def test_displacement_is_the_net_distance_over_the_ground():
    venv = make_venv("Ant-v4", 1, seed=0)
    venv.reset()
    start = venv.env_method("state_vector")[0][:2]
    rng = np.random.default_rng(0)
    done = False
    while not done:
        before = venv.env_method("state_vector")[0][:2]
        _, _, dones, infos = venv.step(actions(venv, rng))
        done = dones[0]
    displacement = infos[0]["displacement"]
    assert displacement == pytest.approx(np.linalg.norm(before - start), abs=0.2)  # `before` is one step short
    assert displacement > 0.05


def test_episode_return_is_the_sum_of_rewards():
    venv = make_venv("Hopper-v4", 1, seed=0)
    venv.reset()
    rng, total, done = np.random.default_rng(0), 0.0, False
    while not done:
        _, rewards, dones, infos = venv.step(actions(venv, rng))
        total, done = total + float(rewards[0]), dones[0]
    assert infos[0]["episode"]["r"] == pytest.approx(total)


def test_get_attr_env_method_and_wrappers_answer_as_single_environments_do():
    ours = make_venv("Ant-v4", 3, seed=5)
    theirs = DummyVecEnv([lambda: gymnasium.make("Ant-v4")] * 3)
    theirs.seed(5)
    ours.reset(), theirs.reset()
    assert ours.get_attr("frame_skip") == [5, 5, 5]
    assert ours.get_attr("spec")[0].id == "Ant-v4"
    third = ours.env_method("state_vector", indices=2)[0]
    np.testing.assert_array_equal(third, theirs.envs[2].unwrapped.state_vector())
    assert ours.env_is_wrapped(Monitor) == [True] * 3
    assert ours.env_is_wrapped(gymnasium.wrappers.ClipAction) == [False] * 3
    with pytest.raises(AttributeError, match="env_kwargs"):
        ours.set_attr("frame_skip", 1)
    ours.close()


def test_env_method_that_moves_a_body_is_followed_by_the_simulation():
    ours = make_venv("Hopper-v4", 2, seed=0)
    theirs = DummyVecEnv([lambda: gymnasium.make("Hopper-v4")] * 2)
    theirs.seed(0)
    ours.reset(), theirs.reset()
    qpos, qvel = np.array([0.3, 1.3, 0.01, 0, 0, 0]), np.full(6, 0.1)
    ours.env_method("set_state", qpos, qvel, indices=1)
    theirs.envs[1].unwrapped.set_state(qpos, qvel)
    still = np.zeros((2, 3), np.float32)
    np.testing.assert_array_equal(ours.step(still)[0], theirs.step(still)[0])


@pytest.mark.parametrize("env_id", ["Ant-v4", "Humanoid-v4", "Walker2d-v4"])
def test_restored_simulation_goes_on_to_the_last_bit(env_id):
    rng = np.random.default_rng(1)
    venv = make_venv(env_id, 2, seed=0)
    venv.reset()
    for _ in range(40):
        venv.step(actions(venv, rng))
    state = venv.get_state()
    ahead = [actions(venv, rng) for _ in range(120)]
    expected = [venv.step(a) for a in ahead]
    other = make_venv(env_id, 2, seed=99)
    other.reset()
    other.set_state(state)
    for a, (obs, rewards, dones, infos) in zip(ahead, expected, strict=True):
        got = other.step(a)
        np.testing.assert_array_equal(got[0], obs)
        np.testing.assert_array_equal(got[1], rewards)
        np.testing.assert_array_equal(got[2], dones)
        assert [i.get("episode") for i in got[3]] == [i.get("episode") for i in infos]


def test_state_of_another_size_is_refused():
    with pytest.raises(ValueError, match="do not fit"):
        make_venv("Hopper-v4", 3).set_state(make_venv("Hopper-v4", 2).get_state())


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_non_finite_action_ends_its_own_episode_only(bad):
    venv, clean = make_venv("Ant-v4", 2, seed=0), make_venv("Ant-v4", 2, seed=0)
    before = venv.reset()
    clean.reset()
    broken = np.zeros((2, 8), np.float32)
    broken[0, 3] = bad
    obs, rewards, dones, infos = venv.step(broken)
    assert dones.tolist() == [True, False]
    assert infos[0]["diverged"]
    assert infos[0]["TimeLimit.truncated"]
    np.testing.assert_array_equal(infos[0]["terminal_observation"], before[0])
    assert np.isfinite(obs).all()
    assert np.isfinite(rewards).all()
    assert venv.n_diverged == 1
    np.testing.assert_array_equal(obs[1], clean.step(np.zeros((2, 8), np.float32))[0][1])
    clean.set_state(venv.get_state())
    assert clean.n_diverged == 1  # the count goes on with a resume


def test_diverged_simulation_ends_and_is_counted():
    venv = make_venv("HalfCheetah-v4", 2, seed=0)
    venv.reset()
    venv.env_method("set_state", np.zeros(9), np.full(9, 1e12), indices=0)
    obs, _, dones, infos = venv.step(np.zeros((2, 6), np.float32))
    assert dones.tolist() == [True, False]
    assert infos[0]["diverged"]
    assert venv.n_diverged == 1
    assert np.isfinite(obs).all()
    assert np.isfinite(infos[0]["terminal_observation"]).all()
    _, _, dones, _ = venv.step(np.zeros((2, 6), np.float32))
    assert not dones.any()  # the new episode knows nothing of it
    assert venv.n_diverged == 1


def test_a_simulation_that_mujoco_gives_up_on_ends_alone(monkeypatch):
    venv = make_venv("HalfCheetah-v4", 2, seed=0)
    venv.reset()
    step = venv.batch.step

    def gives_up(nstep):
        step(nstep=nstep)
        raise SimulationError(np.array([1]), "its memory is full")

    monkeypatch.setattr(venv.batch, "step", gives_up)
    _, _, dones, infos = venv.step(np.zeros((2, 6), np.float32))
    assert dones.tolist() == [False, True]
    assert infos[1]["diverged"]
    assert venv.n_diverged == 1


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_an_observation_that_is_not_finite_is_a_divergence_and_no_end_of_the_task(monkeypatch, bad):
    venv = make_venv("Hopper-v4", 2, seed=0)
    before = venv.reset()
    sound = venv.task.observation

    def broken(data):
        obs = sound(data).copy()
        obs[0, 2] = bad
        return obs

    monkeypatch.setattr(venv.task, "reset_observation", sound)
    monkeypatch.setattr(venv.task, "observation", broken)
    monkeypatch.setattr(venv.task, "healthy", lambda data: np.array([False, True]))
    obs, rewards, dones, infos = venv.step(np.zeros((2, 3), np.float32))
    assert dones.tolist() == [True, False]
    assert infos[0]["diverged"]
    assert infos[0]["TimeLimit.truncated"]  # it was not the task that ended
    np.testing.assert_array_equal(infos[0]["terminal_observation"], before[0])
    assert np.isfinite(obs).all()
    assert np.isfinite(rewards).all()


def test_wrong_action_shape_is_named():
    venv = make_venv("Ant-v4", 2)
    venv.reset()
    with pytest.raises(ValueError, match=r"\(2, 8\)"):
        venv.step(np.zeros((2, 7), np.float32))


def test_other_ids_get_displacement_and_episode_statistics():
    venv = make_venv("CartPole-v1", 2, seed=0)
    venv.reset()
    done = False
    while not done:
        _, _, dones, infos = venv.step(np.zeros(2, dtype=np.int64))
        done = dones.any()
    info = infos[int(np.argmax(dones))]
    assert info["displacement"] is None
    assert info["episode"]["l"] > 1


def test_non_default_arguments_leave_the_batched_path_and_still_measure_displacement():
    venv = make_venv("Ant-v4", 1, seed=0, env_kwargs={"healthy_z_range": (0.6, 1.0)})
    assert isinstance(venv, DummyVecEnv)
    venv.reset()
    rng, done = np.random.default_rng(0), False
    while not done:
        _, _, dones, infos = venv.step(actions(venv, rng))
        done = dones[0]
    assert infos[0]["displacement"] > 0


@pytest.mark.parametrize(
    ("env_id", "kwargs", "says"),
    [
        ("Antt-v4", None, "Ant-v4"),
        ("no_such_module_xyz:Foo-v0", None, "no_such_module_xyz"),
        ("Ant-v4", {"no_such_argument": 1}, "no_such_argument"),
    ],
)
def test_unknown_environment_says_what_to_do(env_id, kwargs, says):
    with pytest.raises(UnknownEnvironmentError, match=says) as caught:
        make_venv(env_id, 1, env_kwargs=kwargs)
    assert "\n" not in str(caught.value)
