"""Who is measured in `envs`: as many environments under the same random actions, made as people make them."""

import importlib.util
import multiprocessing
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecEnv

from benchmarks.provenance import usable_cores
from benchmarks.throughput.limit import Limit, steps_within
from envs import make_venv

LABELS = {
    "limit": "limit: mj_step, a process a core",
    "ours": "ours",
    "subproc": "SB3 SubprocVecEnv, a process an env",
    "dummy": "SB3 DummyVecEnv",
    "envpool": "EnvPool, a thread a core",
}
SEED = 0
N_ACTION_BATCHES = 64  # drawn before the clock starts, then used in turn


class Contender(Protocol):
    """Something that takes env steps; used until `close`."""

    def measure(self, seconds: float) -> float:
        """Env steps a second, over about this time."""
        ...

    def close(self) -> None: ...


class VecEnvSteps:
    """An SB3 vector env under random actions."""

    def __init__(self, venv: VecEnv, warm_up: int):
        self.venv = venv
        self._actions = random_actions(venv.action_space, venv.num_envs)
        self._n_calls = 0
        venv.reset()
        for _ in range(warm_up):
            self._step()

    def _step(self) -> None:
        self.venv.step(self._actions[self._n_calls % N_ACTION_BATCHES])
        self._n_calls += 1

    def measure(self, seconds: float) -> float:
        return steps_within(self._step, seconds) * self.venv.num_envs

    def close(self) -> None:
        self.venv.close()


class EnvPoolSteps:
    """EnvPool, whose resets take a step of their own, without physics: those are not counted."""

    def __init__(self, env: Any, n_envs: int, warm_up: int):
        self.env = env
        self._actions = random_actions(env.action_space, n_envs).astype(env.action_space.dtype)
        self._n_calls = self._n_resets = 0
        self._done = np.zeros(n_envs, dtype=bool)
        env.reset()
        for _ in range(warm_up):
            self._step()

    def _step(self) -> None:
        self._n_resets += int(self._done.sum())
        _, _, terminated, truncated, _ = self.env.step(self._actions[self._n_calls % N_ACTION_BATCHES])
        self._done = terminated | truncated
        self._n_calls += 1

    def measure(self, seconds: float) -> float:
        self._n_calls = self._n_resets = 0
        calls_per_s = steps_within(self._step, seconds)
        return calls_per_s * (len(self._done) - self._n_resets / self._n_calls)

    def close(self) -> None:
        del self.env  # its own close fails on gymnasium 0.29


def random_actions(space: Any, n_envs: int) -> np.ndarray:
    """(N_ACTION_BATCHES, n_envs, A) float32, uniform over the action range."""
    assert isinstance(space, spaces.Box)
    shape = (N_ACTION_BATCHES, n_envs, *space.shape)
    return np.random.default_rng(SEED).uniform(space.low, space.high, shape).astype(np.float32)


def contenders(env_id: str, n_envs: int, warm_up: int) -> dict[str, Callable[[], Contender]]:
    """How to make each of `LABELS`; EnvPool where it is installed and has the task."""
    makers: dict[str, Callable[[], Contender]] = {
        "limit": lambda: Limit(env_id),
        "ours": lambda: VecEnvSteps(make_venv(env_id, n_envs, SEED), warm_up),
        "subproc": lambda: VecEnvSteps(sb3_venv(env_id, n_envs, SubprocVecEnv), warm_up),
        "dummy": lambda: VecEnvSteps(sb3_venv(env_id, n_envs, DummyVecEnv), warm_up),
    }
    if importlib.util.find_spec("envpool") is not None:
        import envpool

        pool: dict[str, Any] = {"env_type": "gymnasium", "num_envs": n_envs, "num_threads": usable_cores()}
        if env_id in envpool.list_all_envs():
            makers["envpool"] = lambda: EnvPoolSteps(envpool.make(env_id, seed=SEED, **pool), n_envs, warm_up)
    return makers


def sb3_venv(env_id: str, n_envs: int, vec_env_class: type[DummyVecEnv] | type[SubprocVecEnv]) -> VecEnv:
    """As SB3's `make_vec_env` makes it, Monitor included."""
    # SubprocVecEnv forks its workers off a server process; with the libraries loaded there they start in no time
    multiprocessing.set_forkserver_preload(["benchmarks.throughput.cases"])
    return make_vec_env(env_id, n_envs, SEED, vec_env_cls=vec_env_class)
