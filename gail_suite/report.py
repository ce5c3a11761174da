"""A run's result for the eye: the table in the terminal."""

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from gail_suite.errors import InputError, plain
from gail_suite.fields import fits

ROWS = {
    "random": "random",
    "behavioural_cloning": "behavioural cloning",
    "constant_reward": "constant reward (D = 1/2)",
    "last": "GAIL, last",
    "policy": "GAIL, selected",
    "expert": "expert",
}
ENDS = ("random", "expert")
_NUMBERS = (
    "return_mean",
    "return_std",
    "return_iqm",
    "normalised_return",
    "displacement_mean",
    "episode_length_mean",
)


def print_table(evaluation: dict[str, Any], path: Path | None = None) -> None:
    """One row a policy: true return with its spread, displacement and length.  `-`: not measured or no such thing."""
    title = plain(f"{evaluation['env']}, {evaluation['episodes']} episodes, seed {evaluation['seed']}")
    table = Table(title=title, title_justify="left", header_style="bold")
    for column in ("policy", "return", "IQM [95 %]", "normalised", "displacement (m)", "steps"):
        table.add_column(column, justify="left" if column == "policy" else "right")
    for name, label in ROWS.items():
        if name in evaluation:
            table.add_row(label, *cells(evaluation[name]), style="bold" if name == "policy" else "")
    console = Console(width=max(Console().width, 104))  # a cut number is worse than a line that the terminal wraps
    console.print(table)
    if path is not None:
        console.print(
            f"[dim]{evaluation['env_steps']:,} env steps in {evaluation['wall_clock_s']:.0f} s; all in[/] {plain(path)}"
        )


def check_evaluation(evaluation: dict[str, Any], path: Path) -> None:
    """Raise `InputError` where what was read of `path` is not what a training writes."""
    rows = [*(evaluation[name] for name in ROWS if name in evaluation), evaluation.get("scale", {})]
    for row in rows:
        if not isinstance(row, dict) or not all(fits(row.get(name), float | None) for name in (*_NUMBERS, *ENDS)):
            break
        interval = row.get("return_ci95", [0.0, 0.0])
        if not isinstance(interval, list) or [fits(end, float) for end in interval] != [True, True]:
            break
    else:
        return
    raise InputError(f"{path} is damaged (a row is not what a training writes); delete it, or restore it")


def cells(row: dict[str, Any]) -> list[str]:
    """The numbers of one row, as text."""

    def show(name: str, digits: int = 0) -> str:
        value = row.get(name)
        return "-" if value is None else f"{value:,.{digits}f}"

    interval = row.get("return_ci95")
    low_high = "" if interval is None else f" [{interval[0]:,.0f}, {interval[1]:,.0f}]"
    return [
        f"{show('return_mean')} ± {show('return_std')}",
        f"{show('return_iqm')}{low_high}",
        show("normalised_return", 3),
        show("displacement_mean", 1),
        show("episode_length_mean"),
    ]
