"""A run's folder: what lies where, written so that a kill at any moment loses nothing that was saved."""

import json
import shlex
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from gail_suite.config import TrainConfig, config_from_dict, config_to_dict
from gail_suite.demonstrations.atomic import atomic_path, naming, remove_leftovers
from gail_suite.errors import InputError
from gail_suite.fields import fits

MAX_JSON_BYTES = 64 << 20


class RunDirectory:
    """`config.json, metrics.jsonl, tensorboard/, checkpoints/{last,best}/, policy.zip, evaluation.json, curve.png, ...`

    Open it with `create` or `open`; only one process at a time holds its lock.
    """

    def __init__(self, path: Path):
        self.path = path
        self.config_file = path / "config.json"
        self.metrics_file = path / "metrics.jsonl"
        self.tensorboard = path / "tensorboard"
        self.last = path / "checkpoints" / "last" / "state.safetensors"
        self.best = path / "checkpoints" / "best" / "policy.safetensors"
        self.candidates = path / "checkpoints" / "candidates"
        self.cloned = path / "checkpoints" / "behavioural_cloning" / "policy.safetensors"
        self.faults_file = path / "faults.jsonl"
        self.origin_file = path / "origin.json"
        self.policy_file = path / "policy.zip"
        self.evaluation_file = path / "evaluation.json"
        self.curve_file = path / "curve.png"
        self.video_file = path / "policy.mp4"
        self._lock = FileLock(path / ".lock")

    @classmethod
    def create(cls, config: TrainConfig) -> "RunDirectory":
        """A new folder for this configuration.  Raises InputError where one with a run in it is named."""
        name = config.env.replace(":", "-").replace("/", "-")
        default = Path("runs") / name / f"{time.strftime('%Y%m%d-%H%M%S')}-s{config.seed}"
        run = cls(Path(config.out) if config.out else default)
        run._refuse_if_taken()
        run.path.mkdir(parents=True, exist_ok=True)
        run.lock()
        run._refuse_if_taken()  # by a process that was quicker
        write_json(run.origin_file, origin())
        run.save_config(config)
        return run

    @classmethod
    def open(cls, path: str | Path) -> "RunDirectory":
        """An existing run.  Raises InputError where there is none or its configuration is damaged."""
        run = cls(Path(path))
        if not run.config_file.is_file():
            raise InputError(
                f"{path} is not the folder of a run (no config.json); give a folder made by gail_suite.train"
            )
        return run

    def _refuse_if_taken(self) -> None:
        if self.config_file.exists():
            self.unlock()
            raise InputError(
                f"{self.path} already holds a run; go on with --resume {self.path}, or choose another --out"
            )

    def save_config(self, config: TrainConfig) -> None:
        """What a later `--resume` goes by."""
        write_json(self.config_file, config_to_dict(replace(config, resume=None)))

    def control(self) -> "RunDirectory":
        """The corner of the constant-reward control."""
        run = RunDirectory(self.path / "constant_reward")
        run.path.mkdir(parents=True, exist_ok=True)
        return run

    def config(self) -> TrainConfig:
        """What it was begun with.  Raises InputError where the file is damaged, or no run could have begun so."""
        config = config_from_dict(read_json(self.config_file))
        config.check()
        return config

    def lock(self) -> None:
        """Hold the run for this process.  Raises InputError where another one does."""
        try:
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise InputError(f"{self.path} is in use by another process; wait for it or stop it") from error

    def unlock(self) -> None:
        self._lock.release()

    def remove_leftovers(self) -> None:
        """Temporary files of writes that a kill cut short; the caller holds the lock."""
        remove_leftovers(self.path)

    def forget_log(self) -> None:
        """Drop what a session logged that was killed before its first checkpoint: all of it is done again."""
        for path in (self.metrics_file, *self.tensorboard.glob("events.out.tfevents.*")):
            path.unlink(missing_ok=True)

    def append_metrics(self, row: dict[str, Any]) -> None:
        """One line a round; a line cut short by a kill is dropped by `cut_metrics`."""
        with naming(self.metrics_file), self.metrics_file.open("a") as file:
            file.write(json.dumps(row) + "\n")

    def note_fault(self, env_steps: int, error: Exception) -> None:
        """What stopped a session, a line each; unlike the metrics they stay when a resume does the steps again."""
        what = f"{type(error).__name__}: {' '.join(str(error).split())}"
        with self.faults_file.open("a") as file:
            file.write(json.dumps({"env_steps": env_steps, "fault": what}) + "\n")

    def n_faults(self) -> int:
        """How many sessions ended in one."""
        return len(self.faults_file.read_text().splitlines()) if self.faults_file.exists() else 0

    def metrics(self) -> list[dict[str, Any]]:
        """All whole lines: names with numbers, the count of steps among them."""
        if not self.metrics_file.exists():
            return []
        rows = []
        for line in self.metrics_file.read_text(errors="replace").splitlines():
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                continue  # cut short by a kill
            is_whole = isinstance(row, dict) and "env_steps" in row
            if is_whole and all(fits(value, float) for value in row.values()):
                rows.append(row)
        return rows

    def cut_metrics(self, env_steps: int) -> None:
        """Drop what was logged after the checkpoint that a resume goes on from."""
        kept = [row for row in self.metrics() if row["env_steps"] <= env_steps]
        write_text(self.metrics_file, "".join(json.dumps(row) + "\n" for row in kept))


def origin(module: str = "gail_suite.train") -> dict[str, Any]:
    """Where a run comes from: its command, `python -m module ...`, and the commit where this is a git checkout."""
    return {
        "command": shlex.join(["python", "-m", module, *sys.argv[1:]]),
        "commit": commit_of(Path(__file__).parent),
        "began": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def write_text(path: Path, text: str) -> None:
    """Atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        temporary.write_text(text)


def write_json(path: Path, value: Any) -> None:
    """Indented, atomically."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """An object.  Raises InputError, naming the file, where it is damaged."""
    if path.stat().st_size > MAX_JSON_BYTES:
        raise InputError(f"{path} has {path.stat().st_size:,} bytes, more than such files do; restore it")
    try:
        value = json.loads(path.read_text())
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is damaged ({error}); restore it or start a new run") from error
    if not isinstance(value, dict):
        raise InputError(f"{path} is damaged (not an object); restore it or start a new run")
    return value


def commit_of(folder: Path) -> str | None:
    """The commit checked out there, "-dirty" where a tracked file is another than the commit's; None without git.

    Results and the pages made of them do not count: a kept result would otherwise spoil the name of the next one.
    """
    made = [f":(top,exclude){path}" for path in ("benchmarks/results", "docs", "README.md")]
    try:
        head = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], cwd=folder, capture_output=True, text=True, check=False
        )
        changed = subprocess.run(
            ["git", "diff", "--quiet", "HEAD", "--", ":/", *made], cwd=folder, capture_output=True, check=False
        )
    except OSError:
        return None
    name = head.stdout.strip()
    return (name + "-dirty" * (changed.returncode != 0)) if name else None
