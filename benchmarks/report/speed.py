"""The section of throughput, as in the README."""

from collections.abc import Callable, Sequence
from functools import partial

from benchmarks import tables
from benchmarks.report.sources import SPEED as KINDS
from benchmarks.report.sources import Source, sound
from benchmarks.report.view import SPEED, Lens, Section, grid
from benchmarks.table import Result, Table

MAKERS: dict[str, tuple[str, Callable[[Result], Table]]] = {
    KINDS[0]: ("Simulation alone", tables.throughput_envs),
    KINDS[1]: ("Training", tables.throughput_gail),
    KINDS[2]: ("The core beside its peers", tables.throughput_core),
    KINDS[3]: ("How cost grows", tables.throughput_scaling),
}

ABOUT: dict[str, Callable[[Result], str]] = {
    KINDS[1]: tables.gail_beside_imitation,
    KINDS[3]: lambda result: " ".join(tables.flatness(result)),
}


def section(sources: Sequence[Source]) -> Section | None:
    """None without results."""
    grids = []
    for kind, (title, make) in MAKERS.items():
        for result in sound(sources, kind):
            about = ABOUT[kind](result) if kind in ABOUT else ""
            lens = Lens(lambda run: SPEED, partial(_tasks, kind), lambda run: None)
            grids.append(grid(kind, title, about, make(result), lens))
    about = "Medians of turns within one run; the ratios hold from one machine to another, steps per second do not."
    return Section("throughput", "Throughput", about, grids) if grids else None


def _tasks(kind: str, run: Result) -> list[str]:
    if kind in ("throughput-gail", "throughput-scaling"):
        return [run["env"]]
    return sorted(run["results"]) if kind == "throughput-envs" else []
