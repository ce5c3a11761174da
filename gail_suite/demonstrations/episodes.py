"""Episodes as other people's files hold them, made into `Demonstrations`."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from gail_suite.demonstrations.dataset import Demonstrations, Provenance
from gail_suite.errors import InputError

MAX_CHOICES = 10_000  # of a task that nobody has named


class Episode(NamedTuple):
    """One recorded episode of T steps."""

    obs: NDArray  # (T + 1, O) with the last successor, or (T, O): then the last step has none and is dropped
    acts: NDArray | None  # (T, A) or (T,); None without actions
    rewards: NDArray | None  # (T,)
    ended: bool  # False: the recording was cut in the middle
    terminated: bool  # the end was a real one, not a time-out
    next_obs: NDArray | None = None  # (T, O) where the file has successors of its own


def make_demonstrations(episodes: Sequence[Episode], source: str, env_id: str | None) -> Demonstrations:
    """Join episodes into one set; integer actions of one dimension become one-hot rows.

    Raises:
        InputError: nothing in it, sizes that differ, something that is no number, NaN or infinity.
    """
    n_actions = _n_actions(episodes, source, env_id)
    parts = [_transitions(episode, n_actions, source) for episode in episodes]
    kept = [i for i, rows in enumerate(parts) if len(rows["obs"])]
    if not kept:
        raise InputError(f"{source} holds no transitions; it needs an episode of two observations at least")
    try:
        rows = {name: np.concatenate([parts[i][name] for i in kept]) for name in parts[0]}
    except (ValueError, KeyError) as error:
        raise InputError(f"the episodes of {source} differ in their sizes or fields; convert each by itself") from error
    rows["episode"] = np.repeat(np.arange(len(kept)), [len(parts[i]["obs"]) for i in kept])
    returns = [None if e.rewards is None else float(np.sum(e.rewards, dtype=np.float64)) for e in episodes]
    provenance = Provenance(
        env_id=env_id,
        source=source,
        lengths=tuple(_n_steps(episodes[i]) for i in kept),
        returns=tuple(r for i in kept if (r := returns[i]) is not None) if "rewards" in rows else None,
        complete=tuple(bool(episodes[i].ended) for i in kept),
        one_hot_actions=n_actions is not None,
    )
    return Demonstrations.from_arrays(rows, provenance)


def _transitions(episode: Episode, n_actions: int | None, source: str) -> dict[str, NDArray]:
    obs, n_steps = _numbers(episode.obs, "observations", source), _n_steps(episode)
    if obs.ndim != 2 or obs.shape[1] == 0:
        raise InputError(
            f"needs observations of one dimension; {source} has {episode.obs.dtype} observations of shape "
            f"{obs.shape[1:]} (images and dictionaries cannot be demonstrated)"
        )
    next_obs = obs[1:] if episode.next_obs is None else _numbers(episode.next_obs, "next observations", source)
    n_rows = len(next_obs)  # n_steps, or one less without the last successor
    if n_rows not in (n_steps, n_steps - 1) or next_obs.shape[1:] != obs.shape[1:]:
        raise InputError(f"{source} has {obs.shape} observations for {next_obs.shape} next observations; make them fit")
    rows = {"obs": obs[:n_rows], "next_obs": next_obs, "acts": np.zeros((n_rows, 0), np.float32)}
    for name, column in (("acts", episode.acts), ("rewards", episode.rewards)):
        if column is not None and len(column) != n_steps:
            raise InputError(f"{source} has {len(column)} {name} for {n_steps} steps of an episode; make them fit")
    if episode.acts is not None:
        rows["acts"] = _actions(episode.acts, n_actions, source)[:n_rows]
    if episode.rewards is not None:
        rows["rewards"] = _numbers(episode.rewards, "rewards", source).reshape(n_steps)[:n_rows]
    rows["terminated"] = np.zeros(n_rows, bool)
    if n_rows == n_steps and n_rows:
        rows["terminated"][-1] = episode.terminated
    return rows


def _n_steps(episode: Episode) -> int:
    """T: as many as there are actions or rewards, else what the observations allow."""
    for column in (episode.acts, episode.rewards, episode.next_obs):
        if column is not None:
            return len(column)
    return max(len(episode.obs) - 1, 0)


def _actions(acts: NDArray, n_actions: int | None, source: str) -> NDArray[np.float32]:
    values = _numbers(acts, "actions", source)
    if n_actions is not None:
        index = values.reshape(-1).astype(np.int64)
        wrong = index[(index < 0) | (index >= n_actions)]
        if len(wrong):
            raise InputError(
                f"{source} has the action {wrong[0]}, the task has {n_actions} choices; "
                f"number them 0 to {n_actions - 1}"
            )
        return np.eye(n_actions, dtype=np.float32)[index]
    if values.ndim > 2:
        raise InputError(f"needs actions of one dimension; {source} has actions of shape {values.shape[1:]}")
    return values.reshape(len(values), -1) if len(values) else np.zeros((0, *acts.shape[1:]), np.float32)


def _n_actions(episodes: Sequence[Episode], source: str, env_id: str | None) -> int | None:
    """n where the actions are numbers 0 .. n - 1 of choices; None for continuous actions."""
    acts = [np.asarray(e.acts) for e in episodes if e.acts is not None]
    if not acts or any(a.dtype.kind not in "iu" or a.reshape(len(a), -1).shape[1] != 1 for a in acts if len(a)):
        return None
    if env_id is not None:
        import envs

        venv = envs.make_venv(env_id, 1, None)
        venv.close()
        return int(venv.action_space.n) if isinstance(venv.action_space, spaces.Discrete) else None
    n_choices = max(2, 1 + max((int(a.max()) for a in acts if len(a)), default=0))
    if n_choices > MAX_CHOICES:  # each is a column
        raise InputError(f"{source} has the action {n_choices - 1:,}; say in which task, or give actions as floats")
    return n_choices


def _numbers(array: NDArray, what: str, source: str) -> NDArray[np.float32]:
    """As float32; finite numbers only."""
    if np.asarray(array).dtype.kind not in "fiub":
        raise InputError(f"the {what} of {source} are {np.asarray(array).dtype}, not numbers; save plain arrays")
    with np.errstate(over="ignore"):
        values = np.asarray(array, np.float32)
    if not np.isfinite(values).all():
        n_bad = int((~np.isfinite(values)).sum())
        raise InputError(f"{source} has {n_bad} NaN or infinite values in its {what}; leave those episodes out")
    return values
