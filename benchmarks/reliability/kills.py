"""SIGKILL at random moments and in the middle of writes; after it the run goes on, and must end as an unbroken one."""

import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

import numpy as np
import torch

from benchmarks.provenance import origin
from benchmarks.reliability.compare import compare_files, compare_runs, leftovers
from benchmarks.reliability.processes import Started, start
from gail_suite.errors import InputError
from gail_suite.run_directory import write_json

PACKAGES = ("torch", "stable-baselines3", "mujoco", "numpy")
_SMALL = """
    --env Hopper-v4 --n-demos 1 --n-envs 2 --threads 1 --no-controls --no-video --eval-episodes 1 --select-episodes 1
    --total-env-steps 320 --eval-every 32 --warm-up-rounds 1 --cloning.max-updates 20 --critic.hidden 16
    --critic.batch-size 32 --critic.updates-per-round 2
"""
_SAC = """
    --algo sac --off-policy.n-steps 8 --off-policy.learning-starts 64 --off-policy.batch-size 32
    --off-policy.hidden 16 16 --off-policy.buffer-size 512
"""
SMALL = _SMALL.split()
LEARNERS = {
    "ppo": ["--ppo.n-steps", "16", "--ppo.minibatch-size", "32", "--ppo.hidden", "16", "16", "--ppo.n-epochs", "2"],
    "sac": _SAC.split(),
}
POLL_S = 0.001


@dataclass(frozen=True)
class KillsConfig:
    """Kill training and fitting, half of the times while a file is being written, and compare what comes of it."""

    n: int = 100
    """Kills, over all targets."""
    per_run: int = 5
    """Kills of one run before it may end."""
    seed: int = 0
    """Of the moments."""
    spawn: bool = False
    """A fresh interpreter each time, which can also be killed while it loads, not a fork of one that has loaded."""
    json: Path | None = None
    """Where to write what was found."""


@dataclass(frozen=True)
class Target:
    """Something that can be killed and started again."""

    start: Callable[[Path], Started]
    compare: Callable[[Path, Path], list[str]]
    """(unbroken, broken) -> what differs."""


@dataclass
class Tally:
    """What became of one target."""

    kills: int = 0
    in_a_write: int = 0
    """Kills that left a temporary file behind."""
    runs: int = 0
    differing: list[str] = field(default_factory=list)


def run(config: KillsConfig, arguments: list[str]) -> int:
    """The campaign; 1 where anything differed."""
    if config.n < 1 or config.per_run < 1:
        raise InputError("--n and --per-run must be 1 or more")
    if not config.spawn:
        load_libraries()
    how = origin("benchmarks.reliability", arguments, PACKAGES)
    rng = np.random.default_rng(config.seed)
    began, tallies = time.monotonic(), {}
    with tempfile.TemporaryDirectory(prefix="kills-") as folder:
        targets = make_targets(Path(folder), spawn=config.spawn)
        for i, (name, target) in enumerate(targets.items()):
            n = config.n // len(targets) + (i < config.n % len(targets))
            tallies[name] = campaign(target, n, config.per_run, rng, Path(folder) / name)
            print(line(name, tallies[name]), flush=True)
    rows = {name: vars(tally) for name, tally in tallies.items()}
    seconds = round(time.monotonic() - began, 1)
    if config.json is not None:
        write_json(config.json, {"campaign": "kills", **how, "spawn": config.spawn, "seconds": seconds, "rows": rows})
    return int(any(tally.differing for tally in tallies.values()))


def load_libraries() -> None:
    """All that the targets load, so that a fork of this process begins with its work."""
    for module in ("gail_suite.session", "gail_suite.report", "tyro", "matplotlib.backends.backend_agg", "scipy.stats"):
        import_module(module)
    torch.set_num_threads(1)


