"""docs/systems.md, from nothing but the JSON of experiments."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.table import Result, Row, Table, grouped
from gail_suite.errors import InputError

HEAD = """# Implicit models, translation and latent operations: what each of them measured

Every system of the core without a density, with the question that its paper asks, on data that need no download or on
Fashion-MNIST, at a size that two processor cores train in about three minutes.  *Ablation* is the system without what
its paper argues for, *baseline* the trivial way, *ceiling* the best that could be.  Every seed is shown.  This page is
made by `python -m benchmarks.readme` from `benchmarks/results/experiments/`; the arrows say which way is better, and
*beats* whether ours is: a **no** is a negative result at this size, and stays in the table.
Judges are small classifiers trained here, never the network inside a loss; their accuracy on real images is given.
"""
SIGNS = {"higher": " ↑", "lower": " ↓", "neither": ""}
ROLES = ("ours", "ablation", "baseline", "ceiling")
RIVALS = ("ablation", "baseline")


def page(results: Iterable[Result], pictures: Path) -> str:
    """The whole page.  Raises InputError where seeds of one system were measured in different ways."""
    groups = grouped(results, lambda run: (run["model"], run["preset"]))
    for (model, preset), runs in groups.items():
        _require_alike(model, preset, runs)
    ordered = [runs for _, runs in sorted(groups.items())]
    sections = [_section(runs, pictures) for runs in ordered]
    links = [f"[{_heading(runs[0])}](#{_anchor(runs[0])})" for runs in ordered]
    return "\n".join([HEAD, summary(ordered, links).markdown(), "", *sections])


def _require_alike(model: str, preset: str, runs: Sequence[Result]) -> None:
    first = runs[0]
    for run in runs[1:]:
        for part in ("size", "judges", "data", "measures"):
            if run[part] != first[part]:
                raise InputError(
                    f"the results of {model} ({preset}) for seeds {first['seed']} and {run['seed']} differ in their "
                    f"{part}, so they cannot share a table: run one of them again"
                )


def summary(groups: Sequence[Sequence[Result]], labels: Sequence[str]) -> Table:
    """A row a system: its headline measure by role, the first row of each."""
    rows = []
    for runs, label in zip(groups, labels, strict=True):
        first = runs[0]
        headline, measure = next(iter(first["measures"].items()))
        cells = [label, headline + SIGNS[measure["better"]]]
        for role in ROLES:
            names = [row["name"] for row in first["rows"] if row["role"] == role and headline in row["values"]]
            cells.append(_each_seed(runs, names[0], headline) if names else "-")
        rows.append(Row([*cells, *(_beats(runs, headline, role) for role in RIVALS), _minutes(runs)], runs))
    header = ["system", "measure", *ROLES, *(f"beats {role}" for role in RIVALS), "minutes"]
    return Table(header, rows, n_text=2)


def contenders(runs: Sequence[Result]) -> Table:
    """A row a contender of one system, every seed shown."""
    first = runs[0]
    measures = first["measures"]
    rows = [
        Row([row["name"], row["role"], *(_each_seed(runs, row["name"], name) for name in measures)], runs)
        for row in first["rows"]
    ]
    header = ["contender", "role", *(name + SIGNS[measure["better"]] for name, measure in measures.items())]
    return Table(header, rows, n_text=2)


def _section(runs: Sequence[Result], pictures: Path) -> str:
    first = runs[0]
    measures = first["measures"]
    lines = [f"## {_heading(first)}" + ("" if first["preset"] == "cpu" else f", preset {first['preset']}"), ""]
    lines += [f"{first['question'][0].upper()}{first['question'][1:]} ([paper]({first['paper']}))", ""]
    lines.append(contenders(runs).markdown())
    lines += ["", *(f"- {name}: {measure['what']}" for name, measure in measures.items())]
    for name, judge in first["judges"].items():
        lines.append(
            f"- judge of {name}: {judge['accuracy_on_real']:.1%} right on real ones (`{judge['sha256'][:12]}`)"
        )
    picture = pictures / f"{first['model']}.png"
    if picture.exists():
        lines += [
            "",
            f"![{first['caption']}]({picture.parent.name}/{picture.name})",
            "",
            f"*{first['caption']}.*",
        ]
    lines += [
        "",
        f"{_minutes(runs)} minutes on {first['device']}, {_count(first['threads'], 'thread')}; seed"
        f"{'s' if len(runs) > 1 else ''} {', '.join(str(run['seed']) for run in runs)}: `{first['command']}`",
        "",
    ]
    return "\n".join(lines)


def _each_seed(runs: Sequence[Result], row_name: str, measure: str) -> str:
    shown = []
    for run in runs:
        values = [row["values"][measure] for row in run["rows"] if row["name"] == row_name and measure in row["values"]]
        shown += [_shown(values[0])] if values else []
    return ", ".join(shown) or "-"


def _beats(runs: Sequence[Result], measure: str, rival: str) -> str:
    """Whether the first of ours is better by `measure` than the first rival, over the seeds, in the digits shown."""
    better = runs[0]["measures"][measure]["better"]
    outcomes = []
    for run in runs:
        first: dict[str, float] = {}
        for row in run["rows"]:
            if measure in row["values"]:
                first.setdefault(row["role"], row["values"][measure])
        if better != "neither" and {"ours", rival} <= first.keys():
            is_equal = _shown(first["ours"]) == _shown(first[rival])
            is_ahead = (first["ours"] > first[rival]) == (better == "higher")
            outcomes.append("equal" if is_equal else "yes" if is_ahead else "**no**")
    if not outcomes:
        return "-"
    n_won = outcomes.count("yes")
    return outcomes[0] if len(set(outcomes)) == 1 else f"{n_won} of {len(outcomes)} seeds"


def _shown(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def _count(n: int, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"


def _minutes(runs: Sequence[Result]) -> str:
    return ", ".join(f"{run['seconds'] / 60:.1f}" for run in runs)


def _heading(run: Result) -> str:
    """Without signs that stand alone, of which GitHub and the documentation's site make different anchors."""
    return run["about"].replace(" -> ", " to ").replace(" + ", "+")


def _anchor(run: Result) -> str:
    """As GitHub makes it of the heading."""
    kept = "".join(c for c in _heading(run).lower() if c.isalnum() or c in " -")
    return kept.replace(" ", "-")
