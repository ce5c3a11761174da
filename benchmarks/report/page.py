"""Everything that the page says, and how it is written: report.html, report.md and a CSV a table."""

import base64
import csv
import hashlib
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.report import honesty, images, imitation, speed
from benchmarks.report.sources import FOLDERS, Source, sound
from benchmarks.report.view import UNKNOWN, Cell, Figure, Grid, Line, Section, origin_of
from gail_suite.demonstrations.atomic import atomic_path
from gail_suite.run_directory import write_text

TEMPLATES = Path(__file__).parent / "templates"
FAILURES_SHOWN = 30  # lines of a log
COUNTED = {"imitation": "imitation runs", "studies": "studies", "images": "likelihoods", "experiments": "experiments"}


@dataclass(frozen=True)
class Report:
    """What the templates are filled with."""

    tiles: Sequence[tuple[str, str]]
    facts: Sequence[tuple[str, str]]
    warnings: Sequence[honesty.Warning]
    sections: Sequence[Section]
    families: Sequence[str]
    tasks: Sequence[str]

    def grids(self) -> Iterator[tuple[Section, Grid]]:
        """All tables, in the order of the page."""
        for section in self.sections:
            for part in (section, *section.parts):
                yield from ((part, grid) for grid in part.grids)

    def figures(self) -> Iterator[Figure]:
        for section in self.sections:
            for part in (section, *section.parts):
                yield from part.figures


def make(sources: Sequence[Source]) -> Report:
    """Judge, group and draw; raises nothing for what is in the files."""
    made = [
        _failures(sources),
        imitation.section(sources),
        imitation.studies(sources),
        images.section(sources),
        images.experiments(sources),
        speed.section(sources),
    ]
    sections = [section for section in made if section is not None]
    warnings = honesty.warnings(sources)
    report = Report((), (), warnings, sections, (), ())
    lines = [line for _, grid in report.grids() for line in grid.lines]
    shown: list[Line | Figure] = [*lines, *report.figures()]
    runs = {(origin["file"], origin["command"], origin["seed"]): origin for part in shown for origin in part.origins}
    origins = list(runs.values())
    counts = [(COUNTED[kind], len(sound(sources, kind))) for kind in FOLDERS]
    counts.append(("throughput", sum(source.kind.startswith("throughput") for source in sources)))
    tiles = [(name, str(count)) for name, count in counts if count]
    tiles += [("rows", str(len(lines))), ("warnings", str(len(warnings)))]
    facts = [(name, _listed(origin[name] for origin in origins)) for name in ("device", "commit")]
    dates = sorted({origin["date"][:10] for origin in origins if origin["date"] != UNKNOWN})
    facts.append(("dates", f"{dates[0]} to {dates[-1]}" if dates else UNKNOWN))
    return Report(
        tiles,
        facts,
        warnings,
        sections,
        list(dict.fromkeys(family for part in shown for family in part.family.split("|") if family)),
        sorted({task for part in shown for task in part.tasks}),
    )


def write(report: Report, folder: Path) -> None:
    """Everything into the folder, each file whole or not at all."""
    write_text(folder / "report.html", html(report))
    write_text(folder / "report.md", render("report.md.j2", report))
    for _, grid in report.grids():
        with atomic_path(folder / f"{file_name(grid.slug)}.csv") as temporary:
            temporary.write_text(csv_text(grid), newline="")


def html(report: Report) -> str:
    """One page that loads nothing: its script runs by its hash alone, so no text of a file can become one."""
    script = (TEMPLATES / "page.js").read_text()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    style = (TEMPLATES / "style.css").read_text()
    return render("page.html.j2", report, script=script, script_hash=f"sha256-{digest}", style=style)


def render(template: str, report: Report, **more: Any) -> str:
    return _environment().get_template(template).render(report=report, **more)


@cache
def _environment() -> Any:
    """What templates are read with; text of files is escaped in the HTML."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=jinja2.select_autoescape(["html.j2"]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["slug"] = file_name
    environment.filters["cell"] = markdown_cell
    return environment


def csv_text(grid: Grid) -> str:
    """The table with, a row, its family, tasks and the origin of its first result; all commands."""
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow([*grid.header, "family", "tasks", "commits", "commands", "files"])
    for line in grid.lines:
        columns = ("commit", "command", "file")
        origins = ["; ".join(dict.fromkeys(origin[name] for origin in line.origins)) for name in columns]
        cells = [*(cell.text for cell in line.cells), line.family, ", ".join(line.tasks), *origins]
        writer.writerow([_no_formula(cell) for cell in cells])
    return file.getvalue()


def file_name(slug: str) -> str:
    """Safe in any file system and as an anchor."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", slug).strip("-.")[:100] or "table"


def markdown_cell(text: str) -> str:
    """Text that ends no cell and starts no tag."""
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def _no_formula(cell: str) -> str:
    """Spreadsheets run what begins like a formula; numbers and a dash alone are none."""
    is_number = re.fullmatch(r"[-+]?[\d.,e+-]*", cell) is not None
    return f"'{cell}" if cell[:1] in ("=", "+", "-", "@") and not is_number else cell


def _listed(texts: Iterator[str]) -> str:
    """Each once with how many results it stands behind, the most frequent first."""
    return ", ".join(f"{text} ({count})" for text, count in Counter(texts).most_common()) or UNKNOWN


def _failures(sources: Sequence[Source]) -> Section | None:
    lines = [
        Line(
            [Cell(source.name), Cell(source.data["failed"])],
            "",
            [],
            [origin_of(source.data, None)],
            is_failure=True,
            log="\n".join(str(line) for line in source.data.get("log", [])[-FAILURES_SHOWN:]),
        )
        for source in sources
        if source.kind == "failure" and not source.problems
    ]
    if not lines:
        return None
    grid = Grid("failures", "", "", ("run", "what happened"), 2, lines)
    return Section("failures", "Failed runs", "Runs that broke off; none of them is in a table below.", [grid])
