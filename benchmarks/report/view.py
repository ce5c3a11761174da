"""What the page is made of: sections of tables and figures, every row and figure with where it comes from."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from benchmarks.report.sources import FILE
from benchmarks.table import Result, Table

NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?")
IMITATION, SPEED = "imitation", "speed"
UNKNOWN = "not recorded"


@dataclass(frozen=True)
class Cell:
    """A text, and the number that it sorts by; None sorts last."""

    text: str
    number: float | None = None


@dataclass(frozen=True)
class Line:
    """A row of the page."""

    cells: Sequence[Cell]
    family: str
    tasks: Sequence[str]
    origins: Sequence[dict[str, str]]
    is_failure: bool = False
    log: str = ""


@dataclass(frozen=True)
class Grid:
    """A table of the page; `slug` names its CSV."""

    slug: str
    title: str
    about: str
    header: Sequence[str]
    n_text: int
    lines: Sequence[Line]


@dataclass(frozen=True)
class Figure:
    """A picture as data URIs; `dark` where there is one for dark pages.  Several families are joined by `|`."""

    title: str
    caption: str
    light: str
    family: str
    tasks: Sequence[str]
    origins: Sequence[dict[str, str]]
    dark: str | None = None
    is_pixels: bool = False


@dataclass(frozen=True)
class Section:
    slug: str
    title: str
    about: str
    grids: Sequence[Grid] = ()
    figures: Sequence[Figure] = ()
    parts: Sequence["Section"] = ()
    link: str = ""
    notes: Sequence[str] = ()


class Lens(NamedTuple):
    """How a kind of result is looked at."""

    family: Callable[[Result], str]
    tasks: Callable[[Result], list[str]]
    seconds: Callable[[Result], float | None]

    def origins(self, runs: Iterable[Result]) -> list[dict[str, str]]:
        return [origin_of(run, self.seconds(run)) for run in runs]


def grid(slug: str, title: str, about: str, table: Table, lens: Lens) -> Grid:
    """A shared table with what the page adds: what each row sorts and filters by, and where it comes from."""
    lines = [
        Line(
            [Cell(text, None if i < table.n_text else sort_number(text)) for i, text in enumerate(row.cells)],
            lens.family(row.runs[0]),
            sorted({task for run in row.runs for task in lens.tasks(run)}),
            lens.origins(row.runs),
        )
        for row in table.rows
    ]
    return Grid(slug, title, about, table.header, table.n_text, lines)


def sort_number(text: str) -> float | None:
    """The number that a cell begins with; the mean where it lists one a seed.

    >>> sort_number("6,317 (294 m)"), sort_number("0.5, 1.5"), sort_number("-")
    (6317.0, 1.0, None)
    """
    parts = text.split(", ") if not text.startswith("[") else [text[1:].split(",")[0]]
    found = [NUMBER.match(part) for part in parts]
    numbers = [float(match[0].replace(",", "")) for match in found if match]
    return sum(numbers) / len(numbers) if numbers else None


def origin_of(run: Result, seconds: float | None) -> dict[str, str]:
    """Label -> text: command, commit, versions, seed, time and device of a result, as far as it says."""
    versions = run.get("versions") or {}
    return {
        "command": run.get("command") or UNKNOWN,
        "file": run.get(FILE) or UNKNOWN,
        "commit": run.get("commit") or UNKNOWN,
        "seed": str(run.get("seed", "-")),
        "date": run.get("date") or run.get("began") or UNKNOWN,
        "time": UNKNOWN if seconds is None else f"{seconds / 60:.1f} minutes",
        "device": device_of(run),
        "versions": ", ".join(f"{name} {version}" for name, version in versions.items() if version) or UNKNOWN,
    }


def device_of(run: dict[str, Any]) -> str:
    """The accelerator, or the processor with the threads that were used."""
    device = run.get("device")
    if device not in (None, "cpu"):
        return str(device)
    threads = run.get("threads") or run.get("cores")
    processor = run.get("processor") or ("cpu" if device or threads else UNKNOWN)
    return f"{processor}, {threads} thread{'s' if threads != 1 else ''}" if threads else str(processor)
