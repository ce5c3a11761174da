"""python -m benchmarks.report: all results as one HTML page, report.md and CSVs, from their JSON and pictures."""

from dataclasses import dataclass
from pathlib import Path

from benchmarks.collect import RESULTS
from gail_suite.cli import run_verb

DOCS = Path(__file__).parents[2] / "docs"


@dataclass(frozen=True)
class Arguments:
    """Write the report: a page that needs no network, its tables as Markdown and CSV.  Damaged results are named on it
    and left out."""

    results: Path = RESULTS
    """Folder of the results: imitation/, studies/, images/, experiments/ and throughput-*.json."""
    pictures: Path = DOCS / "systems"
    """The kept pictures of experiments."""
    samples: Path = DOCS / "samples"
    """The kept samples of the cases of images."""
    runs: tuple[Path, ...] = ()
    """Also what these run folders hold, or the run folders in them: results, and notes of failures."""
    out: Path = Path("runs") / "report"
    """Where the report goes."""


def main() -> int:
    import tyro

    arguments = tyro.cli(Arguments, prog="python -m benchmarks.report")
    from benchmarks.report import page
    from benchmarks.report.sources import read_results, read_runs

    sources = read_results(arguments.results, arguments.pictures, arguments.samples) + read_runs(arguments.runs)
    report = page.make(sources)
    page.write(report, arguments.out)
    for kind, text in report.warnings:
        print(f"{kind}: {text}")
    print(arguments.out / "report.html")
    return 0


if __name__ == "__main__":
    run_verb(main)
