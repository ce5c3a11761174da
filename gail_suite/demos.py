"""python -m gail_suite.demos: collect, inspect, convert and validate demonstrations."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from gail_suite.cli import run_verb
from gail_suite.errors import plain, printable

if TYPE_CHECKING:
    from gail_suite.demonstrations import Demonstrations

CONSTANT_STD = 1e-5  # below it an observation dimension tells nothing, and nobody may divide by it


@dataclass(frozen=True, kw_only=True)
class Collect:
    """Roll a policy out and save its episodes."""

    env: str
    """gymnasium id of the task."""
    out: Path
    """The .npz to write."""
    n_episodes: int = 25
    """Whole episodes."""
    policy: Path | None = None
    """An SB3 .zip (PPO, A2C, SAC, TD3 or DDPG with MlpPolicy); by default the task's expert."""
    deterministic: bool = False
    """Take the mean action, without the policy's noise."""
    seed: int = 0
    """Of the simulators and of the policy's noise."""


@dataclass(frozen=True)
class Inspect:
    """Show what demonstrations hold."""

    source: tyro.conf.Positional[str]
    """An .npz, an imitation folder, a Minari id, or an environment id that has an expert."""


@dataclass(frozen=True)
class Convert:
    """Write demonstrations of another format as our .npz."""

    source: tyro.conf.Positional[str]
    """An .npz, an imitation folder or a Minari id."""
    out: Path
    """The .npz to write."""
    env: str | None = None
    """gymnasium id they were recorded in: tells time-outs from real ends, and the number of discrete actions."""


@dataclass(frozen=True)
class Validate:
    """Check that demonstrations can be used in a task."""

    source: tyro.conf.Positional[str]
    """An .npz, an imitation folder or a Minari id."""
    env: str
    """gymnasium id of the task."""


def main(arguments: Sequence[str] | None = None) -> int:
    verb = tyro.cli(Collect | Inspect | Convert | Validate, args=arguments, prog="python -m gail_suite.demos")
    if isinstance(verb, Collect):
        _collect(verb)
    elif isinstance(verb, Inspect):
        _inspect(verb)
    elif isinstance(verb, Convert):
        _convert(verb)
    else:
        _validate(verb)
    return 0


def _collect(verb: Collect) -> None:
    import envs
    from gail_suite.demonstrations.experts import load_expert
    from gail_suite.demonstrations.files import check_target
    from gail_suite.demonstrations.rollout import Policy, collect
    from gail_suite.policies import read_sb3_zip

    check_target(verb.out)
    if verb.policy is None:
        policy: Policy = load_expert(verb.env)
        name = f"the expert of {verb.env}"
    else:
        venv = envs.make_venv(verb.env, 1, None)
        venv.close()
        policy, name = read_sb3_zip(verb.policy, venv.observation_space, venv.action_space), verb.policy.name
    source = f"{name}, {'deterministic' if verb.deterministic else 'stochastic'} actions"
    demos = collect(policy, verb.env, verb.n_episodes, seed=verb.seed, deterministic=verb.deterministic, source=source)
    demos.save(verb.out)
    print(f"{printable(str(verb.out))}: {_summary(demos)}")


def _inspect(verb: Inspect) -> None:
    from rich.console import Console
    from rich.table import Table

    from gail_suite.demonstrations import Demonstrations

    table = Table(title=plain(verb.source), show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in _rows(Demonstrations.load(verb.source)):
        table.add_row(name, plain(value))
    Console().print(table)


def _convert(verb: Convert) -> None:
    from gail_suite.demonstrations import Demonstrations
    from gail_suite.demonstrations.files import check_target

    check_target(verb.out)
    demos = Demonstrations.load(verb.source, env_id=verb.env)
    demos.save(verb.out)
    print(f"{printable(str(verb.out))}: {_summary(demos)}")


def _validate(verb: Validate) -> None:
    import envs
    from gail_suite.demonstrations import Demonstrations

    venv = envs.make_venv(verb.env, 1, None)
    try:
        demos = Demonstrations.load(verb.source, env_id=verb.env)
        demos.validate(venv, verb.env)
    finally:
        venv.close()
    print(f"fits {verb.env}: {_summary(demos)}")


def _summary(demos: "Demonstrations") -> str:
    returns = demos.returns
    measured = "" if returns is None else f", return {returns.mean:.1f}±{returns.std:.1f}"
    return f"{demos.n_episodes} episodes, {len(demos)} transitions{measured}"


def _rows(demos: "Demonstrations") -> list[tuple[str, str]]:
    """Name and value of each line of the table."""
    import numpy as np

    p, returns, lengths = demos.provenance, demos.returns, np.array(demos.provenance.lengths)
    constant = np.flatnonzero(demos.obs.std(axis=0, dtype=np.float64) < CONSTANT_STD)
    kind = "none: states only" if demos.act_size == 0 else f"{demos.act_size}{' (one-hot)' * p.one_hot_actions}"
    return [
        ("environment", p.env_id or "unknown"),
        ("source", p.source),
        ("episodes", f"{demos.n_episodes}, of them recorded to their end {sum(p.complete)}"),
        ("transitions", f"{len(demos)}" + (f", every {p.subsampled_every}-th" if p.subsampled_every > 1 else "")),
        ("real ends", f"{int(demos.terminated.sum())} of the transitions"),
        ("return", "unknown" if returns is None else _spread(returns.mean, returns.std, returns.min, returns.max)),
        ("length", _spread(lengths.mean(), lengths.std(), lengths.min(), lengths.max())),
        ("observations", f"{demos.obs_size}, of them constant {_ranges(constant.tolist())}"),
        ("actions", kind),
        ("seed", "unknown" if p.seed is None else str(p.seed)),
        ("versions", ", ".join(f"{name} {version}" for name, version in p.versions.items()) or "unknown"),
        ("checksum", f"sha256 {demos.checksum}"),
    ]


def _spread(mean: float, std: float, low: float, high: float) -> str:
    return f"{mean:.1f}±{std:.1f}, from {low:.1f} to {high:.1f}"


def _ranges(indices: list[int]) -> str:
    """[3, 4, 5, 9] -> `4 (3-5, 9)`."""
    if not indices:
        return "0"
    starts = [i for i in indices if i - 1 not in indices]
    stops = [i for i in indices if i + 1 not in indices]
    parts = (str(a) if a == b else f"{a}-{b}" for a, b in zip(starts, stops, strict=True))
    return f"{len(indices)} ({', '.join(parts)})"


command = partial(run_verb, main)

if __name__ == "__main__":
    command()
