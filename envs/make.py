"""One way to get a vector env: batched where we have the task, Stable-Baselines3's own elsewhere."""

import difflib
import importlib.util
from typing import Any

import gymnasium
import numpy as np
from gymnasium.error import Error as GymnasiumError
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

from envs.batched import BatchedMujocoVecEnv
from envs.tasks import TASKS


class UnknownEnvironmentError(ValueError):
    """An environment id that this installation cannot make; the message says why and what to do."""


def make_venv(
    env_id: str,
    n_envs: int = 1,
    seed: int | None = 0,
    env_kwargs: dict[str, Any] | None = None,
    n_threads: int = 0,
    *,
    max_episode_steps: int | None = None,
) -> VecEnv:
    """A seeded vector env of N copies of a task, whose episodes time out after `max_episode_steps` or as the task says.

    The tasks of `envs.tasks.TASKS` are stepped together (`BatchedMujocoVecEnv`); any other id, `module:Env-v0` too, and
    any non-default `env_kwargs`, go through SB3's `DummyVecEnv` with the same extra fields in `infos` (see there).

    Raises:
        UnknownEnvironmentError: the id is not registered, its module is not installed, or its arguments are refused.
    """
    if n_envs < 1:
        raise ValueError(f"n_envs must be at least 1, got {n_envs}")
    try:
        if env_id in TASKS and not env_kwargs:
            venv: VecEnv = BatchedMujocoVecEnv(env_id, n_envs, n_threads=n_threads, max_episode_steps=max_episode_steps)
        else:
            venv = DummyVecEnv([lambda: _single(env_id, env_kwargs or {}, max_episode_steps)] * n_envs)
    except (GymnasiumError, ImportError, TypeError) as error:
        raise UnknownEnvironmentError(_explain(env_id, error)) from error
    if seed is not None:
        venv.seed(seed)
    return venv


def _single(env_id: str, env_kwargs: dict[str, Any], max_episode_steps: int | None) -> gymnasium.Env:
    env = gymnasium.make(env_id, max_episode_steps=max_episode_steps, **env_kwargs)
    return Monitor(RootDisplacement(env), info_keywords=())


class RootDisplacement(gymnasium.Wrapper):
    """Adds `info["displacement"]` at an episode's end: net metres over the ground, None for a task without a root.

    A root is a free joint, or leading slide joints along x (and y), as MuJoCo models of walking bodies have it.
    """

    def __init__(self, env: gymnasium.Env):
        super().__init__(env)
        self._dims = _root_dims(getattr(env.unwrapped, "model", None))
        self._start = np.zeros(self._dims)

    def reset(self, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        result = self.env.reset(**kwargs)
        self._start = self._root()
        return result

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        obs, reward, terminated, truncated, info = self.env.step(action)
        if terminated or truncated:
            info["displacement"] = float(np.linalg.norm(self._root() - self._start)) if self._dims else None
        return obs, reward, terminated, truncated, info

    def _root(self) -> np.ndarray:
        if not self._dims:
            return np.zeros(0)
        return np.array(self.env.unwrapped.data.qpos[: self._dims])  # type: ignore[attr-defined]


def _root_dims(model: Any) -> int:
    joint_types = [int(kind) for kind in getattr(model, "jnt_type", [])]
    free, slide = 0, 2  # mjtJoint
    if joint_types[:1] == [free]:
        return 2
    names = [model.joint(i).name for i in range(min(2, len(joint_types)))]
    return 1 if joint_types[:1] == [slide] and names and names[0] in ("rootx", "root_x", "slider1") else 0


def _explain(env_id: str, error: Exception) -> str:
    if env_id.endswith("-v5") and gymnasium.__version__.startswith("0."):
        return (
            f"{env_id} needs gymnasium >= 1.0, and {gymnasium.__version__} is installed: "
            f"use {env_id[:-1]}4, or install a newer gymnasium"
        )
    module, _, name = env_id.rpartition(":")
    if module and importlib.util.find_spec(module.split(".")[0]) is None:
        return f"cannot import the module {module!r} of {env_id!r}: install it or check the spelling"
    close = difflib.get_close_matches(name, list(gymnasium.registry), n=3)
    hint = f"did you mean {' or '.join(close)}?" if close else "see gymnasium.pprint_registry() for the known ids"
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return f"cannot make the environment {env_id!r} ({reason.rstrip('.')}); {hint}"
