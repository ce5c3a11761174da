"""What came of a study: its numbers, its table and its curves, from the folders of its runs."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.imitation import statistics
from benchmarks.imitation.cases import MODULES, Variant
from benchmarks.provenance import anywhere
from benchmarks.sweep import Case
from benchmarks.table import Row, Table
from gail_suite.demonstrations.atomic import atomic_path
from gail_suite.run_directory import RunDirectory, read_json

KEPT = Path(__file__).parents[1] / "results" / "studies"
GOOD = 0.9  # of the way from random to the expert
HEADER = (
    "variant",
    "normalised, each seed",
    "IQM [95 %]",
    "last",
    "displacement (m)",
    f"steps to {GOOD:.0%}",
    "minutes",
    "cloning",
)


@dataclass(frozen=True)
class Study:
    """A task, what is compared in it, and the folder that holds a run a variant and seed."""

    env: str
    name: str
    variants: Mapping[str, Variant]
    common: tuple[str, ...]
    """Flags of every run, over which a variant's own win."""
    out: Path

    @property
    def folder(self) -> Path:
        return self.out / self.env.replace(":", "-").replace("/", "-") / self.name.replace(" ", "-")

    @property
    def title(self) -> str:
        return f"{self.env}, {self.name}"

    @property
    def kept(self) -> Path:
        """Where its numbers are published."""
        return KEPT / f"{self.env}-{self.name.replace(' ', '-')}.json"

    def cases(self, seed: int) -> list[Case]:
        """A case a variant."""
        return [self.case(variant, seed) for variant in self.variants]

    def case(self, variant: str, seed: int) -> Case:
        leading, own = split(self.variants[variant])
        module = MODULES[leading[0]] if leading else "gail_suite.train"
        task = ("--env", self.env, "--seed", str(seed), "--no-controls", "--no-video")
        return Case(
            name=f"{self.title}: {variant}, seed {seed}",
            folder=run_folder(self.folder, variant, seed),
            module=module,
            flags=(*leading, *self.common, *own, *task),
        )


def split(flags: Variant) -> tuple[Variant, Variant]:
    """Whose trainer it is, which comes first, and the rest."""
    n = 2 if flags[:1] and flags[0] in MODULES else 0
    return flags[:n], flags[n:]


def run_folder(folder: Path, variant: str, seed: int) -> Path:
    return folder / f"{variant.replace(', ', '-').replace(' ', '-')}-s{seed}"


def collect(study: Study) -> dict[str, Any]:
    """A row each run that has ended, whatever its seed, in the order of the variants and then of the seeds."""
    rows = []
    for variant in study.variants:
        stem = re.escape(run_folder(study.folder, variant, 0).name[: -len("0")])
        ended = {
            int(match[1]): file.parent
            for file in study.folder.glob("*/evaluation.json")
            if (match := re.fullmatch(rf"{stem}(\d+)", file.parent.name))
        }
        rows += [row(variant, RunDirectory(ended[seed])) for seed in sorted(ended)]
    return {
        "benchmark": "imitation",
        "env": study.env,
        "study": study.name,
        "rows": rows,
        "statistics": statistics.of_study(rows),
    }


def row(variant: str, run: RunDirectory) -> dict[str, Any]:
    """What the table, the statistics and the curves need of one run."""
    found = read_json(run.evaluation_file)
    scale, judged = found["scale"], found["policy"]
    looks = [look for look in run.metrics() if "eval/return_mean" in look]
    curve = [[look["env_steps"], normalised(look["eval/return_mean"], scale)] for look in looks]
    cloned = found.get("behavioural_cloning", {})
    return {
        "variant": variant,
        "seed": found["seed"],
        "command": anywhere(found).get("command"),
        "commit": found.get("commit"),
        "began": found.get("began"),
        "threads": found.get("threads"),
        "versions": found.get("versions"),
        "reward": found.get("reward"),
        "algo": found.get("algo"),
        "env_steps": found["env_steps"],
        "n_demos": found.get("n_demos"),
        "subsample": found.get("subsample"),
        "pairs": found["pairs"],
        "return_mean": judged.get("return_mean"),
        "normalised_return": judged.get("normalised_return"),
        "normalised_episodes": [normalised(value, scale) for value in judged.get("returns", [])]
        if None not in scale.values()
        else [],
        "displacement": judged.get("displacement_mean"),
        "episode_length": judged.get("episode_length_mean"),
        "last": found["last"].get("normalised_return"),
        "cloning": cloned.get("normalised_return"),
        "steps_to_good": next((steps for steps, value in curve if value is not None and value >= GOOD), None),
        "wall_clock_s": found["wall_clock_s"],
        "curve": curve,
        "curve_seconds": [look.get("wall_clock_s") for look in looks],
    }


