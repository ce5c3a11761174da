"""The sections of imitation: the README's table, intervals over seeds, every policy of every run, curves, studies."""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from benchmarks import tables
from benchmarks.imitation import study
from benchmarks.report import figures
from benchmarks.report.sources import FILE, Source, sound
from benchmarks.report.view import IMITATION, Cell, Figure, Grid, Lens, Line, Section, grid
from benchmarks.table import Result, Row, Table, commit_of
from gail_suite.report import ROWS

LENS = Lens(lambda run: IMITATION, lambda run: [run["env"]], lambda run: run["wall_clock_s"])


def section(sources: Sequence[Source]) -> Section | None:
    """None without results."""
    runs = sound(sources, "imitation")
    if not runs:
        return None
    grids = [
        grid(
            "imitation",
            "Every task, each seed",
            "Normalised return is 0 for random actions and 1 for the deterministic expert; distances are net metres "
            "over the ground. Cloning, a constant reward and the expert are the controls.",
            tables.imitation(runs),
            LENS,
        ),
        grid(
            "imitation-seeds",
            "Interquartile means over seeds",
            "Of the selected policy's normalised return. Intervals by percentile bootstrap, seeds drawn anew within "
            f"each row; with fewer than {tables.FEW_SEEDS} seeds they say next to nothing. Commits are never mixed.",
            tables.of_seeds(runs),
            LENS,
        ),
        grid(
            "imitation-policies",
            "Every policy of every run",
            "Interquartile mean over episodes with its 95 % bootstrap interval, as the run wrote it.",
            policies(runs),
            LENS,
        ),
    ]
    return Section("imitation", "Imitation", "", grids, curves(runs))


def policies(runs: Sequence[Result]) -> Table:
    """A row a policy, the controls included."""
    rows = []
    for label, members in tables.imitation_groups(runs):
        for run in members:
            for name, title in ROWS.items():
                if run.get(name) is not None:
                    rows.append(Row([label, title, str(run["seed"]), *_policy(run[name])], [run]))
    header = ("task and data", "policy", "seed", "IQM of episodes", "95 % interval", "normalised", "displacement (m)")
    return Table((*header, "length (steps)", "episodes"), rows, n_text=2)


def _policy(row: dict[str, Any]) -> list[str]:
    low, high = row["return_ci95"]

    def show(name: str, digits: int) -> str:
        return "-" if row.get(name) is None else f"{row[name]:,.{digits}f}"

    interval = f"{low:,.0f} to {high:,.0f}"
    names = {"normalised_return": 3, "displacement_mean": 1, "episode_length_mean": 0, "episodes": 0}
    return [show("return_iqm", 0), interval, *(show(name, digits) for name, digits in names.items())]


def curves(runs: Sequence[Result]) -> list[Figure]:
    """Return at the looks of each run, over steps and over minutes, a pair a task."""
    found = []
    labelled = [(label, run) for label, members in tables.imitation_groups(runs) for run in members if run.get("curve")]
    for env, items in groupby(labelled, key=lambda item: item[1]["env"]):
        of_env = list(items)
        expert = of_env[0][1].get("expert")
        levels = [("expert", expert["return_mean"])] if expert else []
        for x, unit, scale in (
            ("env_steps", "environment steps", 1.0),
            ("wall_clock_s", "minutes of wall clock", 60.0),
        ):
            series = [
                figures.Series(
                    label.removeprefix(f"{env}, "),
                    [look[x] / scale for look in run["curve"]],
                    [look["return_mean"] for look in run["curve"]],
                )
                for label, run in of_env
            ]
            light, dark = figures.curves(series, x=unit, y="true return", levels=levels, floor=0)
            title = f"{env}: return over {'environment steps' if x == 'env_steps' else 'wall clock'}"
            caption = "Mean return at each look during training, deterministic; a line a seed; dashed: the expert."
            origins = LENS.origins(run for _, run in of_env)
            found.append(Figure(title, caption, light, IMITATION, [env], origins, dark))
    return found


def studies(sources: Sequence[Source]) -> Section | None:
    """One table and one plot a study; a run of it that failed is a row."""
    parts = [_study(found) for found in sound(sources, "studies")]
    about = "One thing changed at a time, the same settings otherwise."
    return Section("studies", "What of an imitation matters", about, parts=parts) if parts else None


def _study(found: Result) -> Section:
    lens = Lens(lambda run: IMITATION, lambda run: [found["env"]], lambda run: run["wall_clock_s"])
    by_commit: dict[str, list[Result]] = {}
    for run in found["rows"]:
        by_commit.setdefault(commit_of(run), []).append({**run, FILE: found[FILE]})
    rows = []
    for runs in by_commit.values():
        for cells in study.table_rows({**found, "rows": runs, "failed": []}):
            rows.append(Row(cells, [run for run in runs if run["variant"] == cells[0]]))
    slug = f"study-{Path(found[FILE]).stem}"
    about = f"Runs of one commit share a row; commits here: {', '.join(by_commit)}."
    drawn = grid(slug, f"{found['env']}, {found['study']}", about, Table(study.HEADER, rows), lens)
    failed = [
        Line([Cell(line), *([Cell("-")] * (len(study.HEADER) - 1))], IMITATION, [found["env"]], [], is_failure=True)
        for line in found.get("failed", [])
    ]
    series = [
        figures.Series(run["variant"], [x for x, _ in points], [y for _, y in points])
        for run in found["rows"]
        if (points := [(x, y) for x, y in run["curve"] if y is not None])
    ]
    pictures = []
    if series:
        light, dark = figures.curves(series, x="environment steps", y="normalised return", levels=[("expert", 1.0)])
        caption = "Normalised return at each look; a colour and dash a variant."
        origins = lens.origins([{**found, "seed": "all"} | {"wall_clock_s": _total(found)}])
        pictures = [Figure(drawn.title, caption, light, IMITATION, [found["env"]], origins, dark)]
    with_failed = Grid(slug, drawn.title, about, drawn.header, drawn.n_text, [*drawn.lines, *failed])
    return Section(slug, drawn.title, "", [with_failed], pictures)


def _total(found: Result) -> float:
    return sum(run["wall_clock_s"] for run in found["rows"])
