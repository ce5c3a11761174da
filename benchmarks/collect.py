"""python -m benchmarks.collect RUN ...: keep the results of finished runs in benchmarks/results/."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gail_suite.cli import run_verb
from gail_suite.errors import InputError
from gail_suite.run_directory import RunDirectory, read_json, write_json

RESULTS = Path(__file__).parent / "results"
FOLDER = RESULTS / "imitation"


@dataclass(frozen=True)
class Arguments:
    """Copy what finished runs found: imitation's with its commit and the looks of its curve, images' as it is."""

    commit: str | None = None
    """Commit that trained them, for runs that do not say it themselves."""
    folder: Path = RESULTS
    """Where to keep them, in a folder each for imitation and images."""


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
    return {**_anywhere(found), "commit": found.get("commit") or commit, "curve": curve}


def images_result(folder: Path) -> dict[str, Any]:
    """What is kept of a run of benchmarks.images."""
    return _anywhere(read_json(folder / "result.json"))


def images_name(found: dict[str, Any]) -> str:
    """One file a model, data set, size of image, preset and seed."""
    data = found["data"]
    return f"{found['model']}-{data['name']}-{data['event_shape'][-1]}-{found['preset']}-s{found['seed']}"


def _anywhere(found: dict[str, Any]) -> dict[str, Any]:
    """The command without the places of this machine: where a run or its data lay is no part of how it was made."""
    if "command" not in found:
        return found
    command = re.sub(r" --out(=| )\S+", "", found["command"])
    return {**found, "command": re.sub(r"--data-dir(=| )\S+", "--data-dir DATA", command)}


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
        if (folder / "result.json").exists():
            found = images_result(folder)
            path = arguments.folder / "images" / f"{images_name(found)}.json"
        else:
            found = result(RunDirectory.open(folder), arguments.commit)
            path = arguments.folder / FOLDER.name / f"{name(found)}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, found)
        print(path)
    return 0


if __name__ == "__main__":
    run_verb(main)
