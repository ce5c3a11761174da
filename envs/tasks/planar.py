"""Hopper, Walker2d and HalfCheetah, v4 and v5: bodies in the x-z plane, paid for the speed of their root.

Observation: positions without x, then velocities (Hopper and Walker2d clip them to +-10).
Reward: v_x + alive bonus - w |a|^2.
Source: gymnasium `hopper_v4.py`, `walker2d_v4.py`, `half_cheetah_v4.py` and their v5.
"""

import numpy as np
from numpy.typing import NDArray

from envs.tasks.base import AbstractTask, Array, Fields, control_cost, within


class _Legged(AbstractTask):
    """What Hopper and Walker2d share: clipped velocities, an alive bonus of 1, a light control cost."""

    reset_noise = 5e-3
    root_dims = 1

    def observation(self, data: Fields) -> Array:
        return np.concatenate((data.qpos[:, 1:], np.clip(data.qvel, -10, 10)), axis=1)

    def reward(self, data: Fields, x_velocity: Array, actions: Array, healthy: NDArray[np.bool_]) -> Array:
        return x_velocity + self.alive_bonus(1.0, healthy) - control_cost(1e-3, actions)


class Hopper(_Legged):
    """One leg.  Ends outside z > 0.7 m, |angle| < 0.2 rad, or when any other coordinate leaves +-100."""

    def healthy(self, data: Fields) -> NDArray[np.bool_]:
        state = np.concatenate((data.qpos[:, 2:], data.qvel), axis=1)
        upright = (data.qpos[:, 1] > 0.7) & np.isfinite(data.qpos[:, 1]) & within(data.qpos[:, 2], -0.2, 0.2)
        return within(state, -100.0, 100.0).all(axis=1) & upright


class Walker2d(_Legged):
    """Two legs.  Ends outside 0.8 < z < 2 m or |angle| < 1 rad."""

    def healthy(self, data: Fields) -> NDArray[np.bool_]:
        return within(data.qpos[:, 1], 0.8, 2.0) & within(data.qpos[:, 2], -1.0, 1.0)


class HalfCheetah(AbstractTask):
    """Never ends before the time limit, and has no alive bonus."""

    gaussian_velocity = True
    reset_noise = 0.1
    root_dims = 1

    def observation(self, data: Fields) -> Array:
        return np.concatenate((data.qpos[:, 1:], data.qvel), axis=1)

    def healthy(self, data: Fields) -> NDArray[np.bool_]:
        return np.ones(len(data.qpos), dtype=bool)

    def reward(self, data: Fields, x_velocity: Array, actions: Array, healthy: NDArray[np.bool_]) -> Array:
        return x_velocity - control_cost(0.1, actions)
