"""The layouts of `.npz` files that people have: D4RL's, SB3's and baselines', and episodes stacked as (E, T, D)."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from gail_suite.demonstrations.archive import NpzArchive
from gail_suite.demonstrations.dataset import Demonstrations
from gail_suite.demonstrations.episodes import Episode, make_demonstrations
from gail_suite.demonstrations.spaces import max_steps
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
    if "lengths" in columns and columns["lengths"].dtype.kind not in "iu":
        raise InputError(f"{archive.path} has episode lengths of type {columns['lengths'].dtype}; save whole numbers")
    if env_id is None and "env_id" in archive and archive["env_id"].dtype.kind == "U":
        env_id = str(archive["env_id"])
        if ":" in env_id:  # a file does not say what is imported
            raise InputError(f"{archive.path} names the task {env_id}, with a module to import; give the task yourself")
    split = _split_stacked if columns["obs"].ndim == 3 and columns["obs"].dtype != np.uint8 else _split_flat
    return make_demonstrations(split(columns, str(archive.path), max_steps(env_id)), str(archive.path), env_id)


def _split_stacked(columns: dict[str, NDArray], source: str, limit: int | None) -> list[Episode]:
    """(E, T or T + 1, D) observations beside (E, T, D) actions; `lengths` cuts the padding off."""
    n, obs_steps = columns["obs"].shape[:2]
    for name, column in columns.items():
        if len(column) != n:
            raise InputError(f"{source} has {n} episodes of obs but {len(column)} of {name}; make them fit")
    n_steps = next((columns[k].shape[1] for k in ("acts", "rewards", "next_obs") if k in columns), obs_steps - 1)
    extra = obs_steps - n_steps  # 1: the last successor is there too
    if extra not in (0, 1):
        raise InputError(f"{source} has {obs_steps} obs for {n_steps} steps of an episode; make them fit")
    lengths = columns.get("lengths", np.full(n, n_steps)).reshape(-1).astype(int)
    if len(lengths) and (lengths.min() < 0 or lengths.max() > n_steps):
        raise InputError(f"{source} has episode lengths up to {lengths.max()} in arrays of {n_steps}; correct them")
    whole = "lengths" in columns  # whoever gives lengths has recorded the ends
    return [
        _episode({k: c[i, : length + extra * (k == "obs")] for k, c in columns.items() if k != "lengths"}, whole, limit)
        for i, length in enumerate(lengths)
    ]


def _split_flat(columns: dict[str, NDArray], source: str, limit: int | None) -> list[Episode]:
    """(N, D) observations, cut at the flags, starts or lengths."""
    n = len(columns["obs"])
    lengths = columns.pop("lengths", None)
    for name, column in columns.items():
        if len(column) != n:
            raise InputError(f"{source} has {n} obs but {len(column)} {name}; make them fit, one row a step")
    bounds = [0, *(_ends(columns, lengths, source) + 1)]
    longest = int(np.max(np.diff(bounds), initial=0))
    if limit is not None and longest > limit:
        raise InputError(f"{source} has {longest} steps without an end, the task stops at {limit}; add timeouts")
    return [
        _episode({k: c[first:stop] for k, c in columns.items()}, lengths is not None or stop < n, limit)
        for first, stop in pairwise(bounds)
    ]


def _ends(columns: dict[str, NDArray], lengths: NDArray | None, source: str) -> NDArray[np.int64]:
    """The last row of each episode."""
    n = len(columns["obs"])
    if lengths is not None:
        ends = np.cumsum(lengths.reshape(-1).astype(np.int64)) - 1
        if n and (lengths.min() < 1 or ends[-1] != n - 1):
            raise InputError(f"{source} has episode lengths that add up to {lengths.sum()} for {n} steps; correct them")
        return ends
    if "starts" in columns:
        return np.append(np.flatnonzero(columns["starts"].reshape(-1)[1:]), n - 1)
    flags = [columns[name].reshape(n).astype(bool) for name in ("terminals", "timeouts", "dones") if name in columns]
    if not flags:
        raise InputError(
            f"{source} does not say where its episodes end; add dones, terminals and timeouts, episode_starts or "
            f"episode_lengths, or stack the episodes as (episodes, steps, size)"
        )
    return np.union1d(np.flatnonzero(np.any(flags, axis=0)), [n - 1] if n else [])


def _episode(rows: dict[str, NDArray], whole: bool, limit: int | None) -> Episode:
    """One episode from its rows; `whole`: recorded to its end, whatever the flags say."""
    flagged: dict[str, bool] = {
        name: bool(np.any(rows[name])) for name in ("terminals", "timeouts", "dones") if name in rows
    }
    length = len(next((rows[k] for k in ("acts", "rewards", "next_obs") if k in rows), rows["obs"]))
    ended = whole or any(flagged.values()) or length == limit
    return Episode(
        obs=rows["obs"],
        acts=rows.get("acts"),
        rewards=rows.get("rewards"),
        ended=ended,
        terminated=is_real_end(flagged, length, limit) if ended else False,
        next_obs=rows.get("next_obs"),
    )


def is_real_end(flagged: dict[str, bool], length: int, limit: int | None) -> bool:
    """Whether an episode that ended did not end by the clock.

    `terminals` and `timeouts` together say so; a plain `dones` may be either, and so the task's time limit decides.
    """
    if "terminals" in flagged and "timeouts" in flagged:
        return flagged["terminals"]
    if limit is not None:
        return length < limit
    return flagged.get("terminals", False) or flagged.get("dones", False)