def normalised(value: float, scale: Mapping[str, float | None]) -> float | None:
    random, expert = scale["random"], scale["expert"]
    return None if random is None or expert is None else (value - random) / (expert - random)


def table_rows(found: Mapping[str, Any]) -> list[list[str]]:
    """A row a variant, every seed shown, and one for each run that failed."""
    groups = statistics.by_variant(found["rows"])
    rows = [
        [
            variant,
            ", ".join(_show(run["normalised_return"], 3) for run in runs),
            _estimate(statistics.of_variant(runs)),
            ", ".join(_show(run["last"], 3) for run in runs),
            ", ".join(_show(run["displacement"], 0) for run in runs),
            ", ".join(_show(run["steps_to_good"], 0) for run in runs),
            _show(float(np.mean([run["wall_clock_s"] for run in runs])) / 60, 1),
            _show(runs[0]["cloning"], 3),
        ]
        for variant, runs in groups.items()
    ]
    nothing = ["-"] * (len(HEADER) - 2)
    return rows + [[failed, "failed", *nothing] for failed in found.get("failed", [])]


def markdown(found: Mapping[str, Any]) -> str:
    """The table for a terminal or a README."""
    return table(HEADER, table_rows(found))


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """As Markdown; all columns but the first are numbers."""
    return Table(header, [Row(cells, []) for cells in rows]).markdown()


def draw(found: Mapping[str, Any], path: Path) -> None:
    """The looks of every run over steps and over time, a colour a variant; a policy that takes no steps is a line."""
    from matplotlib import colormaps
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 5), layout="constrained")
    FigureCanvasAgg(figure)
    by_steps, by_time = figure.subplots(1, 2, sharey=True)
    for index, (variant, runs) in enumerate(statistics.by_variant(found["rows"]).items()):
        style: dict[str, Any] = {"color": colormaps["tab20"](index % 20), "linewidth": 1.2}
        for run in runs:
            values = [value for _, value in run["curve"]]
            if not values or None in values:
                continue
            label = variant if run is runs[0] else None
            if len(values) == 1:
                by_steps.axhline(values[0], linestyle=":", label=label, **style)
                continue
            by_steps.plot([steps for steps, _ in run["curve"]], values, label=label, **style)
            seconds = run.get("curve_seconds") or []
            if seconds and None not in seconds:
                by_time.plot(np.array(seconds) / 60, values, **style)
    if by_steps.lines:  # none where nobody knows the ends of the scale
        by_steps.legend(fontsize=8, ncols=2)
    for axes, label in ((by_steps, "environment steps"), (by_time, "minutes")):
        axes.axhline(1.0, color="#2a7f3f", linestyle="--", linewidth=1)
        axes.set(xlabel=label)
        axes.spines[["top", "right"]].set_visible(False)
    by_steps.set(ylabel="normalised return", title=f"{found['env']}, {found['study']}")
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=110, format="png")


def _show(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"


def _estimate(found: Mapping[str, Any] | None) -> str:
    """Of a single seed the interval is over its episodes, and says so."""
    if found is None:
        return "-"
    if found["ci95"] is None:
        return f"{found['iqm']:.3f}"
    low, high = found["ci95"]
    return f"{found['iqm']:.3f} [{low:.3f}, {high:.3f}]{'' if found['over'] == 'seeds' else ', episodes'}"
