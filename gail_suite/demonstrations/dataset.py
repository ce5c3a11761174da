"""Demonstrations: transitions of an expert, and where they come from."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gail_suite.errors import InputError
from gail_suite.reward.protocol import Transitions

if TYPE_CHECKING:
    from stable_baselines3.common.vec_env import VecEnv

ARRAY_TYPES = {
    "obs": np.float32,
    "acts": np.float32,
    "next_obs": np.float32,
    "terminated": np.bool_,
    "rewards": np.float32,
    "episode": np.int64,
}
DEFAULT_EPISODES = 25  # rolled out of an expert when nobody says how many


class ReturnSummary(NamedTuple):
    """The task's own return over the demonstrated episodes, undiscounted."""

    mean: float
    std: float
    min: float
    max: float
    episodes: int


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Where demonstrations come from.  The tuples have one entry an episode, in the order of the episode index."""

    env_id: str | None
    """The gymnasium id; None where the file does not say."""
    source: str
    """In words: which policy, file or data set."""
    lengths: tuple[int, ...]
    """Environment steps of each episode as demonstrated, before any subsampling."""
    returns: tuple[float, ...] | None
    """Undiscounted return of each whole episode; None without rewards."""
    complete: tuple[bool, ...]
    """Whether the episode was recorded to its end, a real end or a time-out."""
    seed: int | None = None
    one_hot_actions: bool = False
    """The task has Discrete actions, stored as one-hot rows."""
    subsampled_every: int = 1
    """1: every step is here; k: every k-th."""
    env_kwargs: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    """Of gymnasium, mujoco and numpy, when the demonstrations were recorded."""


@dataclass(frozen=True, eq=False)
class Demonstrations:
    """N transitions of an expert, ordered by episode and then by time; float32, cast once, here.

    Construct them with `load` or `gail_suite.demonstrations.collect`.
    """

    obs: NDArray[np.float32]  # (N, O) raw environment units
    acts: NDArray[np.float32]  # (N, A) as sent to env.step, or one-hot rows; A = 0 without actions
    next_obs: NDArray[np.float32]  # (N, O) the true successor, at the end of an episode too
    terminated: NDArray[np.bool_]  # (N,) True only for a real end, not for a time-out
    rewards: NDArray[np.float32] | None  # (N,) the task's own
    episode: NDArray[np.int64]  # (N,) 0, 0, ..., 1, 1, ...
    provenance: Provenance

    def __len__(self) -> int:
        return len(self.obs)

    @property
    def n_episodes(self) -> int:
        return len(self.provenance.lengths)

    @property
    def obs_size(self) -> int:
        return self.obs.shape[1]

    @property
    def act_size(self) -> int:
        """0: demonstrations without actions."""
        return self.acts.shape[1]

    @property
    def returns(self) -> ReturnSummary | None:
        """Over whole episodes, whatever was subsampled since; None without rewards."""
        if self.provenance.returns is None:
            return None
        r = np.asarray(self.provenance.returns)
        return ReturnSummary(float(r.mean()), float(r.std()), float(r.min()), float(r.max()), len(r))

    @property
    def checksum(self) -> str:
        """SHA-256 over names, types, shapes and bytes of the arrays."""
        digest = hashlib.sha256()
        for name, array in self.arrays().items():
            digest.update(f"{name} {array.dtype.str} {array.shape};".encode())
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()

    @staticmethod
    def from_arrays(arrays: Mapping[str, NDArray], provenance: Provenance) -> "Demonstrations":
        """Inverse of `arrays`."""
        return Demonstrations(
            obs=arrays["obs"],
            acts=arrays["acts"],
            next_obs=arrays["next_obs"],
            terminated=arrays["terminated"],
            rewards=arrays.get("rewards"),
            episode=arrays["episode"],
            provenance=provenance,
        )

    def arrays(self) -> dict[str, NDArray]:
        """The arrays by name, without the rewards where there are none."""
        return {name: getattr(self, name) for name in ARRAY_TYPES if getattr(self, name) is not None}

    def transitions(self) -> Transitions:
        """What a reward model learns from."""
        return Transitions(self.obs, self.acts, self.next_obs, self.terminated)

    def take(self, n_episodes: int) -> "Demonstrations":
        """The first `n_episodes` episodes."""
        if not 1 <= n_episodes <= self.n_episodes:
            raise InputError(f"asked for {n_episodes} episodes of the {self.n_episodes} in {self.provenance.source}")
        p = self.provenance
        returns = None if p.returns is None else p.returns[:n_episodes]
        cut = replace(p, lengths=p.lengths[:n_episodes], returns=returns, complete=p.complete[:n_episodes])
        return self._rows(np.flatnonzero(self.episode < n_episodes), cut)

    def subsample(self, every: int = 20, seed: int = 0) -> "Demonstrations":
        """Every `every`-th transition of each episode from a random offset of its own (Ho & Ermon 2016, section 6).

        Pairs stay pairs, and an episode shorter than `every` keeps one transition at least.
        """
        if every < 1:
            raise InputError(f"cannot keep every {every}-th step; choose 1 (all) or more")
        rng = np.random.default_rng(seed)
        kept = []
        for rows in np.split(np.arange(len(self)), np.flatnonzero(np.diff(self.episode)) + 1):
            kept.append(rows[rng.integers(min(every, len(rows))) :: every])
        thinned = replace(self.provenance, subsampled_every=self.provenance.subsampled_every * every)
        return self._rows(np.concatenate(kept), thinned)

    def _rows(self, index: NDArray[np.int64], provenance: Provenance) -> "Demonstrations":
        return self.from_arrays({name: array[index] for name, array in self.arrays().items()}, provenance)

    def validate(self, venv: "VecEnv", env_id: str | None = None) -> None:
        """Raise `InputError`, naming both sides, unless these demonstrations can be used in `venv`."""
        from gail_suite.demonstrations.validation import validate

        validate(self, venv, env_id)

    def save(self, path: str | Path) -> None:
        """Write an `.npz` without pickles, atomically: provenance as JSON, and a checksum that `load` verifies."""
        from gail_suite.demonstrations.files import save

        save(self, Path(path))

    @staticmethod
    def load(
        source: str | Path, *, n_episodes: int | None = None, env_id: str | None = None, seed: int = 0
    ) -> "Demonstrations":
        """Demonstrations from an environment's expert, a file, a folder or a Minari data set.

        Args:
            source: a gymnasium id that has an expert (rolled out once, then kept in the user's cache), an `.npz`, an
                `imitation` trajectory folder, a Minari id (`minari:...` or `D4RL/door/human-v2`), or an SB3 `.zip`.
            n_episodes: keep the first so many; None: all of a file, 25 from a policy.
            env_id: which task an SB3 `.zip` was trained for; elsewhere, refuse demonstrations of another task.
            seed: of the roll-out; files ignore it.

        Raises:
            InputError: one line that names the source, the problem and the mend.
        """
        from gail_suite.demonstrations.sources import load

        return load(source, n_episodes=n_episodes, env_id=env_id, seed=seed)
