"""The layouts of `.npz` files that people have: D4RL's, SB3's and baselines', and episodes stacked as (E, T, D)."""

import numpy as np
from numpy.typing import NDArray

from gail_suite.demonstrations.archive import NpzArchive
from gail_suite.demonstrations.dataset import Demonstrations
from gail_suite.demonstrations.episodes import Episode, make_demonstrations
from gail_suite.errors import InputError

KEYS = {  # ours: what others call it
    "obs": ("obs", "observations"),
    "acts": ("acts", "actions", "acs"),
    "next_obs": ("next_obs", "next_observations"),
    "rewards": ("rewards", "rews"),
    "terminals": ("terminals", "terminated", "terminations"),
    "timeouts": ("timeouts", "truncated", "truncations"),
    "dones": ("dones", "done"),
    "starts": ("episode_starts",),
    "lengths": ("episode_lengths", "ep_lens", "lengths"),
}


def load(archive: NpzArchive, env_id: str | None) -> Demonstrations:
    """Read any of these layouts; other keys are not opened.

    Flat arrays need one of: terminals and timeouts (D4RL), dones, episode_starts, episode_lengths.  Without next
    observations the successor is the next row, and the last step of an episode, which has none, is dropped.
    """
    found = {ours: name for ours, names in KEYS.items() for name in reversed(names) if name in archive}
    if "obs" not in found:
        raise InputError(
            f"{archive.path} has no observations, only {', '.join(archive.names()) or 'nothing'}; "
            f"name them obs or observations"
        )
    columns = {ours: archive[name] for ours, name in found.items()}
    if env_id is None and "env_id" in archive and archive["env_id"].dtype.kind == "U":
        env_id = str(archive["env_id"])
    split = _split_stacked if columns["obs"].ndim == 3 and columns["obs"].dtype != np.uint8 else _split_flat
    return make_demonstrations(split(columns, str(archive.path), max_steps(env_id)), str(archive.path), env_id)


def max_steps(env_id: str | None) -> int | None:
    """The time limit of a task, where gymnasium knows it: an episode of that length ended by time-out."""
    import gymnasium

    spec = gymnasium.registry.get(env_id) if env_id else None
    return spec.max_episode_steps if spec is not None else None


def _split_stacked(columns: dict[str, NDArray], source: str, limit: int | None) -> list[Episode]:
    """(E, T or T + 1, D) observations beside (E, T, D) actions; `lengths` cuts the padding off."""
    obs, acts, rewards = columns["obs"], columns.get("acts"), columns.get("rewards")
    for name, column in columns.items():
        if len(column) != len(obs):
            raise InputError(f"{source} has {len(obs)} episodes of obs but {len(column)} of {name}; make them fit")
    steps = next((c.shape[1] for c in (acts, rewards) if c is not None and c.ndim > 1), obs.shape[1] - 1)
    successor = int(obs.shape[1] == steps + 1)  # the last one is there too
    lengths = columns.get("lengths", np.full(len(obs), steps)).reshape(-1).astype(int)
    if len(lengths) and not (0 <= lengths.min() and lengths.max() <= steps):
        raise InputError(f"{source} has episode lengths up to {lengths.max()} in arrays of {steps} steps; correct them")
    episodes = []
    for i, length in enumerate(lengths):
        terminal = bool(np.any(columns["terminals"][i].reshape(-1)[:length])) if "terminals" in columns else None
        ended = length == limit or length < steps or bool(terminal)
        episodes.append(
            Episode(
                obs=obs[i, : length + successor],
                acts=None if acts is None else acts[i, :length],
                rewards=None if rewards is None else rewards[i, :length].reshape(length),
                ended=ended,
                terminated=(ended and length != limit) if terminal is None else terminal,
                next_obs=columns["next_obs"][i, :length] if "next_obs" in columns else None,
            )
        )
    return episodes


def _split_flat(columns: dict[str, NDArray], source: str, limit: int | None) -> list[Episode]:
    """(N, D) observations, cut at the flags, starts or lengths."""
    n = len(columns["obs"])
    for name, column in columns.items():
        if name != "lengths" and len(column) != n:
            raise InputError(f"{source} has {n} obs but {len(column)} {name}; make them fit, one row a step")
    ends, terminals = _flat_ends(columns, n, source)  # the last row of each episode; (N,) flags or None
    episodes = []
    for first, last in zip([0, *(ends[:-1] + 1)], ends, strict=True):
        rows = slice(first, last + 1)
        length = last + 1 - first
        ended = bool(last < n - 1 or _is_end(columns, last) or "lengths" in columns or length == limit)
        episodes.append(
            Episode(
                obs=columns["obs"][rows],
                acts=columns["acts"][rows] if "acts" in columns else None,
                rewards=columns["rewards"][rows].reshape(length) if "rewards" in columns else None,
                ended=ended,
                terminated=bool(terminals[last]) if terminals is not None else ended and length != limit,
                next_obs=columns["next_obs"][rows] if "next_obs" in columns else None,
            )
        )
    return episodes
