"""The film's floor: wide enough for a body that runs, and nothing to the simulation."""

import gymnasium
import numpy as np
import pytest

from gail_suite.record import WIDER, widen_floor


def trajectory(env: gymnasium.Env, n: int = 60) -> np.ndarray:
    """Observations under the same actions."""
    env.reset(seed=0)
    rng = np.random.default_rng(0)
    assert isinstance(env.action_space, gymnasium.spaces.Box)
    low, high = env.action_space.low, env.action_space.high
    return np.stack([env.step(rng.uniform(low, high).astype(np.float32))[0] for _ in range(n)])


@pytest.mark.parametrize("env_id", ["Ant-v4", "HalfCheetah-v4"])
def test_a_wider_floor_has_tiles_as_large_and_the_same_physics(env_id):
    plain, wide = gymnasium.make(env_id), gymnasium.make(env_id)
    widen_floor(wide)
    before, after = plain.unwrapped.model, wide.unwrapped.model  # type: ignore[attr-defined]
    floor = np.flatnonzero(before.geom_type == 0)
    assert len(floor) == 1
    np.testing.assert_array_equal(after.geom_size[floor, :2], WIDER * before.geom_size[floor, :2])
    material = before.geom_matid[floor]
    tile = lambda model: model.geom_size[floor, :2] / model.mat_texrepeat[material]  # noqa: E731
    np.testing.assert_allclose(tile(after), tile(before))
    others = before.geom_type != 0
    np.testing.assert_array_equal(after.geom_size[others], before.geom_size[others])
    np.testing.assert_array_equal(trajectory(wide), trajectory(plain))


def test_a_task_without_mujoco_is_left_alone():
    env = gymnasium.make("CartPole-v1").unwrapped
    before = dict(vars(env))
    widen_floor(env)
    assert vars(env) == before
