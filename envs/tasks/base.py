"""What a batched MuJoCo task is: observation, reward and health, written once for all simulations.

Arrays carry the simulations first: N simulations, nq positions, nv velocities, A actuators, O observations.
Every formula repeats gymnasium's own operation order, because `tests/envs/test_parity.py` holds it to the last bit.
"""

from abc import ABC, abstractmethod
from typing import Protocol

import mujoco
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]


class Fields(Protocol):
    """Live views of the simulations' `MjData` fields, each (N, ...): what a task may read."""

    qpos: Array  # (N, nq) m and rad
    qvel: Array  # (N, nv) m/s and rad/s
    ctrl: Array  # (N, A)

    def __getattr__(self, name: str) -> Array: ...


class AbstractTask(ABC):
    """A task of gymnasium's MuJoCo family, vectorised.

    Subclasses state what they read, where the velocity comes from, and the three formulas.
    """

    reads: tuple[str, ...] = ()
    """Derived `MjData` fields that the formulas read, beside the state."""
    contact_forces: bool = False
    """Whether `cfrc_ext` must be as `mj_rnePostConstraint` leaves it after the step."""
    gaussian_velocity: bool = False
    """Initial velocities are Gaussian (True) or uniform (False)."""
    reset_noise: float
    """Scale of the initial noise, in the units of qpos and qvel."""
    root_dims: int
    """How many leading entries of qpos are the position over the ground."""

    def __init__(self, model: mujoco.MjModel, dt: float, version: int):
        self.model = model
        self.dt = dt  # seconds between two actions
        self.version = version  # 4 or 5: gymnasium's revision of the task

    def initial_state(self, rng: np.random.Generator) -> tuple[Array, Array]:
        """Noise around the model's own pose, drawn in gymnasium's order: positions first."""
        low, high = -self.reset_noise, self.reset_noise
        qpos = self.model.qpos0 + rng.uniform(low=low, high=high, size=self.model.nq)
        if self.gaussian_velocity:
            return qpos, self.reset_noise * rng.standard_normal(self.model.nv)
        return qpos, rng.uniform(low=low, high=high, size=self.model.nv)

    def reset_observation(self, data: Fields) -> Array:
        """(N, O) after a reset and `mj_forward`, before any step."""
        return self.observation(data)

    def position(self, data: Fields) -> Array:
        """(N,) x in metres, whose change over a step is the rewarded velocity; copied, not a view."""
        return data.qpos[:, 0].copy()

    @abstractmethod
    def observation(self, data: Fields) -> Array:
        """(N, O) float64."""

    @abstractmethod
    def healthy(self, data: Fields) -> NDArray[np.bool_]:
        """(N,) False where the episode ends for good."""

    @abstractmethod
    def reward(self, data: Fields, x_velocity: Array, actions: Array, healthy: NDArray[np.bool_]) -> Array:
        """(N,) float64, from x velocity in m/s and the actions in the dtype they came in."""

    def alive_bonus(self, bonus: float, healthy: NDArray[np.bool_]) -> Array:
        """v4 pays the bonus on the fatal step too (`is_healthy or terminate_when_unhealthy`); v5 does not."""
        return bonus * healthy if self.version >= 5 else np.full(healthy.shape, bonus)


def within(values: Array, low: float, high: float) -> NDArray[np.bool_]:
    """Elementwise low < values < high."""
    return (low < values) & (values < high)


def control_cost(weight: float, actions: Array) -> Array:
    """weight * |a|^2, summed in the dtype of the actions as gymnasium does: (N, A) -> (N,)."""
    return weight * np.sum(np.square(actions), axis=1)
