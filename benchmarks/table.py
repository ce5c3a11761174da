"""A table as data: the README prints it as Markdown, the report as HTML and CSV."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

Result = dict[str, Any]


class Row(NamedTuple):
    """The cells as they are shown, and the results that they were made of."""

    cells: Sequence[str]
    runs: Sequence[Result]


class Table(NamedTuple):
    """All columns but the first `n_text` are numbers."""

    header: Sequence[str]
    rows: Sequence[Row]
    n_text: int = 1

    def markdown(self) -> str:
        ends = [":--"] * self.n_text + ["--:"] * (len(self.header) - self.n_text)
        lines = [list(self.header), ends, *(row.cells for row in self.rows)]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def grouped(results: Iterable[Result], key: Callable[[Result], tuple]) -> dict[tuple, list[Result]]:
    """Results by key, those of a key by their seed."""
    groups: dict[tuple, list[Result]] = {}
    for run in sorted(results, key=lambda run: run["seed"]):
        groups.setdefault(key(run), []).append(run)
    return groups


def apart(runs: Sequence[Result], facets: Callable[[Result], dict[str, str]]) -> list[tuple[str, list[Result]]]:
    """What differs in a facet never shares a row: [(what sets it apart, its runs)], one entry where all are alike.

    >>> apart([{"commit": "a"}, {"commit": "b"}], lambda run: {"commit": run["commit"]})
    [('commit a', [{'commit': 'a'}]), ('commit b', [{'commit': 'b'}])]
    """
    groups: dict[tuple[tuple[str, str], ...], list[Result]] = {}
    for run in runs:
        groups.setdefault(tuple(facets(run).items()), []).append(run)
    if len(groups) == 1:
        return [("", list(runs))]
    kinds = list(zip(*groups, strict=True))
    varying = [len(set(kind)) > 1 for kind in kinds]
    return [
        (", ".join(f"{name} {value}" for (name, value), varies in zip(found, varying, strict=True) if varies), members)
        for found, members in groups.items()
    ]


def commit_of(run: Result) -> str:
    return run.get("commit") or "unknown"
