"""Ant-v4 and Ant-v5: a four-legged body that is paid for its speed along x.

Observation: 13 positions without x and y, 14 velocities; v5 adds 13 x 6 contact forces clipped to +-1.
Reward: v_x + 1 - 0.5 |a|^2, v5 minus 5e-4 |clipped contact forces|^2.  Ends when the torso leaves 0.2 <= z <= 1.0 m.
Source: gymnasium `ant_v4.py`, `ant_v5.py`; Schulman et al. 2016, https://arxiv.org/abs/1506.02438.
"""

import numpy as np
from numpy.typing import NDArray

from envs.tasks.base import AbstractTask, Array, Fields, control_cost

TORSO = 1  # body index of the torso


class Ant(AbstractTask):
    reads: tuple[str, ...] = ("xpos",)
    gaussian_velocity = True
    reset_noise = 0.1
    root_dims = 2

    def position(self, data: Fields) -> Array:
        # One substep older than qpos: gymnasium reads the torso's frame, which mj_step does not refresh at its end.
        return data.xpos[:, TORSO, 0].copy()

    def observation(self, data: Fields) -> Array:
        return np.concatenate((data.qpos[:, 2:], data.qvel), axis=1)

    def healthy(self, data: Fields) -> NDArray[np.bool_]:
        height = data.qpos[:, 2]
        finite = np.isfinite(data.qpos).all(axis=1) & np.isfinite(data.qvel).all(axis=1)
        return finite & (height >= 0.2) & (height <= 1.0)

    def reward(self, data: Fields, x_velocity: Array, actions: Array, healthy: NDArray[np.bool_]) -> Array:
        return x_velocity + self.alive_bonus(1.0, healthy) - control_cost(0.5, actions)


class AntV5(Ant):
    reads = ("xpos", "cfrc_ext")
    contact_forces = True

    def observation(self, data: Fields) -> Array:
        forces = np.clip(data.cfrc_ext[:, 1:], -1.0, 1.0).reshape(len(data.qpos), -1)  # (N, 13 bodies, 6) -> (N, 78)
        return np.concatenate((data.qpos[:, 2:], data.qvel, forces), axis=1)

    def reset_observation(self, data: Fields) -> Array:
        return np.concatenate((super().observation(data), np.zeros((len(data.qpos), 78))), axis=1)

    def reward(self, data: Fields, x_velocity: Array, actions: Array, healthy: NDArray[np.bool_]) -> Array:
        contact_cost = 5e-4 * np.sum(np.square(np.clip(data.cfrc_ext, -1.0, 1.0)), axis=(1, 2))
        costs = control_cost(0.5, actions) + contact_cost
        return x_velocity + self.alive_bonus(1.0, healthy) - costs
