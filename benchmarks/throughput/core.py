"""`core`: updates a second of the core's models beside peers' of the same architecture, and sampling with a cache."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from benchmarks.throughput.core_pairs import PAIRS, Pair, Sizes
from benchmarks.throughput.limit import steps_within
from benchmarks.throughput.result import provenance, ratios
from gail_suite.errors import InputError
from gail_suite.run_directory import write_json

PACKAGES = ("torch", "numpy", "pythae", "zuko", "normflows")


@dataclass(frozen=True, kw_only=True)
class CoreConfig:
    """Ours and the peer take turns in one run, who begins changing each time; the median ratio of a turn counts."""

    pairs: tuple[str, ...] = tuple(PAIRS)
    """Which of them; those whose peer is not installed are left out."""
    seconds: float = 2.0
    """Time of each side in each turn."""
    turns: int = 7
    """Turns that each side gets, after a call to warm up; the slow samplers get two."""
    threads: int = 1
    """Processor threads."""
    batch: int = 256
    """Events an update."""
    json: Path | None = None
    """File for the result."""


def run(config: CoreConfig, arguments: list[str], console: Console) -> dict[str, Any]:
    """Measure, print and write; returns what it wrote.  Raises InputError for an unknown pair or without any peer."""
    unknown = [name for name in config.pairs if name not in PAIRS]
    if unknown:
        raise InputError(f"there is no pair {unknown[0]!r}; choose among {', '.join(PAIRS)}")
    chosen = {name: PAIRS[name] for name in config.pairs if is_installed(PAIRS[name])}
    if not chosen:
        raise InputError("none of the peers is installed: pip install -e '.[bench]'")
    torch.set_num_threads(config.threads)
    result: dict[str, Any] = {
        "benchmark": "throughput/core",
        **provenance(arguments, PACKAGES),
        "threads": config.threads,
        "batch": config.batch,
        "seconds": config.seconds,
        "turns": config.turns,
        "left_out": [name for name in config.pairs if name not in chosen],
        "results": [],
    }
    with console.status("") as status:
        for pair in chosen.values():
            status.update(pair.label)
            result["results"].append(measure(pair, config))
    console.print(table(result), width=max(console.width, 110))  # rather a line that wraps than a cut number
    if result["left_out"]:
        console.print(f"[dim]not installed, so left out: {', '.join(result['left_out'])}[/]")
    if config.json is not None:
        write_json(config.json, result)
    return result


def is_installed(pair: Pair) -> bool:
    return pair.package is None or importlib.util.find_spec(pair.package) is not None


def measure(pair: Pair, config: CoreConfig) -> dict[str, Any]:
    """One row.  Raises AssertionError where the two are not of one size, which would make the ratio mean nothing."""
    torch.manual_seed(0)
    sizes = Sizes(batch=config.batch)
    sides = {"ours": pair.ours(sizes), "peer": pair.peer(sizes)}
    n_ours, n_peer = (side.n_parameters for side in sides.values())
    assert abs(n_ours - n_peer) <= 0.01 * n_peer, f"{pair.label}: {n_ours:,} parameters against {n_peer:,}"
    for side in sides.values():
        side.step()
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(min(config.turns, pair.turns or config.turns)):
        for name in sides if turn % 2 == 0 else reversed(sides):
            rates[name].append(steps_within(sides[name].step, config.seconds) * sides[name].per_call)
    return {
        "label": pair.label,
        "unit": pair.unit,
        "parameters": {"ours": n_ours, "peer": n_peer},
        "ours": median(rates["ours"]),
        "peer": median(rates["peer"]),
        "ours_to_peer": median(ratios(rates["ours"], rates["peer"])),
        "per_turn": {name: [round(rate, 2) for rate in values] for name, values in rates.items()},
    }


def table(result: dict[str, Any]) -> Table:
    """One row a pair."""
    title = f"batch {result['batch']}, {result['threads']} thread{'s' if result['threads'] > 1 else ''}"
    shown = Table(title=title, title_justify="left", header_style="bold")
    shown.add_column("model, peer")
    for column in ("ours", "peer", "", "ours / peer", "parameters", "the peer's"):
        shown.add_column(column, justify="left" if column == "" else "right")
    for row in result["results"]:
        numbers = row["parameters"]
        shown.add_row(
            row["label"],
            f"{row['ours']:,.1f}",
            f"{row['peer']:,.1f}",
            row["unit"],
            f"{row['ours_to_peer']:.2f}",
            f"{numbers['ours']:,}",
            f"{numbers['peer']:,}",
        )
    return shown