def make_targets(folder: Path, *, spawn: bool) -> dict[str, Target]:
    """The learners of `gail_suite.train`, and `fit` with one model of each family."""
    demos = folder / "demos.npz"
    write_demonstrations(demos)

    def train(learner: list[str]) -> Callable[[Path], Started]:
        def begin(out: Path) -> Started:
            exists = (out / "config.json").exists()
            how = ["--resume", str(out)] if exists else [*SMALL, *learner, "--demos", str(demos), "--out", str(out)]
            return start("gail_suite.train", how, out.with_suffix(".log"), spawn=spawn)

        return begin

    targets = {name: Target(train(learner), compare_runs) for name, learner in LEARNERS.items()}
    fitting = "benchmarks.reliability.fitting"
    targets["fit"] = Target(
        lambda out: start(fitting, [str(out)], out.with_suffix(".log"), spawn=spawn), _compare_without_leftovers
    )
    return targets


def _compare_without_leftovers(unbroken: Path, broken: Path) -> list[str]:
    """`fit` has no folder of its own to clean."""
    for path in leftovers(broken):
        path.unlink()
    return compare_files(unbroken, broken)


def write_demonstrations(path: Path) -> None:
    """A hundred random pairs of Hopper's sizes."""
    from gail_suite.demonstrations import Demonstrations
    from gail_suite.demonstrations.dataset import Provenance

    rng = np.random.default_rng(0)
    obs, next_obs = rng.normal(size=(2, 100, 11)).astype(np.float32)
    provenance = Provenance(env_id="Hopper-v4", source="noise", lengths=(100,), returns=None, complete=(True,))
    Demonstrations(
        obs=obs,
        acts=rng.uniform(-1, 1, (100, 3)).astype(np.float32),
        next_obs=next_obs,
        terminated=np.zeros(100, bool),
        rewards=None,
        episode=np.zeros(100, np.int64),
        provenance=provenance,
    ).save(path)


def campaign(target: Target, n: int, per_run: int, rng: np.random.Generator, folder: Path) -> Tally:
    """`n` kills of one target, spread over as many runs as it takes."""
    tally = Tally()
    if n == 0:
        return tally
    unbroken = folder / "unbroken"
    began = time.monotonic()
    started = target.start(unbroken)
    if (code := started.wait()) != 0:
        tally.differing.append(f"the unbroken run ended with code {code}: {started.last_line()}")
        return tally
    seconds = time.monotonic() - began
    while tally.kills < n and tally.runs < 10 * n:
        out = folder / f"broken-{tally.runs}"
        tally.runs += 1
        for _ in range(min(per_run, n - tally.kills)):
            started = target.start(out)
            in_a_write = bool(rng.integers(2))
            ended = _kill_in_a_write(started, out, rng) if in_a_write else _kill_later(started, seconds, rng)
            if ended is not None:
                code = ended
                break
            tally.kills += 1
            tally.in_a_write += bool(leftovers(out))
        else:
            started = target.start(out)
            code = started.wait()
        if code != 0:
            tally.differing.append(f"run {tally.runs} ended with code {code}: {started.last_line()}")
        else:
            tally.differing += [f"run {tally.runs}: {found}" for found in target.compare(unbroken, out)]
        shutil.rmtree(out, ignore_errors=True)
    return tally


def _kill_later(started: Started, seconds: float, rng: np.random.Generator) -> int | None:
    """After a random share of an unbroken run's time; the exit code where the process was quicker."""
    deadline = time.monotonic() + seconds * rng.uniform(0.0, 0.7)
    while time.monotonic() < deadline:
        if (code := started.poll()) is not None:
            return code
        time.sleep(POLL_S)
    started.kill()
    return None


def _kill_in_a_write(started: Started, out: Path, rng: np.random.Generator) -> int | None:
    """While a temporary file is there, the first to the eighth that is seen."""
    to_pass, seen = int(rng.integers(8)), set()
    while (code := started.poll()) is None:
        for path in leftovers(out) if out.exists() else ():
            if path in seen:
                continue
            seen.add(path)
            if len(seen) > to_pass:
                started.kill()
                return None
        time.sleep(POLL_S)
    return code


def line(name: str, tally: Tally) -> str:
    """One target in words."""
    differing = "all as unbroken" if not tally.differing else "; ".join(tally.differing[:3])
    return f"{name}: {tally.kills} kills, {tally.in_a_write} of them in a write, {tally.runs} runs: {differing}"
