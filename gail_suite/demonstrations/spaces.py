"""Which tasks demonstrations can be made for: one dimension of numbers in, Box or Discrete actions out."""

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from gail_suite.errors import InputError


def check_spaces(observation_space: spaces.Space, action_space: spaces.Space, name: str) -> tuple[int, int]:
    """Sizes (O, A) of the flat arrays of task `name`; Discrete(n) actions count n, as one-hot rows."""
    obs, act = observation_space, action_space
    if not isinstance(obs, spaces.Box) or len(obs.shape) != 1:
        raise InputError(f"needs Box observations of one dimension; {name} has {describe(obs)} observations")
    if isinstance(act, spaces.Discrete):
        if act.start != 0:
            raise InputError(f"needs Discrete actions that count from 0; {name} starts at {act.start}")
        return obs.shape[0], int(act.n)
    if not isinstance(act, spaces.Box) or len(act.shape) != 1:
        raise InputError(f"needs Box actions of one dimension or Discrete actions; {name} has {describe(act)} actions")
    if not act.is_bounded():
        raise InputError(f"needs Box actions with finite bounds; those of {name} have none")
    return obs.shape[0], act.shape[0]


def describe(space: spaces.Space) -> str:
    """`Discrete(2)`, `Box(27,) float64`, `Box(96, 96, 3) uint8`: short, without the bounds."""
    if isinstance(space, spaces.Box):
        return f"Box{space.shape} {space.dtype}"
    return type(space).__name__ if isinstance(space, spaces.Dict | spaces.Tuple) else str(space)


def encode_actions(actions: NDArray, action_space: spaces.Space) -> NDArray[np.float32]:
    """Actions as sent to `env.step` (B, A) or (B,) -> rows of float32 (B, A); Discrete ones become one-hot."""
    if isinstance(action_space, spaces.Discrete):
        rows = np.zeros((len(actions), int(action_space.n)), np.float32)
        rows[np.arange(len(actions)), np.asarray(actions, np.int64) - int(action_space.start)] = 1.0
        return rows
    return np.asarray(actions, np.float32).reshape(len(actions), -1)


def max_steps(env_id: str | None) -> int | None:
    """The time limit of a task, where gymnasium knows it: an episode of that length ended by time-out."""
    spec = gymnasium.registry.get(env_id.rpartition(":")[2]) if env_id else None
    return spec.max_episode_steps if spec is not None else None
