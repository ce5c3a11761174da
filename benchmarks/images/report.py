"""A result for the eye: the tables in the terminal."""

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.images.cases import CASES
from benchmarks.images.published import of_paper
from benchmarks.images.recipes import ClosedForm, Recipe

KEPT = Path(__file__).parents[1] / "results" / "images"


def name(result: dict[str, Any]) -> str:
    """Of the kept file: a later result of the same takes the place of the earlier."""
    data = result["data"]
    side = f"{data['event_shape'][-1]}px"
    return "-".join(
        str(part)
        for part in (result["model"], data["name"], side, data["pixels"], result["preset"], f"s{result['seed']}")
        if part is not None
    )


def print_cases() -> None:
    """One row a case."""
    table = Table(title="python -m benchmarks.images --model ...", title_justify="left", header_style="bold")
    for column in ("model", "what", "data", "cpu", "gpu"):
        table.add_column(column)
    for name, case in CASES.items():
        table.add_row(name, case.about, f"{case.dataset}, {case.pixels}", _short(case.cpu), _short(case.gpu))
    Console(width=max(Console().width, 120)).print(table)


def print_result(result: dict[str, Any], path: Path) -> None:
    """The figures, with the paper's where it measured the same."""
    title = f"{result['model']} on {result['data']['name']}, {result['parameters']:,} parameters"
    table = Table(title=title, title_justify="left", header_style="bold")
    bits = "bits_per_dim" in result["test"]
    for column in ("", "nats", *(("bits/dim",) if bits else ()), "images", "how"):
        table.add_column(column, justify="left" if column in ("", "how") else "right")
    row = result["test"]
    figures = [f"{row['nats']:.2f} ± {row['standard_error']:.2f}", *((f"{row['bits_per_dim']:.3f}",) if bits else ())]
    table.add_row("test", *figures, f"{row['n']:,}", row["estimator"])
    published = of_paper(result)
    if published is not None:
        table.add_row("paper", f"{published.nats:.2f}", *(("",) if bits else ()), "10,000", published.about)
    console = Console(width=max(Console().width, 100))
    console.print(table)
    seconds = f"{result['training']['seconds']:.0f} s of training, {result['seconds_judging']:.0f} s of judging"
    console.print(f"[dim]{seconds}; all in[/] {path}")


def _short(recipe: Recipe | ClosedForm) -> str:
    how = "closed form" if isinstance(recipe, ClosedForm) else f"{recipe.steps:,} x {recipe.batch_size}"
    return how if recipe.max_side >= 28 else f"{how}, {recipe.max_side} x {recipe.max_side} pixels"
