"""python -m benchmarks.reference --env ID: the ends of the normalised return, measured and kept in envs/reference.json.

Both policies play whole episodes on seeds that no training, selection or evaluation uses.
"""

import json
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from envs.reference import PATH
from gail_suite.cli import run_verb
from gail_suite.demonstrations.experts import BUNDLED, available_experts, load_expert
from gail_suite.errors import InputError
from gail_suite.evaluation import Episodes, Policy, RandomPolicy, Scale, evaluate_policy
from gail_suite.run_directory import write_json

SEED = 3_000_017  # the first one; an evaluation begins at 1 000 003
FIELDS = (
    "return_mean",
    "return_std",
    "return_iqm",
    "return_ci95",
    "displacement_mean",
    "episode_length_mean",
    "episodes",
)


@dataclass(frozen=True, kw_only=True)
class ReferenceConfig:
    """Measure the random policy and, where one is bundled, the deterministic expert of a task."""

    env: str
    """gymnasium id."""
    episodes: int = 200
    """Episodes of each policy."""
    threads: int = 0
    """Processor threads for the simulators and the expert; 0 is one a core."""
    file: Path = PATH
    """Where the figures are kept; those of other tasks stay."""


def measure(config: ReferenceConfig, command: str) -> dict[str, dict[str, Any]]:
    """{"random": {...}}, and for a bundled expert "expert" (deterministic) and "demonstrator" (stochastic)."""
    from envs import make_venv

    venv = make_venv(config.env, 1, None)
    venv.close()
    random = RandomPolicy(venv.action_space, SEED)
    cases: dict[str, tuple[Policy, bool]] = {"random": (random, False)}
    expert = available_experts().get(config.env)
    if expert is not None and expert.parent == BUNDLED:
        cases |= {"expert": (load_expert(config.env), True), "demonstrator": (load_expert(config.env), False)}
    measured = {}
    for name, (policy, deterministic) in cases.items():
        torch.manual_seed(SEED)
        episodes = evaluate_policy(
            policy, config.env, config.episodes, seed=SEED, deterministic=deterministic, threads=config.threads
        )
        measured[name] = summary(episodes) | {"command": command}
    return measured


def summary(episodes: Episodes) -> dict[str, Any]:
    """What `reference.json` keeps of an evaluation."""
    full = episodes.summary(Scale(None, None))
    return {name: full[name] for name in FIELDS}


def update(path: Path, env_id: str, measured: dict[str, dict[str, Any]]) -> None:
    """Put a task's figures in the place of its old ones, atomically."""
    known = json.loads(path.read_text()) if path.exists() else {}
    known[env_id] = measured
    write_json(path, dict(sorted(known.items())))


def main(arguments: list[str]) -> None:
    import tyro
    from rich.console import Console

    config = tyro.cli(ReferenceConfig, args=arguments, prog="python -m benchmarks.reference")
    if config.episodes < 1:
        raise InputError(f"--episodes must be 1 or more, got {config.episodes}")
    if config.threads:
        torch.set_num_threads(config.threads)
    measured = measure(config, shlex.join(["python", "-m", "benchmarks.reference", *arguments]))
    update(config.file, config.env, measured)
    for name, row in measured.items():
        Console().print(f"{config.env} {name}: {row['return_mean']:,.1f} ± {row['return_std']:,.1f} in {config.file}")


if __name__ == "__main__":
    run_verb(lambda: main(sys.argv[1:]))
