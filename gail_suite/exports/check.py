"""Is the exported policy the one that was trained?  Asked of observations of the task, and of returns."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs import make_venv
from gail_suite.config import TrainConfig
from gail_suite.evaluation import Policy, evaluate_policy

N_OBSERVATIONS = 1_000
N_SIMULATIONS = 4
CHECK_SEED = 700_001  # apart from those of training, selection and evaluation


@dataclass(frozen=True)
class Returns:
    """Of the original and of the export, both from the same starts, one entry an episode."""

    original: NDArray[np.float64]
    exported: NDArray[np.float64]

    @property
    def loss(self) -> tuple[float, float]:
        """Mean of original - exported over the starts, and its standard error.

        One rounding error leads a chaotic simulation elsewhere, so single episodes differ; their mean should not.
        """
        differences = self.original - self.exported
        return float(differences.mean()), float(differences.std(ddof=1) / np.sqrt(len(differences)))


def real_observations(policy: Policy, config: TrainConfig, n: int = N_OBSERVATIONS) -> NDArray:
    """(n, O) that `policy` meets in its task."""
    venv = make_venv(config.env, N_SIMULATIONS, CHECK_SEED, config.parsed_env_kwargs(), config.threads)
    try:
        met = [np.asarray(venv.reset())]
        while len(met) * N_SIMULATIONS < n:
            actions, _ = policy.predict(met[-1], deterministic=True)
            met.append(np.asarray(venv.step(actions)[0]))
    finally:
        venv.close()
    return np.concatenate(met)[:n]


def difference(original: Policy, exported: Policy, observations: NDArray, action_space: Any) -> float:
    """The largest one between two policies' actions, in fractions of the action range; discrete: how many differ."""
    a, b = (policy.predict(observations, deterministic=True)[0] for policy in (original, exported))
    if not hasattr(action_space, "low"):
        return float((a != b).mean())
    return float((np.abs(a.astype(np.float64) - b) / (action_space.high - action_space.low)).max())


def paired_returns(original: Policy, exported: Policy, config: TrainConfig, n_episodes: int) -> Returns:
    """Both over `n_episodes` whole episodes with the same seeds."""
    original_returns, exported_returns = (
        evaluate_policy(
            policy,
            config.env,
            n_episodes,
            seed=CHECK_SEED,
            env_kwargs=config.parsed_env_kwargs(),
            threads=config.threads,
        ).returns
        for policy in (original, exported)
    )
    return Returns(original_returns, exported_returns)
