"""A result for the eye: the tables in the terminal."""

import shutil
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.images.cases import CASES
from benchmarks.images.experiments.cases import EXPERIMENTS
from benchmarks.images.folder import Folder
from benchmarks.images.published import of_paper
from benchmarks.images.recipes import ClosedForm, Recipe
from gail_suite.errors import plain
from gail_suite.run_directory import write_json

KEPT = Path(__file__).parents[1] / "results" / "images"
KEPT_EXPERIMENTS = KEPT.with_name("experiments")
PICTURES = Path(__file__).parents[2] / "docs" / "systems"
SAMPLES = PICTURES.with_name("samples")


def keep(result: dict[str, Any], folder: Folder) -> None:
    """Into benchmarks/results/, and the picture of a first seed into docs/systems/, or docs/samples/ for a case."""
    if result["benchmark"] == "images":
        write_json(KEPT / f"{name(result)}.json", result)
        if result["seed"] == 0 and folder.samples_file.exists():
            SAMPLES.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder.samples_file, SAMPLES / f"{name(result)}.png")
        return
    write_json(KEPT_EXPERIMENTS / f"{result['model']}-{result['preset']}-s{result['seed']}.json", result)
    if result["seed"] == 0 and folder.picture_file.exists():
        PICTURES.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder.picture_file, PICTURES / f"{result['model']}.png")


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
    for name, experiment in EXPERIMENTS.items():
        sizes = (f"{size.steps:,} x {size.batch_size}" for size in (experiment.cpu, experiment.gpu))
        table.add_row(name, experiment.about, "experiment", *sizes)
    Console(width=max(Console().width, 120)).print(table)


def print_result(result: dict[str, Any], path: Path) -> None:
    """The figures of a case or of an experiment."""
    if result["benchmark"] == "experiments":
        _print_experiment(result, path)
    else:
        _print_case(result, path)


def _print_experiment(result: dict[str, Any], path: Path) -> None:
    """A row a contender."""
    table = Table(title=plain(f"{result['about']}: {result['question']}"), title_justify="left", header_style="bold")
    table.add_column("")
    table.add_column("role")
    for measure, (what, better) in ((name, (m["what"], m["better"])) for name, m in result["measures"].items()):
        sign = {"higher": " ↑", "lower": " ↓", "neither": ""}[better]
        table.add_column(f"{measure}{sign}\n[dim]{what}", justify="right")
    for row in result["rows"]:
        values = (row["values"].get(measure) for measure in result["measures"])
        table.add_row(
            plain(row["name"]), plain(row["role"]), *("-" if value is None else f"{value:.4g}" for value in values)
        )
    console = Console(width=max(Console().width, 120))
    console.print(table)
    console.print(f"[dim]{result['seconds']:.0f} s; all in[/] {plain(path)}")


def _print_case(result: dict[str, Any], path: Path) -> None:
    """The figures, with the paper's where it measured the same."""
    title = f"{result['model']} on {result['data']['name']}, {result['parameters']:,} parameters"
    table = Table(title=plain(title), title_justify="left", header_style="bold")
    bits = "bits_per_dim" in result["test"]
    for column in ("", "nats", *(("bits/dim",) if bits else ()), "images", "how"):
        table.add_column(column, justify="left" if column in ("", "how") else "right")
    row = result["test"]
    figures = [f"{row['nats']:.2f} ± {row['standard_error']:.2f}", *((f"{row['bits_per_dim']:.3f}",) if bits else ())]
    table.add_row("test", *figures, f"{row['n']:,}", plain(row["estimator"]))
    published = of_paper(result)
    if published is not None:
        table.add_row("paper", f"{published.nats:.2f}", *(("",) if bits else ()), "10,000", published.about)
    console = Console(width=max(Console().width, 100))
    console.print(table)
    for what, found in (result.get("roofline") or {}).items():
        console.print(f"[dim]{what}: {plain(roofline_line(found))}[/]", highlight=False)
    seconds = f"{result['training']['seconds']:.0f} s of training, {result['seconds_judging']:.0f} s of judging"
    console.print(f"[dim]{seconds}; all in[/] {plain(path)}")


def roofline_line(found: dict[str, Any]) -> str:
    """What was achieved beside the ceilings."""
    product, ceilings = found["ceilings"]["product"], found["ceilings"]
    return (
        f"{found['images_per_s']:,.0f} images/s; {found['flops_per_s'] / 1e9:,.4g} GFLOP/s, "
        f"{found['share_of_flops']:.1%} of a {product} product's {ceilings['flops_per_s'] / 1e9:,.4g}; at least "
        f"{found['bytes_per_s'] / 1e9:,.3g} GB/s, {found['share_of_bytes']:.1%} of a copy's "
        f"{ceilings['bytes_per_s'] / 1e9:,.3g}"
    )


def _short(recipe: Recipe | ClosedForm) -> str:
    how = "closed form" if isinstance(recipe, ClosedForm) else f"{recipe.steps:,} x {recipe.batch_size}"
    return how if recipe.max_side >= 28 else f"{how}, {recipe.max_side} x {recipe.max_side} pixels"
