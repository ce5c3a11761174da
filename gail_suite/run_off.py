"""Which checkpoint of a run is the best: the ones that looked good play against each other on fresh seeds."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gail_suite.evaluation import evaluate_policy
from gail_suite.run_directory import RunDirectory
from gail_suite.trainer import GAIL
from generative_core.training.checkpoint import load_checkpoint, save_checkpoint

RUN_OFF_SEED = 600_011  # apart from the looks' seeds and from the final evaluation's
STAGES = ((5, 3), (15, 1))
"""(episodes, in those of a look; candidates that stay), stage by stage."""


@dataclass
class _Candidate:
    kept: dict[str, Any]
    returns: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))

    @property
    def rank(self) -> tuple[float, int]:
        """The mean true return; the later one where two are equal."""
        return float(self.returns.mean()), self.kept["env_steps"]


def candidate_file(run: RunDirectory, env_steps: int) -> Path:
    """Where a candidate waits for the run-off."""
    return run.candidates / f"{env_steps:012d}.safetensors"


def run_off(gail: GAIL, run: RunDirectory) -> None:
    """Let the candidates play, the best three of them on, and keep the winner as the run's best.

    The ten episodes of a look tell a fast policy from a slow one, but not one that falls once in twenty from one that
    never does: the winner has played two hundred.
    """
    config = gail.config
    candidates = [_Candidate(load_checkpoint(path)) for path in sorted(run.candidates.glob("*.safetensors"))]
    if config.select != "return" or len(candidates) < 2:
        return
    now = {name: value.clone() for name, value in gail.policy.state_dict().items()}
    seed = RUN_OFF_SEED
    for looks, n_stay in STAGES:
        n_episodes = looks * config.select_episodes
        for candidate in candidates:
            gail.policy.load_state_dict(candidate.kept["policy"])
            episodes = evaluate_policy(
                gail.policy,
                config.env,
                n_episodes,
                seed=seed,
                env_kwargs=config.parsed_env_kwargs(),
                threads=config.threads,
            )
            candidate.returns = np.concatenate([candidate.returns, episodes.returns])
        candidates = sorted(candidates, key=lambda candidate: candidate.rank, reverse=True)[:n_stay]
        seed += n_episodes
    gail.policy.load_state_dict(now)
    save_checkpoint(run.best, candidates[0].kept | {"score": candidates[0].rank[0]})
