"""The limit of env steps a second: nothing but the task's physics, one process a core.

Each process first plays the task with random actions and notes the starts and the actions of the episodes.  Then it
replays them with `mj_step` alone: the same states and resets, without observations, rewards or ends to compute.
"""

import multiprocessing
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import gymnasium
import mujoco
import numpy as np
from numpy.typing import NDArray

from benchmarks.provenance import usable_cores
from envs.tasks import TASKS
from gail_suite.errors import InputError

RECORDED_STEPS = 3000  # a process; then the replay begins anew


def check_task(env_id: str) -> None:
    """Raise InputError unless the physics of this task is known and installed."""
    known = [name for name in TASKS if name in gymnasium.registry]
    if env_id not in known:
        raise InputError(f"the limit of {env_id!r} is not known here; choose among {', '.join(known)}")


class Episode(NamedTuple):
    """A start and the actions from there on, to the episode's end or the end of the recording."""

    qpos: NDArray[np.float64]  # (nq,)
    qvel: NDArray[np.float64]  # (nv,)
    actions: NDArray[np.float64]  # (T, A)


class Replay:
    """The physics of recorded episodes of one environment, over and over: `step` is one env step's worth."""

    def __init__(self, env_id: str, seed: int, n_recorded: int = RECORDED_STEPS):
        self.model, self.frame_skip, self.episodes = record(env_id, seed, n_recorded)
        self.contact_forces = TASKS[env_id].contact_forces
        self.data = mujoco.MjData(self.model)
        self._steps = self._forever()

    def step(self) -> None:
        next(self._steps)

    def _forever(self) -> Iterator[None]:
        model, data = self.model, self.data
        while True:
            for qpos, qvel, actions in self.episodes:
                mujoco.mj_resetData(model, data)
                data.qpos[:], data.qvel[:] = qpos, qvel
                mujoco.mj_forward(model, data)
                for action in actions:
                    data.ctrl[:] = action
                    mujoco.mj_step(model, data, nstep=self.frame_skip)
                    if self.contact_forces:
                        mujoco.mj_rnePostConstraint(model, data)
                    yield


def record(env_id: str, seed: int, n_steps: int) -> tuple[mujoco.MjModel, int, list[Episode]]:
    """(model, frame skip, episodes of a random policy, `n_steps` steps in all)."""
    env = gymnasium.make(env_id)
    single: Any = env.unwrapped
    env.action_space.seed(seed)
    episodes: list[Episode] = []
    n_taken = 0
    while n_taken < n_steps:
        env.reset(seed=None if episodes else seed)
        start = single.data.qpos.copy(), single.data.qvel.copy()
        actions: list[NDArray] = []
        done = False
        while n_taken < n_steps and not done:
            actions.append(env.action_space.sample())
            _, _, terminated, truncated, _ = env.step(actions[-1])
            done = terminated or truncated
            n_taken += 1
        episodes.append(Episode(*start, np.array(actions, dtype=np.float64)))
    env.close()
    return single.model, single.frame_skip, episodes


def steps_within(step: Callable[[], Any], seconds: float, clock: Callable[[], float] = time.perf_counter) -> float:
    """How often a second `step` ran, over the first whole number of calls that took `seconds`."""
    started = clock()
    n_calls = 0
    while True:
        step()
        n_calls += 1
        elapsed = clock() - started
        if elapsed >= seconds:
            return n_calls / elapsed


class Limit:
    """All cores replaying at once."""

    def __init__(self, env_id: str, n_processes: int = 0, n_recorded: int = RECORDED_STEPS):
        context = multiprocessing.get_context("spawn")
        self._pipes: list[Connection] = []
        self._processes = []
        for seed in range(n_processes or usable_cores()):
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs, env_id, seed, n_recorded), daemon=True)
            process.start()
            theirs.close()
            self._pipes.append(ours)
            self._processes.append(process)
        for pipe in self._pipes:
            pipe.recv()  # has recorded

    def measure(self, seconds: float) -> float:
        """Env steps a second, of all processes together."""
        for pipe in self._pipes:
            pipe.send(seconds)
        return sum(pipe.recv() for pipe in self._pipes)

    def close(self) -> None:
        for pipe in self._pipes:
            pipe.close()
        for process in self._processes:
            process.join()


def _serve(pipe: Connection, env_id: str, seed: int, n_recorded: int) -> None:
    replay = Replay(env_id, seed, n_recorded)
    pipe.send("ready")
    while True:
        try:
            seconds = pipe.recv()
        except EOFError:
            return
        pipe.send(steps_within(replay.step, seconds))
