"""python -m gail_suite.evaluate RUN: measure a run's selected policy again, on the true reward."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from gail_suite.cli import run_verb
from gail_suite.errors import InputError


@dataclass(frozen=True)
class Arguments:
    """Evaluate the selected policy of a run, beside the rows that its training measured."""

    episodes: int = 50
    """Whole episodes."""
    seed: int = 1_000_003
    """Of the first environment; the others count up from it."""
    stochastic: bool = False
    """Sample the actions instead of taking the mean."""
    threads: int = 0
    """Processor threads; 0 is one a core."""


def main() -> int:
    import tyro

    folder, arguments = tyro.cli(
        tuple[tyro.conf.Positional[Path], tyro.conf.OmitArgPrefixes[Arguments]], prog="python -m gail_suite.evaluate"
    )
    for name, least in {"episodes": 1, "threads": 0, "seed": 0}.items():
        if getattr(arguments, name) < least:
            raise InputError(f"--{name} must be {least} or more, got {getattr(arguments, name)}")
    import torch

    from gail_suite.evaluation import Scale, evaluate_policy
    from gail_suite.report import ENDS, check_evaluation, print_table
    from gail_suite.run_directory import RunDirectory, read_json

    run = RunDirectory.open(folder)
    config = run.config()
    evaluation: dict[str, Any] = read_json(run.evaluation_file) if run.evaluation_file.exists() else {}
    check_evaluation(evaluation, run.evaluation_file)
    torch.manual_seed(arguments.seed)  # of stochastic actions
    episodes = evaluate_policy(
        load_policy(run),
        config.env,
        arguments.episodes,
        seed=arguments.seed,
        deterministic=not arguments.stochastic,
        env_kwargs=config.parsed_env_kwargs(),
        threads=arguments.threads,
    )
    ends = dict.fromkeys(ENDS) | evaluation.get("scale", {})
    row = episodes.summary(Scale(ends["random"], ends["expert"]))
    print_table({**evaluation, "env": config.env, "seed": config.seed, "episodes": arguments.episodes, "policy": row})
    return 0


def load_policy(run: Any) -> Any:
    """The policy in a run's `policy.zip`, read without unpickling.  Raises InputError where there is none yet."""
    from gail_suite.policies import read_sb3_zip
    from gail_suite.session import task_spaces

    if not run.policy_file.exists():
        raise InputError(
            f"{run.path} has no policy.zip yet: its training has not ended; go on with "
            f"python -m gail_suite.train --resume {run.path}"
        )
    return read_sb3_zip(run.policy_file, *task_spaces(run.config()))


command = partial(run_verb, main)

if __name__ == "__main__":
    command()
