"""Long times: whether memory, open files or threads grow in training, in fitting, or with many environments."""

import ctypes
import gc
import os
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback

from benchmarks.provenance import origin
from benchmarks.reliability.fitting import fit_family
from benchmarks.reliability.kills import load_libraries, write_demonstrations
from gail_suite.errors import InputError
from gail_suite.run_directory import write_json

PACKAGES = ("torch", "stable-baselines3", "mujoco", "numpy")
N_SAMPLES = 200
WARM_UP = 0.25
"""Share of the time that memory may settle in."""
MAX_MIB_PER_HOUR = 1.0
"""From the end of the warm-up on, by the slope through all samples."""
RESOLUTION_MIB = 1.0
"""Growth that a few pages more or less can feign, however short the time."""
FAMILY = "autoregressive"
_LIBC = ctypes.CDLL(None)


@dataclass(frozen=True)
class SoakConfig:
    """Train, fit, open and close for long, and watch what the process holds."""

    env_steps: int = 10_000_000
    """Of GAIL on Hopper with small networks."""
    updates: int = 200_000
    """Of an autoregressive model by `generative_core.fit`."""
    envs: int = 1_000
    """Batched environments opened, stepped and closed."""
    json: Path | None = None
    """Where to write what was found."""


class Watch:
    """Samples what this process holds: resident bytes, open files, threads."""

    def __init__(self, total: int) -> None:
        self.every = max(1, total // N_SAMPLES)
        self.rows: list[dict[str, float]] = []
        self._next, self._began = 0, time.monotonic()

    def at(self, done: int) -> None:
        """Called often; takes a sample now and then."""
        if done >= self._next:
            self._next = done + self.every
            self.rows.append({"done": done, "hours": (time.monotonic() - self._began) / 3600, **holdings()})

    def report(self) -> dict[str, Any]:
        """The slope of memory after the warm-up, the growth that it comes to, MiB, and what else grew."""
        after = self.rows[int(WARM_UP * len(self.rows)) :] or self.rows
        hours = np.array([row["hours"] for row in after])
        mebibytes = np.array([row["resident_bytes"] for row in after]) / 2**20
        took = float(np.ptp(hours))
        slope = float(np.polyfit(hours - hours[0], mebibytes, 1)[0]) if len(after) > 2 and took > 0 else 0.0
        grown = {name: int(after[-1][name] - after[0][name]) for name in ("open_files", "threads")}
        is_flat = slope < MAX_MIB_PER_HOUR or slope * took < RESOLUTION_MIB
        return {
            "done": int(self.rows[-1]["done"]),
            "samples": len(self.rows),
            "mib_per_hour": round(slope, 2),
            "growth_mib": round(slope * took, 2),
            "peak_mib": round(float(max(row["resident_bytes"] for row in self.rows)) / 2**20, 1),
            **{f"{name}_grown": value for name, value in grown.items()},
            "is_sound": is_flat and not any(n > 0 for n in grown.values()),
        }


def holdings() -> dict[str, float]:
    """Of this process, without garbage and what the allocator keeps for later; as the system says (Linux)."""
    gc.collect()
    if hasattr(_LIBC, "malloc_trim"):  # glibc's; without it freed pages that stay with the process look like growth
        _LIBC.malloc_trim(0)
    proc = Path("/proc/self")
    if not proc.exists():
        raise InputError("the soak reads /proc, which this system has not; run it on Linux")
    resident = int((proc / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return {
        "resident_bytes": resident,
        "open_files": len(list((proc / "fd").iterdir())),
        "threads": len(list((proc / "task").iterdir())),
        "python_threads": threading.active_count(),
    }


def run(config: SoakConfig, arguments: list[str]) -> int:
    """All three; 1 where something grew."""
    if min(config.env_steps, config.updates, config.envs) < 1:
        raise InputError("--env-steps, --updates and --envs must be 1 or more")
    how = origin("benchmarks.reliability", arguments, PACKAGES)
    load_libraries()
    gc.collect()
    gc.freeze()  # the libraries' objects stay, and looking through them at every sample would take most of the time
    rows = {}
    for name, soak, n in (
        ("training", train, config.env_steps),
        ("fitting", fit, config.updates),
        ("environments", open_and_close, config.envs),
    ):
        began = time.monotonic()
        rows[name] = {**soak(n), "seconds": round(time.monotonic() - began, 1)}
        print(f"{name}: {rows[name]}", flush=True)
    if config.json is not None:
        write_json(config.json, {"campaign": "soak", **how, "rows": rows})
    return int(not all(row["is_sound"] for row in rows.values()))


class _Watching(BaseCallback):
    def __init__(self, watch: Watch) -> None:
        super().__init__()
        self.watch = watch

    def _on_step(self) -> bool:
        self.watch.at(self.num_timesteps)
        return True


def train(env_steps: int) -> dict[str, Any]:
    """GAIL with PPO, without looks."""
    from gail_suite import GAIL, Demonstrations
    from gail_suite.config import CriticConfig, PPOConfig, TrainConfig

    small = TrainConfig(
        env="Hopper-v4",
        n_envs=64,
        threads=1,
        warm_start=False,
        total_env_steps=env_steps,
        ppo=PPOConfig(hidden=(16, 16), n_steps=32, minibatch_size=1024, n_epochs=1),
        critic=CriticConfig(hidden=(16,), updates_per_round=1),
    )
    watch = Watch(env_steps)
    with tempfile.TemporaryDirectory() as folder:
        write_demonstrations(Path(folder) / "demos.npz")
        gail = GAIL("Hopper-v4", Demonstrations.load(Path(folder) / "demos.npz"), small)
        gail.learn(callbacks=[_Watching(watch)])
    gail.venv.close()
    return watch.report()


def fit(updates: int) -> dict[str, Any]:
    """With a checkpoint every few updates."""
    watch = Watch(updates)
    with tempfile.TemporaryDirectory() as folder:
        fit_family(FAMILY, Path(folder), n_updates=updates, every=500, hooks=(lambda i, metrics: watch.at(i + 1),))
    return watch.report()


def open_and_close(n: int) -> dict[str, Any]:
    """Batched environments, each stepped once."""
    from envs import make_venv

    watch = Watch(n)
    for i in range(n):
        venv = make_venv("Hopper-v4", 2, seed=i, n_threads=2)
        venv.reset()
        venv.step(np.zeros((2, 3), np.float32))
        venv.close()
        del venv
        watch.at(i + 1)
    return watch.report()
