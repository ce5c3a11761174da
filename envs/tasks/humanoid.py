"""Humanoid-v4 and Humanoid-v5: a biped that is paid for the speed of its centre of mass along x.

Observation (v4: 376 numbers): 22 positions without x and y, 23 velocities, then for every body its inertia about the
centre of mass (10) and its spatial velocity (6), 23 actuator forces, and per body the contact force (6).  v5 leaves out
the world body and the six free-joint entries, which are always zero (348 numbers).
Reward: 1.25 v_x + 5 - 0.1 |ctrl|^2, v5 minus min(5e-7 |contact forces|^2, 10).  Ends outside 1 < z < 2 m.
Source: gymnasium `humanoid_v4.py`, `humanoid_v5.py`; Tassa et al. 2012.
"""

import numpy as np
from numpy.typing import NDArray

from envs.tasks.base import AbstractTask, Array, Fields, control_cost, within


class Humanoid(AbstractTask):
    reads = ("xipos", "cinert", "cvel", "qfrc_actuator", "cfrc_ext")
    contact_forces = True
    reset_noise = 1e-2
    root_dims = 2

    def position(self, data: Fields) -> Array:
        mass = self.model.body_mass
        return np.sum(mass[:, None] * data.xipos, axis=1)[:, 0] / np.sum(mass)

    def observation(self, data: Fields) -> Array:
        return self._blocks(data, data.cfrc_ext)

    def reset_observation(self, data: Fields) -> Array:
        # gymnasium computes contact forces in its step only: a fresh episode shows zeros.
        return self._blocks(data, np.zeros_like(data.cfrc_ext))

    def _blocks(self, data: Fields, contact: Array) -> Array:
        first_body, first_joint = (1, 6) if self.version >= 5 else (0, 0)
        n = len(data.qpos)
        return np.concatenate(
            (
                data.qpos[:, 2:],
                data.qvel,
                data.cinert[:, first_body:].reshape(n, -1),
                data.cvel[:, first_body:].reshape(n, -1),
                data.qfrc_actuator[:, first_joint:],
                contact[:, first_body:].reshape(n, -1),
            ),
            axis=1,
        )

    def healthy(self, data: Fields) -> NDArray[np.bool_]:
        return within(data.qpos[:, 2], 1.0, 2.0)

    def reward(self, data: Fields, x_velocity: Array, actions: Array, healthy: NDArray[np.bool_]) -> Array:
        rewards = 1.25 * x_velocity + self.alive_bonus(5.0, healthy)
        costs = control_cost(0.1, data.ctrl)
        if self.version >= 5:
            costs = costs + np.minimum(5e-7 * np.sum(np.square(data.cfrc_ext), axis=(1, 2)), 10.0)
        return rewards - costs
