"""`gail`: env steps a second while training, ours beside `imitation`'s, and how near ours is to the physics alone."""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv

from benchmarks.throughput.cases import sb3_venv
from benchmarks.throughput.learners import Imitations, Ours, comparable
from benchmarks.throughput.limit import Limit, check_task
from benchmarks.throughput.result import provenance, rate_rows, ratios
from gail_suite.demonstrations import Demonstrations
from gail_suite.run_directory import write_json

LABELS = {
    "limit": "limit: mj_step, a process a core",
    "ours": "ours",
    "imitation_subproc": "imitation, SubprocVecEnv",
    "imitation_dummy": "imitation, DummyVecEnv",
}
PEERS: dict[str, type[SubprocVecEnv] | type[DummyVecEnv]] = {
    "imitation_subproc": SubprocVecEnv,
    "imitation_dummy": DummyVecEnv,
}


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """PPO with nets of 256-128-64, minibatches of 2048 and 5 epochs; a critic of 256-256.  The median turn counts."""

    env: str = "Ant-v4"
    """Task; one with a bundled expert."""
    envs: int = 32
    """Environments of each learner."""
    steps: int = 128
    """Steps of each environment in a training round."""
    critic_updates: int = 4
    """Minibatch updates of the critic in a training round."""
    critic_batch: int = 256
    """Transitions of each side in such a minibatch."""
    demos: int = 4
    """Episodes to imitate."""
    rounds: int = 5
    """Training rounds that a learner is timed over in one turn."""
    turns: int = 3
    """Turns that each learner gets, after one round of warm-up."""
    limit_seconds: float = 5.0
    """Time of the limit in each turn."""
    json: Path | None = None
    """File for the result."""


def run(config: TrainingConfig, arguments: list[str], console: Console) -> dict[str, Any]:
    """Measure, print and write; returns what it wrote.  Raises InputError for a task without a limit or an expert."""
    check_task(config.env)
    result: dict[str, Any] = {"benchmark": "throughput/gail", **provenance(arguments)}
    rates = measure(config, console)
    better = max(PEERS, key=lambda name: median(rates[name]))
    result |= {
        "env": config.env,
        "n_envs": config.envs,
        "steps_per_round": config.envs * config.steps,
        "rounds_per_turn": config.rounds,
        "turns": config.turns,
        "critic_updates_per_round": config.critic_updates,
        "critic_batch": config.critic_batch,
        "results": rate_rows(rates),
        "imitation_better": better,
        "ours_to_imitation": median(ratios(rates["ours"], rates[better])),
        "ours_to_limit": median(ratios(rates["ours"], rates["limit"])),
    }
    console.print(table(result))
    if config.json is not None:
        write_json(config.json, result)
    return result


def measure(config: TrainingConfig, console: Console) -> dict[str, list[float]]:
    """Env steps a second of the limit and of every learner in every turn."""
    ours = comparable(config.env, config.envs, config.steps, config.critic_updates, config.critic_batch)
    demonstrations = Demonstrations.load(config.env, n_episodes=config.demos)
    rates: dict[str, list[float]] = {name: [] for name in LABELS}
    with ExitStack() as stack, console.status(f"{config.env}: starting") as status:
        limit = Limit(config.env)
        stack.callback(limit.close)
        learners: dict[str, Ours | Imitations] = {"ours": Ours(ours, demonstrations)}
        for name, venv_class in PEERS.items():
            learners[name] = Imitations(ours, demonstrations, sb3_venv(config.env, config.envs, venv_class))
        for name, learner in learners.items():
            stack.callback(learner.close)
            status.update(f"{config.env}: warming up, {LABELS[name]}")
            learner.measure(1)
        for i in range(config.turns):
            status.update(f"{config.env}: turn {i + 1} of {config.turns}, {LABELS['limit']}")
            rates["limit"].append(limit.measure(config.limit_seconds))
            for name, learner in learners.items():
                status.update(f"{config.env}: turn {i + 1} of {config.turns}, {LABELS[name]}")
                rates[name].append(learner.measure(config.rounds))
    return rates


def table(result: dict[str, Any]) -> Table:
    """One row a learner, the limit first."""
    title = f"GAIL on {result['env']}, {result['n_envs']} environments on {result['cores']} cores"
    shown = Table(title=title, title_justify="left", header_style="bold")
    shown.add_column("")
    for column in ("env steps/s", "of the limit", "of imitation"):
        shown.add_column(column, justify="right")
    rows = result["results"]
    for name, row in rows.items():
        if name == "limit":
            share = ""
        elif name == "ours":
            share = f"{result['ours_to_imitation']:.2f}"
        else:
            share = f"{row['env_steps_per_s'] / rows[result['imitation_better']]['env_steps_per_s']:.2f}"
        cells = (f"{row['env_steps_per_s']:,.0f}", f"{row['ratio_to_limit']:.2f}", share)
        shown.add_row(LABELS[name], *cells, style="bold" if name == "ours" else "")
    return shown
