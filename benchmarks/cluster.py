"""The runs of a sweep on a Ray cluster: https://docs.ray.io.  The same processes and the same folders, elsewhere."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.sweep import Case, Slot, SweepConfig, execute
from gail_suite.errors import InputError

ROOT = Path(__file__).parents[1]


def run_on_ray(cases: Sequence[Case], config: SweepConfig) -> None:
    """A task a case, each of `--threads` processors (one by default).

    What a case leaves, a failure too, is in its folder, which every node must see.  Raises InputError where Ray is not
    installed or the cluster does not answer.
    """
    try:
        import ray
    except ImportError as error:
        raise InputError("--ray needs Ray, which is not installed: pip install -e '.[scale]'") from error
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    settings: dict[str, Any] = {"runtime_env": {"env_vars": {"PYTHONPATH": path}}}
    settings |= {"include_dashboard": False} if config.ray == "local" else {"address": config.ray}
    try:
        ray.init(**settings)
    except (ConnectionError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"no Ray cluster answers at {config.ray!r} ({reason}); start one, or take --ray local"
        ) from error
    slot = Slot(threads=max(1, config.threads), cores=None)
    task = ray.remote(num_cpus=slot.threads, max_retries=0)(execute)
    try:
        begun = [task.remote(replace(case, folder=case.folder.resolve()), slot, cwd=os.getcwd()) for case in cases]
        try:
            ray.get(begun)
        except KeyboardInterrupt:
            for run in begun:
                ray.cancel(run)
            ray.wait(begun, num_returns=len(begun), timeout=60)
            raise
    finally:
        ray.shutdown()
