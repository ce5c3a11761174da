"""What a reader must know before comparing two figures of the page: a line each."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Literal, NamedTuple

from benchmarks import tables
from benchmarks.images import tables as of_images
from benchmarks.report import images
from benchmarks.report.sources import FILE, Source, sound
from benchmarks.table import Result, apart, commit_of, grouped


class Warning(NamedTuple):
    """`damaged`: left out; `failed`: a run that broke off; `apart`: not averaged; `note`: to be kept in mind."""

    kind: Literal["damaged", "failed", "apart", "note"]
    text: str


def warnings(sources: Sequence[Source]) -> list[Warning]:
    """The gravest first."""
    found = [
        Warning("damaged", f"{source.name} is left out: {'; '.join(source.problems)}")
        for source in sources
        if source.problems
    ]
    found += [
        Warning("failed", f"{source.name}: {source.data['failed']}")
        for source in sources
        if source.kind == "failure" and not source.problems
    ]
    found += [
        Warning("failed", f"{study[FILE]}: {line}") for study in sound(sources, "studies") for line in _failed(study)
    ]
    kinds: list[tuple[str, Callable[[Result], tuple], Callable[[Result], dict[str, str]], Callable[[Result], str]]] = [
        ("imitation", tables.task_and_data, tables.facets, lambda run: tables.about(tables.task_and_data(run))),
        ("images", of_images.key, of_images.facets, of_images.about),
        ("experiments", lambda run: (run["model"], run["preset"]), images.facets, lambda run: run["about"]),
    ]
    for kind, key, facets, about in kinds:
        for runs in grouped(sound(sources, kind), key).values():
            found += _split(about(runs[0]), apart(runs, facets))
            if kind != "imitation":
                found += _mixed_commits(about(runs[0]), runs)
    found += _judges(sound(sources, "experiments"))
    for kind in ("imitation", "images", "experiments"):
        found += _origins(kind, sound(sources, kind))
    groups = [runs for _, runs in tables.imitation_groups(sound(sources, "imitation"))]
    few = sum(len(runs) < tables.FEW_SEEDS for runs in groups)
    if few:
        found.append(
            Warning(
                "note",
                f"imitation: {few} of {len(groups)} rows have fewer than {tables.FEW_SEEDS} seeds of one commit; their "
                "intervals over seeds say next to nothing",
            )
        )
    return found


def _failed(study: Result) -> Iterable[str]:
    return study.get("failed", [])


def _split(about: str, groups: Sequence[tuple[str, Sequence[Result]]]) -> Iterable[Warning]:
    if len(groups) > 1:
        kinds = "; ".join(what for what, _ in groups)
        yield Warning("apart", f"{about}: {len(groups)} kinds of result, not averaged and not to be compared: {kinds}")
    for _, runs in groups:
        for seed, times in Counter(run["seed"] for run in runs).items():
            if times > 1:
                yield Warning("note", f"{about}: seed {seed} stands {times} times in one row")


def _mixed_commits(about: str, runs: Sequence[Result]) -> Iterable[Warning]:
    commits = sorted({commit_of(run) for run in runs})
    if len(commits) > 1:
        yield Warning("apart", f"{about}: seeds of commits {', '.join(commits)}, each shown for itself")


def _judges(runs: Sequence[Result]) -> Iterable[Warning]:
    """One name, several networks or numbers of samples, within one preset."""
    seen: dict[tuple[str, str], dict[tuple[str, int], set[str]]] = {}
    for run in runs:
        for name, judge in run["judges"].items():
            networks = seen.setdefault((run["preset"], name), {})
            networks.setdefault((judge["sha256"][:12], run["size"]["n_judged"]), set()).add(run["about"])
    for (preset, name), networks in seen.items():
        if len(networks) > 1:
            uses = "; ".join(
                f"network {sha256}, {n:,} samples: {', '.join(sorted(users))}"
                for (sha256, n), users in sorted(networks.items())
            )
            yield Warning("apart", f"judges of {name} (preset {preset}) do not compare with each other: {uses}")


def _origins(kind: str, runs: Sequence[Result]) -> Iterable[Warning]:
    dirty = sum(commit_of(run).endswith("-dirty") for run in runs)
    if dirty:
        yield Warning("note", f"{kind}: {dirty} results are of a working tree that no commit holds (-dirty)")
    unknown = sum(run.get("commit") is None for run in runs)
    if unknown:
        yield Warning("note", f"{kind}: {unknown} results do not say their commit")
    smoke = sum(run.get("preset") == "smoke" for run in runs)
    if smoke:
        yield Warning(
            "note", f"{kind}: {smoke} results are of the preset smoke: they show that it runs, and no quality"
        )
