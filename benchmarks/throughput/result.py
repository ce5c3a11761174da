"""A measurement with its provenance: medians over rounds in which the contenders take turns."""

import os
import platform
import shlex
import subprocess
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.throughput.limit import usable_cores

PACKAGES = ("gymnasium", "mujoco", "stable-baselines3", "imitation", "torch", "numpy", "envpool")


def provenance(arguments: list[str]) -> dict[str, Any]:
    """How a result came about: command, date, commit, cores, versions."""
    return {
        "command": shlex.join(["python", "-m", "benchmarks.throughput", *arguments]),
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "commit": _commit(),
        "cores": usable_cores(),
        "processor": _processor(),
        "load_average_before": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "versions": {"python": platform.python_version()} | {name: _version(name) for name in PACKAGES},
    }


def rate_rows(rates: dict[str, list[float]], limit: str = "limit") -> dict[str, dict[str, Any]]:
    """Per contender: median env steps a second, its median share of the limit of the same round, and every round."""
    return {
        name: {
            "env_steps_per_s": median(values),
            "ratio_to_limit": median(ratios(values, rates[limit])),
            "per_round": [round(value, 1) for value in values],
        }
        for name, values in rates.items()
    }


def ratios(values: list[float], others: list[float]) -> list[float]:
    """Round by round, so that what slows the machine for a while slows both."""
    return [value / other for value, other in zip(values, others, strict=True)]


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _commit() -> str | None:
    try:
        question = ["git", "rev-parse", "--short", "HEAD"]
        asked = subprocess.run(question, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return asked.stdout.strip() or None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
