"""`scaling`: how cost grows with environments, batch, width and demonstrations, as JSON and as a picture."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from benchmarks import tables
from benchmarks.provenance import usable_cores
from benchmarks.throughput.limit import check_task
from benchmarks.throughput.result import provenance
from benchmarks.throughput.scaling_lines import Line, Plot, plots
from benchmarks.throughput.scaling_picture import draw
from gail_suite.errors import InputError
from gail_suite.run_directory import write_json


@dataclass(frozen=True, kw_only=True)
class ScalingConfig:
    """Every line's points take turns, so that what slows the machine for a while bends no line; medians count."""

    env: str = "Ant-v4"
    """Task."""
    plots: tuple[str, ...] = ("envs", "gail", "batch", "width", "critic")
    """Which of them."""
    points: int = 8
    """Points of each line, from the smallest on; few, to see it run."""
    threads: tuple[int, ...] = (1, 2)
    """Processor threads, a line each in the plot of the environments; those beyond the cores are left out."""
    seconds: float = 0.5
    """Time of each point in each round, or that of one call where it takes longer."""
    rounds: int = 3
    """Turns that each point gets, after a call to warm up."""
    round_steps: int = 4096
    """Env steps of a training round, which its environments share."""
    warm_up: int = 100
    """Untimed steps of every environment first, so that its episodes are under way."""
    json: Path | None = None
    """File for the result; the picture lies beside it, as .png."""

    def check(self) -> None:
        """Raise InputError on numbers that make no sense and plots that are not there."""
        for name in ("points", "rounds", "round_steps"):
            if getattr(self, name) < 1:
                raise InputError(f"--{name.replace('_', '-')} must be at least 1, got {getattr(self, name)}")
        if not self.threads or min(self.threads) < 1:
            raise InputError("--threads takes numbers of at least 1")
        check_task(self.env)


def run(config: ScalingConfig, arguments: list[str], console: Console) -> dict[str, Any]:
    """Measure, print, write and draw; returns what it wrote.  Raises InputError as `ScalingConfig.check` does."""
    config.check()
    threads = tuple(n for n in config.threads if n <= usable_cores()) or (min(config.threads),)
    known = plots(config.env, threads, config.round_steps, config.warm_up)
    unknown = [name for name in config.plots if name not in known]
    if unknown or not config.plots:
        raise InputError(f"there is no plot {(unknown or ['of no name'])[0]!r}; choose among {', '.join(known)}")
    result: dict[str, Any] = {
        "benchmark": "throughput/scaling",
        **provenance(arguments),
        "env": config.env,
        "seconds": config.seconds,
        "rounds": config.rounds,
        "round_steps": config.round_steps,
        "plots": {},
    }
    with console.status("") as status:
        for name in config.plots:
            status.update(known[name].title)
            result["plots"] |= measure(name, known[name], config)
    console.print(table(result))
    for sentence in tables.flatness(result):
        console.print(sentence, highlight=False)
    if config.json is not None:
        write_json(config.json, result)
        draw(result, config.json.with_suffix(".png"))
    return result


def measure(name: str, plot: Plot, config: ScalingConfig) -> dict[str, dict[str, Any]]:
    """The plot as the JSON has it, and that of its events/s where there are any."""
    rates = [measure_line(line, config) for line in plot.lines]
    found = {name: _plot(plot, plot.y, rates, lambda x, rate: 1000 / rate if plot.is_time else rate)}
    if plot.events_of is not None:
        events_of = plot.events_of
        found[f"{name}-events"] = _plot(plot, "events/s", rates, lambda x, rate: events_of(x) * rate)
    return found


def measure_line(line: Line, config: ScalingConfig) -> dict[int, list[float]]:
    """x -> what was measured there in each round, a second."""
    before = torch.get_num_threads()
    torch.set_num_threads(line.threads)
    torch.manual_seed(0)
    rates: dict[int, list[float]] = {}
    try:
        with ExitStack() as stack:
            contenders = {}
            for x in line.xs[: config.points]:
                contenders[x] = line.make(x)
                stack.callback(contenders[x].close)
            for _ in range(config.rounds):
                for x, contender in contenders.items():
                    rates.setdefault(x, []).append(contender.measure(config.seconds))
    finally:
        torch.set_num_threads(before)
    return rates


def _plot(
    plot: Plot, y: str, rates: list[dict[int, list[float]]], value: Callable[[int, float], float]
) -> dict[str, Any]:
    """One plot of the JSON, with `value(x, rate)` as y."""
    lines = []
    for line, found in zip(plot.lines, rates, strict=True):
        points = []
        for x, per_round in found.items():
            values = [value(x, rate) for rate in per_round]
            points.append({"x": x, "y": median(values), "per_round": values})
        threads = f"{line.threads} thread{'s' if line.threads > 1 else ''}"
        label = f"{line.label}, {threads}" if line.label else threads
        lines.append({"label": label, "threads": line.threads, "points": points})
    return {"title": plot.title, "x": plot.x, "y": y, "lines": lines}


def table(result: dict[str, Any]) -> Table:
    """As the report has it."""
    made = tables.throughput_scaling(result)
    shown = Table(title=f"{result['cores']} cores", title_justify="left", header_style="bold")
    for i, column in enumerate(made.header):
        shown.add_column(column, justify="left" if i < made.n_text else "right")
    for row in made.rows:
        shown.add_row(*row.cells)
    return shown
