"""Small things that several tests build."""

import numpy as np

from gail_suite.demonstrations import Demonstrations, Provenance
from gail_suite.reward.protocol import Transitions


def transitions(n: int, n_obs: int = 3, n_acts: int = 2, seed: int = 0, shift: float = 0.0) -> Transitions:
    rng = np.random.default_rng(seed)
    obs, next_obs = rng.normal(shift, 1.0, (2, n, n_obs))
    return Transitions(obs, rng.uniform(-1, 1, (n, n_acts)), next_obs, np.zeros(n, dtype=bool))


def demonstrations(
    obs: np.ndarray,
    acts: np.ndarray,
    *,
    env_id: str | None = None,
    next_obs: np.ndarray | None = None,
    one_hot: bool = False,
) -> Demonstrations:
    """One episode of these pairs."""
    obs, acts = np.asarray(obs, np.float32), np.asarray(acts, np.float32)
    return Demonstrations(
        obs=obs,
        acts=acts,
        next_obs=obs if next_obs is None else np.asarray(next_obs, np.float32),
        terminated=np.zeros(len(obs), dtype=bool),
        rewards=None,
        episode=np.zeros(len(obs), dtype=np.int64),
        provenance=Provenance(
            env_id=env_id, source="a test", lengths=(len(obs),), returns=None, complete=(True,), one_hot_actions=one_hot
        ),
    )
