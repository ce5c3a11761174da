"""python -m benchmarks.reliability kills | fuzz | soak: code 1 where anything was not as it should be."""

import sys
from collections.abc import Callable
from typing import Any

from gail_suite.cli import run_verb


def main(arguments: list[str]) -> int:
    import tyro

    from benchmarks.reliability import fuzz, kills, soak

    commands: dict[str, Callable[..., Any]] = {
        "kills": kills.KillsConfig,
        "fuzz": fuzz.FuzzConfig,
        "soak": soak.SoakConfig,
    }
    config = tyro.extras.subcommand_cli_from_dict(commands, args=arguments, prog="python -m benchmarks.reliability")
    if isinstance(config, kills.KillsConfig):
        return kills.run(config, arguments)
    if isinstance(config, fuzz.FuzzConfig):
        return fuzz.run(config, arguments)
    return soak.run(config, arguments)


if __name__ == "__main__":
    run_verb(lambda: main(sys.argv[1:]))
