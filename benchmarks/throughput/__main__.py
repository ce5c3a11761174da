"""python -m benchmarks.throughput envs | gail | core | scaling: how fast, beside the physics and the peers."""

import sys
from collections.abc import Callable
from typing import Any

from gail_suite.cli import run_verb


def main(arguments: list[str]) -> None:
    # Imported here: every worker process imports this module.
    import tyro
    from rich.console import Console

    from benchmarks.throughput import core, env_steps, scaling, training

    commands: dict[str, Callable[..., Any]] = {
        "envs": env_steps.EnvStepsConfig,
        "gail": training.TrainingConfig,
        "core": core.CoreConfig,
        "scaling": scaling.ScalingConfig,
    }
    config = tyro.extras.subcommand_cli_from_dict(commands, args=arguments, prog="python -m benchmarks.throughput")
    if isinstance(config, env_steps.EnvStepsConfig):
        env_steps.run(config, arguments, Console())
    elif isinstance(config, core.CoreConfig):
        core.run(config, arguments, Console())
    elif isinstance(config, scaling.ScalingConfig):
        scaling.run(config, arguments, Console(width=max(Console().width, 140)))
    else:
        training.run(config, arguments, Console())


if __name__ == "__main__":
    run_verb(lambda: main(sys.argv[1:]))
