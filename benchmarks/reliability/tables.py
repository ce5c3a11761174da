"""The campaigns' results as rows of the README."""

from typing import Any

from benchmarks.table import Row, Table

Cells = tuple[list[str], list[list[str]]]
"""(header, rows)."""


def table(found: dict[str, Any]) -> Table:
    """Of any campaign's JSON."""
    header, rows = {"kills": _kills, "fuzz": _fuzz, "soak": _soak}[found["campaign"]](found)
    return Table(header, [Row(cells, [found]) for cells in rows])


def _kills(found: dict[str, Any]) -> Cells:
    """A row a target."""
    start = "fresh interpreters" if found["spawn"] else "forks with the libraries loaded"
    header = [
        f"SIGKILL ({start})",
        "kills",
        "in the middle of a write",
        "runs",
        "places that differ from an unbroken run",
    ]
    rows = [
        [name, str(row["kills"]), str(row["in_a_write"]), str(row["runs"]), str(len(row["differing"]))]
        for name, row in found["rows"].items()
    ]
    return header, rows


def _fuzz(found: dict[str, Any]) -> Cells:
    """A row a kind of file."""
    header = [
        "files of strangers",
        "made to harm",
        "damaged",
        "refused",
        "read",
        "slowest, s",
        "most memory, MiB",
        "wrong",
    ]
    rows = [
        [
            name,
            *(str(row[field]) for field in ("hostile", "damaged", "refused", "read")),
            f"{row['seconds']:.2f}",
            f"{row['mebibytes']:.0f}",
            str(len(row["wrong"])),
        ]
        for name, row in found["rows"].items()
    ]
    return header, rows


def _soak(found: dict[str, Any]) -> Cells:
    """A row an activity."""
    unit = {"training": "env steps of training", "fitting": "updates of a fit", "environments": "environments"}
    header = [
        "soak",
        "memory after the warm-up, MiB an hour",
        "grown, MiB",
        "peak, MiB",
        "open files grown",
        "threads grown",
        "minutes",
    ]
    rows = [
        [
            f"{row['done']:,} {unit[name]}",
            f"{row['mib_per_hour']:.2f}",
            f"{row['growth_mib']:.2f}",
            f"{row['peak_mib']:.0f}",
            str(row["open_files_grown"]),
            str(row["threads_grown"]),
            f"{row['seconds'] / 60:.1f}",
        ]
        for name, row in found["rows"].items()
    ]
    return header, rows
