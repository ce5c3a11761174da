"""How a result came about: the command, the commit, the machine and the versions, for its JSON."""

import os
import platform
import re
import shlex
import time
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from gail_suite.run_directory import commit_of


def origin(verb: str, arguments: Sequence[str], packages: Sequence[str]) -> dict[str, Any]:
    """Command (`python -m verb arguments`), date, commit, cores, processor, load before, versions of `packages`."""
    return {
        "command": shlex.join(["python", "-m", verb, *arguments]),
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "commit": commit_of(Path(__file__).parent),
        "cores": usable_cores(),
        "processor": _processor(),
        "load_average_before": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "versions": {"python": platform.python_version()} | {name: _version(name) for name in packages},
    }


def anywhere(found: dict[str, Any]) -> dict[str, Any]:
    """A result to be published: where on this machine a run or its data lay is no part of how it was made."""
    if "command" not in found:
        return found
    command = re.sub(r" --out(=| )\S+", "", found["command"])
    return {**found, "command": re.sub(r"--data-dir(=| )\S+", "--data-dir DATA", command)}


def usable_cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
