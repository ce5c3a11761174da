"""What came of a study: its numbers, its table and its curves, from the folders of its runs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.provenance import anywhere
from gail_suite.demonstrations.atomic import atomic_path
from gail_suite.run_directory import RunDirectory, read_json

KEPT = Path(__file__).parents[1] / "results" / "studies"
GOOD = 0.9  # of the way from random to the expert
HEADER = ("variant", "normalised, each seed", "last", "displacement (m)", f"steps to {GOOD:.0%}", "minutes", "cloning")


def run_folder(folder: Path, variant: str, seed: int) -> Path:
    return folder / f"{variant.replace(', ', '-').replace(' ', '-')}-s{seed}"


def collect(folder: Path, env: str, study: str, variants: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """A row each run that has ended, in the order of the variants and then of the seeds."""
    rows = []
    for variant in variants:
        found = sorted(folder.glob(f"{run_folder(folder, variant, 0).name[:-1]}*/evaluation.json"))
        rows += [row(variant, RunDirectory(file.parent)) for file in found]
    return {"benchmark": "imitation", "env": env, "study": study, "rows": rows}


def row(variant: str, run: RunDirectory) -> dict[str, Any]:
    """What the table and the curves need of one run."""
    found = read_json(run.evaluation_file)
    scale = found["scale"]
    looks = [look for look in run.metrics() if "eval/return_mean" in look]
    curve = [[look["env_steps"], normalised(look["eval/return_mean"], scale)] for look in looks]
    cloned = found.get("behavioural_cloning", {})
    return {
        "variant": variant,
        "seed": found["seed"],
        "command": anywhere(found).get("command"),
        "commit": found.get("commit"),
        "env_steps": found["env_steps"],
        "pairs": found["pairs"],
        "normalised_return": found["policy"].get("normalised_return"),
        "displacement": found["policy"].get("displacement_mean"),
        "last": found["last"].get("normalised_return"),
        "cloning": cloned.get("normalised_return"),
        "steps_to_good": next((steps for steps, value in curve if value is not None and value >= GOOD), None),
        "wall_clock_s": found["wall_clock_s"],
        "curve": curve,
    }


def normalised(value: float, scale: Mapping[str, float | None]) -> float | None:
    random, expert = scale["random"], scale["expert"]
    return None if random is None or expert is None else (value - random) / (expert - random)


def table_rows(found: Mapping[str, Any]) -> list[list[str]]:
    """A row a variant, every seed shown."""
    by_variant: dict[str, list[dict[str, Any]]] = {}
    for run in found["rows"]:
        by_variant.setdefault(run["variant"], []).append(run)
    return [
        [
            variant,
            ", ".join(_show(run["normalised_return"], 3) for run in runs),
            ", ".join(_show(run["last"], 3) for run in runs),
            ", ".join(_show(run["displacement"], 0) for run in runs),
            ", ".join(_show(run["steps_to_good"], 0) for run in runs),
            _show(float(np.mean([run["wall_clock_s"] for run in runs])) / 60, 1),
            _show(runs[0]["cloning"], 3),
        ]
        for variant, runs in by_variant.items()
    ]


def markdown(found: Mapping[str, Any]) -> str:
    """The table for a terminal or a README."""
    lines = [list(HEADER), [":--", *["--:"] * (len(HEADER) - 1)], *table_rows(found)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def draw(found: Mapping[str, Any], path: Path) -> None:
    """The looks of every run, a colour a variant."""
    from matplotlib import colormaps
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    variants = list(dict.fromkeys(run["variant"] for run in found["rows"]))
    for run in found["rows"]:
        index = variants.index(run["variant"])
        first = next(r for r in found["rows"] if r["variant"] == run["variant"]) is run
        points = [(steps, value) for steps, value in run["curve"] if value is not None]
        if points:
            label = run["variant"] if first else None
            axes.plot(*zip(*points, strict=True), color=colormaps["tab20"](index % 20), linewidth=1.2, label=label)
    axes.axhline(1.0, color="#2a7f3f", linestyle="--", linewidth=1)
    axes.set(xlabel="environment steps", ylabel="normalised return", title=f"{found['env']}, {found['study']}")
    if axes.lines[:-1]:  # none where nobody knows the ends of the scale
        axes.legend(fontsize=8, ncols=2)
    axes.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=110, format="png")


def _show(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"
