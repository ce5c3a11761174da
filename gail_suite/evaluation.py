"""How well a policy does on the true reward, said with its spread: the only judge of an imitation."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from envs import make_venv, reference_returns
from gail_suite.reward.protocol import require_finite

MAX_SLOTS = 50  # simulations stepped together
FINAL_SEED = 1_000_003  # the first seed of a final evaluation; training and selection stay below it


class Policy(Protocol):
    """What SB3's policies and algorithms have."""

    def predict(self, observation: Any, *, deterministic: bool = False) -> tuple[NDArray, Any]: ...


class RandomPolicy:
    """Uniform actions: the zero of the normalised return."""

    def __init__(self, action_space: Any, seed: int = 0):
        self._space = action_space
        self._space.seed(seed)

    def predict(self, observation: NDArray, *, deterministic: bool = False) -> tuple[NDArray, None]:
        return np.stack([self._space.sample() for _ in observation]), None


@dataclass(frozen=True)
class Scale:
    """The two ends of the normalised return: 0 is the random policy, 1 the deterministic expert."""

    random: float | None
    expert: float | None

    @classmethod
    def of(cls, env_id: str | None, *, random: float | None = None, expert: float | None = None) -> "Scale":
        """The fixed figures of `envs/reference.json`; what the caller measured stands in where there are none.

        Give None for a task whose reward was changed, or demonstrations of somebody else's: no figure is known then.
        """
        known = (reference_returns(env_id) if env_id else None) or {}
        return cls(
            known["random"]["return_mean"] if "random" in known else random,
            known["expert"]["return_mean"] if "expert" in known else expert,
        )

    def normalise(self, mean: float) -> float | None:
        """(R - random) / (expert - random); None where an end is unknown."""
        if self.random is None or self.expert is None or self.expert == self.random:
            return None
        return (mean - self.random) / (self.expert - self.random)


@dataclass(frozen=True)
class Episodes:
    """One entry an episode: undiscounted true return, length in steps, net distance over the ground in metres."""

    returns: NDArray[np.float64]
    lengths: NDArray[np.int64]
    displacements: NDArray[np.float64] | None  # None: the task has no root body
    n_diverged: int = 0  # ended because the simulation was no longer finite; their returns are those until then

    def summary(self, scale: "Scale") -> dict[str, Any]:
        """The fields of `evaluation.json`."""
        low, high = interval(self.returns)
        mean = float(self.returns.mean())
        return {
            "return_mean": mean,
            "return_std": float(self.returns.std()),
            "return_iqm": iqm(self.returns),
            "return_ci95": [low, high],
            "normalised_return": scale.normalise(mean),
            "displacement_mean": None if self.displacements is None else float(self.displacements.mean()),
            "episode_length_mean": float(self.lengths.mean()),
            "episodes": len(self.returns),
            "diverged_episodes": self.n_diverged,
            "returns": [round(float(r), 3) for r in self.returns],
        }


def evaluate_policy(
    policy: Policy,
    env_id: str,
    n_episodes: int = 50,
    *,
    seed: int = FINAL_SEED,
    deterministic: bool = True,
    env_kwargs: dict[str, Any] | None = None,
    threads: int = 0,
) -> Episodes:
    """Exactly `n_episodes` whole episodes in fresh environments, seeded from `seed` on.

    Each simulation runs a fixed number of episodes and its first ones count: keeping whichever finish first would
    favour the short ones.  Raises FloatingPointError where a task's own rewards are not finite.
    """
    n_slots = min(n_episodes, MAX_SLOTS)
    venv = make_venv(env_id, n_slots, seed, env_kwargs, threads)
    quota = n_episodes // n_slots + (np.arange(n_slots) < n_episodes % n_slots)
    finished = np.zeros(n_slots, dtype=np.int64)
    rows: list[tuple[float, int, float | None, bool]] = []
    try:
        obs = venv.reset()
        while (finished < quota).any():
            actions, _ = policy.predict(obs, deterministic=deterministic)
            obs, _, dones, infos = venv.step(actions)
            for i in np.flatnonzero(dones & (finished < quota)):
                episode = infos[i]["episode"]
                is_diverged = infos[i].get("diverged", False)
                rows.append((episode["r"], episode["l"], infos[i].get("displacement"), is_diverged))
                finished[i] += 1
    finally:
        venv.close()
    returns, lengths, displacements, diverged = zip(*rows, strict=True)
    require_finite(np.array(returns), "returns")
    has_root = all(d is not None for d in displacements)
    return Episodes(
        np.array(returns, dtype=np.float64),
        np.array(lengths, dtype=np.int64),
        np.array(displacements, dtype=np.float64) if has_root else None,
        n_diverged=sum(diverged),
    )


def iqm(values: NDArray) -> float:
    """Interquartile mean: the mean of the middle half.  Agarwal et al. 2021, https://arxiv.org/abs/2108.13264."""
    return float(stats.trim_mean(values, 0.25))


def interval(values: NDArray, confidence: float = 0.95) -> tuple[float, float]:
    """Percentile-bootstrap interval of the interquartile mean; a point where the values do not vary."""
    if len(values) < 2 or np.ptp(values) == 0:
        return float(values[0]), float(values[0])
    statistic = lambda sample, axis: stats.trim_mean(sample, 0.25, axis=axis)  # noqa: E731
    found = stats.bootstrap(
        (values,),
        statistic,
        confidence_level=confidence,
        method="percentile",
        n_resamples=5000,
        rng=np.random.default_rng(0),
    )
    return float(found.confidence_interval.low), float(found.confidence_interval.high)
