"""python -m gail_suite.doctor RUN: what went wrong in a run, with the evidence and the flag to change."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from gail_suite.cli import run_verb
from gail_suite.errors import InputError, printable


@dataclass(frozen=True)
class Arguments:
    """Look for what tends to go wrong, in a run's log, its demonstrations and its task."""

    json: bool = False
    """Print the findings as JSON, for other programs."""


N_STARTS = 16


def main() -> int:
    import tyro

    folder, arguments = tyro.cli(
        tuple[tyro.conf.Positional[Path], tyro.conf.OmitArgPrefixes[Arguments]], prog="python -m gail_suite.doctor"
    )
    import json
    from dataclasses import asdict

    from rich.console import Console

    findings = examine(folder)
    if arguments.json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))
        return 0
    console = Console(highlight=False)
    if not findings:
        console.print("nothing found that tends to go wrong")
    for finding in findings:
        console.print(f"[bold]{finding.name}[/]")
        console.print(f"  seen    {printable(finding.evidence)}", markup=False)
        console.print(f"  change  {printable(finding.remedy)}", markup=False)
    return 0


def examine(folder: Path) -> list:
    """Every finding in a run's folder, the run's own first.  Raises InputError where it is no run or is damaged."""
    import numpy as np

    from envs import make_venv
    from gail_suite import diagnosis
    from gail_suite.run_directory import RunDirectory
    from gail_suite.session import load_demonstrations

    run = RunDirectory.open(folder)
    config = run.config()
    rows = run.metrics()
    if not rows:
        raise InputError(f"{folder} has logged nothing yet; wait for its first round")
    try:
        findings = diagnosis.of_curve(rows, config)
    except (KeyError, OverflowError, ValueError) as error:
        raise InputError(f"{run.metrics_file} was not written by a training ({error}); restore it") from error
    demonstrations = load_demonstrations(config)
    findings += diagnosis.of_demonstrations(demonstrations, config)
    venv = make_venv(config.env, N_STARTS, 0, config.parsed_env_kwargs(), n_threads=1)
    starts = np.asarray(venv.reset())
    venv.close()
    return findings + diagnosis.of_starts(demonstrations, starts)


command = partial(run_verb, main)

if __name__ == "__main__":
    command()
