"""python -m benchmarks.collect RUN ...: keep the results of finished runs in benchmarks/results/imitation/."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.provenance import anywhere
from gail_suite.cli import run_verb
from gail_suite.errors import InputError
from gail_suite.run_directory import RunDirectory, read_json, write_json

RESULTS = Path(__file__).parent / "results"
FOLDER = RESULTS / "imitation"


@dataclass(frozen=True)
class Arguments:
    """Copy evaluation.json of finished runs, with the commit that made them and the looks of their curve."""

    commit: str | None = None
    """Commit that trained them, for runs that do not say it themselves."""
    folder: Path = FOLDER
    """Where to keep them."""


def result(run: RunDirectory, commit: str | None) -> dict[str, Any]:
    """What is kept of a run.  Raises InputError where it has not ended."""
    if not run.evaluation_file.exists():
        raise InputError(f"{run.path} has no evaluation.json yet; finish it with --resume {run.path}")
    looks = [row for row in run.metrics() if "eval/return_mean" in row]
    curve = [
        {"env_steps": row["env_steps"], "wall_clock_s": row["wall_clock_s"], "return_mean": row["eval/return_mean"]}
        for row in looks
    ]
    found = read_json(run.evaluation_file)
    return {**anywhere(found), "commit": found.get("commit") or commit, "curve": curve}


def name(found: dict[str, Any]) -> str:
    """One file a task, amount of data, start and seed: a later run of the same takes the place of the earlier."""
    start = "warm" if found["warm_start"] else "scratch"
    data = f"{found['n_demos']}x-every{found['subsample']}-{found['pairs']}pairs"
    return f"{found['env']}-{data}-{start}-{found['env_steps']}-s{found['seed']}"


def main() -> int:
    import tyro

    folders, arguments = tyro.cli(
        tuple[tyro.conf.Positional[tuple[Path, ...]], tyro.conf.OmitArgPrefixes[Arguments]],
        prog="python -m benchmarks.collect",
    )
    for folder in folders:
        found = result(RunDirectory.open(folder), arguments.commit)
        arguments.folder.mkdir(parents=True, exist_ok=True)
        path = arguments.folder / f"{name(found)}.json"
        write_json(path, found)
        print(path)
    return 0


if __name__ == "__main__":
    run_verb(main)
