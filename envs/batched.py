"""Many MuJoCo simulations stepped together in one process, with the semantics of Stable-Baselines3's vector envs.

gymnasium steps one environment at a time and pays the interpreter for each; here `mujoco.batch.Batch` advances all N
simulations on a thread pool and one numpy call computes all N observations, rewards and ends.  Same seeds and same
actions give `gymnasium.make`'s numbers to the last bit.
"""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gymnasium
import mujoco
import numpy as np
from gymnasium.utils import seeding
from gymnasium.wrappers import TimeLimit
from mujoco.batch import Batch, SimulationError
from numpy.typing import NDArray
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import VecEnv

from envs.tasks import TASKS

STATE = mujoco.mjtState.mjSTATE_INTEGRATION
NO_STAGE = int(mujoco.mjtStage.mjSTAGE_NONE)


class BatchedMujocoVecEnv(VecEnv):
    """N simulations of one gymnasium MuJoCo task as an SB3 `VecEnv`.

    Observations are (N, O) float64, rewards (N,) float32, dones (N,) bool, as SB3's own vector envs carry them.  A
    finished episode resets at once: `infos[i]["terminal_observation"]` holds its last observation,
    `infos[i]["TimeLimit.truncated"]` tells a time-out from an end, `infos[i]["episode"]` has return `r` and length `l`,
    and `infos[i]["displacement"]` the net distance over the ground from the reset, in metres.

    A non-finite action or a simulation that MuJoCo reports as diverged ends its episode as a truncation, with
    `infos[i]["diverged"]` set and the last sound observation as the terminal one; `n_diverged` counts them.

    Args:
        env_id: a key of `envs.tasks.TASKS`.
        n_envs: number of simulations N.
        n_threads: threads that step them; 0 is one a core.
        max_episode_steps: steps after which an episode is cut short by a time-out; None is the task's own.
    """

    def __init__(self, env_id: str, n_envs: int, *, n_threads: int = 0, max_episode_steps: int | None = None):
        with _quiet_loading():
            self.template = gymnasium.make(env_id)
        single: Any = self.template.unwrapped
        self.frame_skip: int = single.frame_skip
        spec = self.template.spec
        assert spec is not None
        assert spec.max_episode_steps is not None  # every task of TASKS has a time limit
        self.max_episode_steps = spec.max_episode_steps if max_episode_steps is None else max_episode_steps
        task_class = TASKS[env_id]
        version = int(env_id.rpartition("-v")[2])
        # mj_step does not compute cfrc_ext; gymnasium calls mj_rnePostConstraint after it.  The batch cannot, and a
        # sensor that makes mj_step do so would see the first of RK4's four passes, not the last: so where a task reads
        # contact forces, each finished MjData is copied out for that call, about a tenth of Humanoid's step.
        self._copies_contacts = task_class.contact_forces
        model = single.model
        self.batch = Batch(model, n_envs, n_threads, persistent=self._copies_contacts)
        self._default_state = self.batch.state[0].copy()
        self.task = task_class(model, single.dt, version)
        self._data = _Fields(self.batch, task_class.reads, model)
        self._scratch = mujoco.MjData(model) if self._copies_contacts else None
        self._rngs = [seeding.np_random(None)[0] for _ in range(n_envs)]
        self._position: NDArray[np.floating] = np.zeros(n_envs)
        self._start = np.zeros((n_envs, task_class.root_dims))
        self._elapsed = np.zeros(n_envs, dtype=np.int64)
        self._returns = np.zeros(n_envs)
        self._actions: NDArray[np.floating] = np.zeros((n_envs, model.nu), dtype=np.float32)
        obs_shape = self.template.observation_space.shape
        assert obs_shape is not None  # a Box has one
        self._obs: NDArray[np.floating] = np.zeros((n_envs, *obs_shape))
        self.n_diverged = 0
        super().__init__(n_envs, self.template.observation_space, self.template.action_space)

    # -- stepping ------------------------------------------------------------------------------------------------------

    def reset(self) -> NDArray[np.floating]:
        for i, seed in enumerate(self._seeds):
            if seed is not None:
                self._rngs[i] = seeding.np_random(seed)[0]
        self._reset_seeds()
        self._reset_options()
        self._reset_simulations(np.arange(self.num_envs))
        return self._obs.copy()

    def step_async(self, actions: NDArray[np.floating]) -> None:
        self._actions = np.asarray(actions)

    def step_wait(self) -> tuple[NDArray[np.floating], NDArray[np.floating], NDArray[np.bool_], list[dict[str, Any]]]:
        data, actions = self._data, self._actions
        if actions.shape != data.ctrl.shape:
            raise ValueError(f"expected actions of shape {data.ctrl.shape}, got {actions.shape}")
        diverged = ~np.isfinite(actions).all(axis=1)
        data.ctrl[:] = np.where(diverged[:, None], 0.0, actions) if diverged.any() else actions
        self._simulate(diverged)

        position = self.task.position(data)
        healthy = self.task.healthy(data)
        obs = self.task.observation(data)
        x_velocity = (position - self._position) / self.task.dt
        rewards = self.task.reward(data, x_velocity, actions, healthy)
        self._position = position
        self._elapsed += 1

        diverged |= ~np.isfinite(obs).all(axis=1)
        if diverged.any():
            self.n_diverged += int(diverged.sum())
            obs[diverged] = self._obs[diverged]
            rewards = np.where(diverged, 0.0, rewards)
        terminated = ~healthy & ~diverged
        truncated = diverged | (self._elapsed >= self.max_episode_steps)
        rewards = rewards.astype(np.float32)
        self._returns += rewards
        dones = terminated | truncated
        infos: list[dict[str, Any]] = [{"TimeLimit.truncated": False} for _ in range(self.num_envs)]
        self._obs = obs
        if dones.any():
            finished = np.flatnonzero(dones)
            for i in finished:
                infos[i] = {
                    "TimeLimit.truncated": bool(truncated[i] and not terminated[i]),
                    "terminal_observation": obs[i].copy(),
                    "episode": {"r": float(self._returns[i]), "l": int(self._elapsed[i]), "t": 0.0},
                    "displacement": float(np.linalg.norm(self._root()[i] - self._start[i])),
                    "diverged": bool(diverged[i]),
                }
            self._reset_simulations(finished)
        return self._obs.copy(), rewards, dones, infos

    def _simulate(self, diverged: NDArray[np.bool_]) -> None:
        """One action's worth of physics; marks the simulations that MuJoCo gave up on."""
        try:
            self.batch.step(nstep=self.frame_skip)
        except SimulationError as error:
            diverged[error.ids] = True
        diverged |= self.batch.warning[:, BAD_STATE, 1].any(axis=1)  # counters, of set_state's mj_forward too
        self.batch.warning[:] = 0
        if self._scratch is not None:
            for i in range(self.num_envs):
                self.batch.get_data(i, self._scratch)
                mujoco.mj_rnePostConstraint(self.batch.model, self._scratch)
                self._data.cfrc_ext[i] = self._scratch.cfrc_ext

    def _reset_simulations(self, ids: NDArray[np.integer]) -> None:
        if self.batch.persistent:
            self.batch.reset(ids, stage=NO_STAGE)
        else:  # a simulation is its state: the rest is computed from that, and a reset's second call to the pool saved
            self.batch.state[ids] = self._default_state
        for i in ids:
            self._data.qpos[i], self._data.qvel[i] = self.task.initial_state(self._rngs[i])
        self.batch.forward(ids)
        self._position[ids] = self.task.position(self._data)[ids]
        self._start[ids] = self._root()[ids]
        self._obs[ids] = self.task.reset_observation(self._data)[ids]
        self._elapsed[ids] = 0
        self._returns[ids] = 0.0

    def _root(self) -> NDArray[np.float64]:
        """(N, 1 or 2) position over the ground, metres."""
        return self._data.qpos[:, : self.task.root_dims].copy()

    # -- exact resume --------------------------------------------------------------------------------------------------

    def get_state(self) -> dict[str, Any]:
        """Everything that the next steps depend on: the simulators, the random states, what was read before a step."""
        return {
            "simulators": self.batch.state.copy(),
            "rng": [rng.bit_generator.state for rng in self._rngs],
            "position": self._position.copy(),
            "start": self._start.copy(),
            "elapsed": self._elapsed.copy(),
            "returns": self._returns.copy(),
            "obs": self._obs.copy(),
            "n_diverged": self.n_diverged,
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on exactly where `get_state` was called; raises ValueError when the shapes are not of this env."""
        if state["simulators"].shape != self.batch.state.shape:
            raise ValueError(f"saved simulators {state['simulators'].shape} do not fit {self.batch.state.shape}")
        self.batch.state[:] = state["simulators"]
        for rng, saved in zip(self._rngs, state["rng"], strict=True):
            rng.bit_generator.state = saved
        self._position = state["position"].copy()
        self._start = state["start"].copy()
        self._elapsed = state["elapsed"].copy()
        self._returns = state["returns"].copy()
        self._obs = state["obs"].copy()
        self.n_diverged = state["n_diverged"]

    # -- the rest of SB3's interface -----------------------------------------------------------------------------------

    def close(self) -> None:
        self.template.close()

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        if attr_name == "np_random":
            return [self._rngs[i] for i in self._get_indices(indices)]
        values = []
        for i in self._get_indices(indices) if hasattr(self, "num_envs") else [0]:
            with self._as_single(i, write_back=False) as env:
                values.append(copy.copy(_lookup(env, attr_name)))
        return values

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        raise AttributeError(
            f"{attr_name!r} cannot be set on one of several simulations that share a model; "
            "pass env_kwargs to envs.make_venv instead, which steps gymnasium environments one by one"
        )

    def env_method(self, method_name: str, *method_args: Any, indices: Any = None, **method_kwargs: Any) -> list[Any]:
        results = []
        for i in self._get_indices(indices):
            with self._as_single(i, write_back=True) as env:
                results.append(_lookup(env, method_name)(*method_args, **method_kwargs))
        return results

    def env_is_wrapped(self, wrapper_class: type[gymnasium.Wrapper], indices: Any = None) -> list[bool]:
        # Episode statistics and the time limit are built in.
        return [wrapper_class in (Monitor, TimeLimit) for _ in self._get_indices(indices)]

    @contextmanager
    def _as_single(self, i: int, write_back: bool) -> Iterator[gymnasium.Env]:
        """gymnasium's own environment in the state of simulation i, for whatever it alone can answer."""
        if not hasattr(self, "batch") or not hasattr(self, "num_envs"):
            yield self.template
            return
        single: Any = self.template.unwrapped
        mujoco.mj_setState(single.model, single.data, self.batch.state[i], STATE)
        mujoco.mj_forward(single.model, single.data)
        single._np_random = self._rngs[i]
        yield self.template
        if write_back:
            state = np.empty(self.batch.nstate)
            mujoco.mj_getState(single.model, single.data, state, STATE)
            if not np.array_equal(state, self.batch.state[i]):
                self.batch.state[i] = state
                self.batch.forward([i])
                self._position[i] = self.task.position(self._data)[i]
                self._obs[i] = self.task.reset_observation(self._data)[i]


BAD_STATE = [
    int(mujoco.mjtWarning.mjWARN_BADQPOS),
    int(mujoco.mjtWarning.mjWARN_BADQVEL),
    int(mujoco.mjtWarning.mjWARN_BADQACC),
]


class _Fields:
    """Live (N, ...) arrays of the batch, bound once."""

    def __init__(self, batch: Batch, derived: tuple[str, ...], model: mujoco.MjModel):
        self.qpos, self.qvel, self.ctrl = batch.bind("qpos"), batch.bind("qvel"), batch.bind("ctrl")
        for name in derived:
            value = batch.bind(name)
            if name == "cfrc_ext" and batch.persistent:
                value = np.zeros_like(value)  # filled from the copies, see _simulate
            setattr(self, name, value)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"the task reads {name}, but does not list it in `reads`")


@contextmanager
def _quiet_loading() -> Iterator[None]:
    """gymnasium's model files use options that MuJoCo 4 calls deprecated at every load; nobody here can mend that."""
    before = mujoco.get_mju_user_warning()
    mujoco.set_mju_user_warning(lambda message: None)
    try:
        yield
    finally:
        mujoco.set_mju_user_warning(before)


def _lookup(env: gymnasium.Env, name: str) -> Any:
    """An attribute of the environment or of what it wraps."""
    return getattr(env.unwrapped if hasattr(env.unwrapped, name) else env, name)
