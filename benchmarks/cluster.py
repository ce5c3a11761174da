"""The runs of a sweep on a Ray cluster: https://docs.ray.io.  The same processes and the same folders, elsewhere."""

import os
import shlex
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.sweep import TAIL_LINES, Case, Slot, SweepConfig, execute, terminable
from gail_suite.errors import InputError
from gail_suite.run_directory import write_json

ROOT = Path(__file__).parents[1]
LEAVING_S = 60.0  # in which runs that are told to stop save what they have


def run_on_ray(cases: Sequence[Case], config: SweepConfig) -> None:
    """A task a case, each of `--threads` processors (one by default).

    What a case leaves, a failure too, is in its folder, which every node must see.

    Raises:
        InputError: Ray is not installed, the cluster does not answer, or none of its nodes is as large as a run.
        KeyboardInterrupt: Ctrl-C or SIGTERM came; the runs were told and have saved what they had.
    """
    try:
        import ray
    except ImportError as error:
        raise InputError("--ray needs Ray, which is not installed: pip install -e '.[scale]'") from error
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    # the address "local" starts a cluster even where another one is running; without an address Ray would join that
    settings: dict[str, Any] = {"address": config.ray, "runtime_env": {"env_vars": {"PYTHONPATH": path}}}
    if config.ray == "local":
        settings["include_dashboard"] = False
    slot = Slot(threads=max(1, config.threads), cores=None)
    with terminable():  # takes Ray's handler of SIGTERM off again
        try:
            ray.init(**settings)
        except Exception as error:  # a plain one where a node does not start in time
            reason = " ".join(str(error).split())[:200]
            raise InputError(
                f"no Ray cluster answers at {config.ray!r} ({reason}); start one, take --ray local, or export "
                "RAY_AUTH_MODE=token where it asks for the token in ~/.ray"
            ) from error
        try:
            _require_room(ray, slot.threads)
            task = ray.remote(num_cpus=slot.threads, max_retries=0)(execute)
            begun = [task.remote(replace(case, folder=case.folder.resolve()), slot, cwd=os.getcwd()) for case in cases]
            try:
                with terminable():
                    for case, run in zip(cases, begun, strict=True):
                        _wait(ray, case, run)
            except KeyboardInterrupt:
                for run in begun:
                    ray.cancel(run)
                ray.wait(begun, num_returns=len(begun), timeout=LEAVING_S)
                raise
        finally:
            ray.shutdown()


def _require_room(ray: Any, threads: int) -> None:
    """A task that fits nowhere would wait for ever."""
    largest = max((node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"]), default=0)
    if threads > largest:
        raise InputError(
            f"no node of the cluster has {threads} processors, the largest has {largest:g}: lower --threads"
        )


def _wait(ray: Any, case: Case, run: Any) -> None:
    """Until it has ended.  What took the task from under its run, such as a node that died, is that run's failure."""
    try:
        ray.get(run)
    except ray.exceptions.RayError as error:
        log = str(error).splitlines()
        found = {
            "failed": f"Ray: {type(error).__name__}: {log[0] if log else 'no message'}",
            "command": shlex.join(["python", "-m", case.module, *case.arguments()]),
            "log": log[-TAIL_LINES:],
            "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }
        case.folder.mkdir(parents=True, exist_ok=True)
        write_json(case.failure_file, found)
