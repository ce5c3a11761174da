"""Rolling a policy out into demonstrations."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from gymnasium.spaces import Discrete
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from gail_suite.demonstrations.dataset import ARRAY_TYPES, Demonstrations, Provenance
from gail_suite.demonstrations.spaces import check_spaces, encode_actions, max_steps
from gail_suite.errors import InputError
from gail_suite.successors import true_successors

if TYPE_CHECKING:
    from stable_baselines3.common.vec_env import VecEnv

MAX_SLOTS = 32  # simulations stepped together


class Policy(Protocol):
    """What SB3's policies and algorithms have."""

    def predict(self, observation: Any, *, deterministic: bool = False) -> tuple[NDArray, Any]: ...


def collect(
    policy: Policy,
    env_id: str,
    n_episodes: int,
    *,
    seed: int,
    deterministic: bool = False,
    env_kwargs: dict[str, Any] | None = None,
    source: str | None = None,
    progress: bool = True,
) -> Demonstrations:
    """Exactly `n_episodes` whole episodes of `policy`; the same seed gives the same arrays.

    Each simulation is asked for a fixed number of episodes and its first ones are kept.  (Keeping whichever finish
    first would favour short episodes.)  Stochastic actions are drawn from torch's global generator, seeded with `seed`
    for the duration and put back afterwards.

    Raises:
        InputError: fewer than one episode, or a task whose observations or actions are not flat.
    """
    import torch

    import envs

    if n_episodes < 1:
        raise InputError(f"cannot roll out {n_episodes} episodes; ask for 1 or more")
    venv = envs.make_venv(env_id, min(n_episodes, MAX_SLOTS), seed, env_kwargs)
    try:
        check_spaces(venv.observation_space, venv.action_space, env_id)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            rows = _roll(policy, venv, _quotas(n_episodes, venv.num_envs), deterministic, env_id if progress else None)
    finally:
        venv.close()
    return _assemble(rows, venv, env_id, env_kwargs, seed, source or f"{type(policy).__name__} in {env_id}")


def _quotas(n_episodes: int, n_slots: int) -> NDArray[np.int64]:
    """Episodes asked of each simulation, as even as can be."""
    return n_episodes // n_slots + (np.arange(n_slots) < n_episodes % n_slots)


def _roll(
    policy: Policy, venv: "VecEnv", quota: NDArray[np.int64], deterministic: bool, title: str | None
) -> dict[str, NDArray]:
    """Step until every simulation has met its quota; arrays of the kept rows, ordered by episode and time."""
    first = np.concatenate([[0], np.cumsum(quota)[:-1]])  # the episode index of each simulation's first one
    finished, elapsed = np.zeros_like(quota), np.zeros_like(quota)  # episodes; env steps of the present one
    columns: dict[str, list[NDArray]] = {name: [] for name in ARRAY_TYPES}
    obs = np.array(venv.reset())
    limit = max_steps(title) or np.inf
    with _progress_bar(title, int(quota.sum())) as show:
        while (keep := finished < quota).any():
            actions, _ = policy.predict(obs, deterministic=deterministic)
            new_obs, rewards, dones, infos = venv.step(actions)
            next_obs, terminated = true_successors(np.asarray(new_obs), dones, infos)
            step = (obs, encode_actions(actions, venv.action_space), next_obs, terminated, rewards, first + finished)
            for (name, column), values in zip(columns.items(), step, strict=True):
                column.append(np.asarray(values)[keep].astype(ARRAY_TYPES[name]))
            finished += dones & keep
            elapsed = np.where(dones, 0, elapsed + 1)
            show(float(finished.sum() + (elapsed / limit)[finished < quota].sum()), int(keep.sum()))
            obs = np.array(new_obs)
    rows = {name: np.concatenate(parts) for name, parts in columns.items()}
    order = np.argsort(rows["episode"], kind="stable")
    return {name: column[order] for name, column in rows.items()}


def _assemble(
    rows: dict[str, NDArray], venv: "VecEnv", env_id: str, env_kwargs: dict[str, Any] | None, seed: int, source: str
) -> Demonstrations:
    lengths = np.bincount(rows["episode"])
    returns = np.bincount(rows["episode"], weights=rows["rewards"])  # summed in float64
    provenance = Provenance(
        env_id=env_id,
        source=source,
        lengths=tuple(lengths.tolist()),
        returns=tuple(returns.tolist()),
        complete=(True,) * len(lengths),
        seed=seed,
        one_hot_actions=isinstance(venv.action_space, Discrete),
        env_kwargs=env_kwargs or {},
        versions=simulator_versions(),
    )
    return Demonstrations.from_arrays(rows, provenance)


def simulator_versions() -> dict[str, str]:
    """Versions that decide what an environment returns."""
    return {name: version(name) for name in ("gymnasium", "mujoco", "numpy")}


@contextmanager
def _progress_bar(title: str | None, n_episodes: int) -> Iterator[Callable[[float, int], None]]:
    """Yields `show(episodes so far, new env steps)`.  A bar on stderr, only where stderr is a terminal."""
    console = Console(stderr=True)
    columns = (
        TextColumn("rolling out {task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.1f} of {task.total} episodes, {task.fields[env_steps]:,} steps"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, disable=title is None or not console.is_terminal, transient=True) as bar:
        task = bar.add_task(title or "", total=n_episodes, env_steps=0)
        env_steps = 0

        def show(episodes: float, new_steps: int) -> None:
            nonlocal env_steps
            env_steps += new_steps
            bar.update(task, completed=episodes, env_steps=env_steps)

        yield show
