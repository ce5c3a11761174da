"""`envs`: env steps a second of vector environments, beside what the physics alone allows."""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.throughput.cases import LABELS, contenders
from benchmarks.throughput.limit import check_task
from benchmarks.throughput.result import provenance, rate_rows
from gail_suite.run_directory import write_json


@dataclass(frozen=True, kw_only=True)
class EnvStepsConfig:
    """Random actions, resets included; the contenders take turns, and the median round counts."""

    env: tuple[str, ...] = ("Ant-v4", "Humanoid-v4")
    """Tasks."""
    envs: int = 32
    """Environments of each contender."""
    seconds: float = 5.0
    """Time of each contender in each round."""
    rounds: int = 5
    """Turns that each contender gets."""
    warm_up: int = 200
    """Untimed steps of every environment first, so that its episodes are under way."""
    json: Path | None = None
    """File for the result."""


def run(config: EnvStepsConfig, arguments: list[str], console: Console) -> dict[str, Any]:
    """Measure, print and write; returns what it wrote.  Raises InputError for a task without a known limit."""
    for env_id in config.env:
        check_task(env_id)
    result: dict[str, Any] = {
        "benchmark": "throughput/envs",
        **provenance(arguments),
        "n_envs": config.envs,
        "seconds": config.seconds,
        "rounds": config.rounds,
        "results": {},
    }
    for env_id in config.env:
        rows = rate_rows(measure(config, env_id, console))
        result["results"][env_id] = rows
        console.print(table(f"{env_id}, {config.envs} environments on {result['cores']} cores", rows))
    if config.json is not None:
        write_json(config.json, result)
    return result


def measure(config: EnvStepsConfig, env_id: str, console: Console) -> dict[str, list[float]]:
    """Env steps a second of every contender in every round."""
    with ExitStack() as stack, console.status("") as status:
        running = {}
        for name, make in contenders(env_id, config.envs, config.warm_up).items():
            status.update(f"{env_id}: starting {LABELS[name]}")
            running[name] = make()
            stack.callback(running[name].close)
        rates: dict[str, list[float]] = {name: [] for name in running}
        for i in range(config.rounds):
            for name, contender in running.items():
                status.update(f"{env_id}: round {i + 1} of {config.rounds}, {LABELS[name]}")
                rates[name].append(contender.measure(config.seconds))
    return rates


def table(title: str, rows: dict[str, dict[str, Any]]) -> Table:
    """One row a contender."""
    shown = Table(title=title, title_justify="left", header_style="bold")
    shown.add_column("")
    shown.add_column("env steps/s", justify="right")
    shown.add_column("of the limit", justify="right")
    for name, row in rows.items():
        style = "bold" if name == "ours" else ""
        shown.add_row(LABELS[name], f"{row['env_steps_per_s']:,.0f}", f"{row['ratio_to_limit']:.2f}", style=style)
    return shown
