"""What the launcher of several processes (see parallel.py) has told this one, read from the environment."""

import os
import sys

from gail_suite.errors import InputError

RANKS = ("RANK", "PMI_RANK", "OMPI_COMM_WORLD_RANK")
SIZES = ("WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE")  # the launcher's, Intel's MPI's, Open MPI's


def n_processes() -> int:
    """So many train together, this one included."""
    return next((int(os.environ[name]) for name in SIZES if name in os.environ), 1)


def follows() -> bool:
    """Whether this process only computes: another one is the main one."""
    return n_processes() > 1 and next((int(os.environ[name]) for name in RANKS if name in os.environ), 0) > 0


def command(alone: str) -> str:
    """The command of one process, as all were launched."""
    n = n_processes()
    return alone if n == 1 else alone.replace("python -m", f"accelerate launch --multi-gpu --num-processes {n} -m", 1)


def require_one_process(what: str) -> None:
    """Raise InputError where several have been launched."""
    if n_processes() > 1:
        raise InputError(f"{what} does not run as several processes: start it with python -m benchmarks.images")


def say_where_only_one_was_launched() -> None:
    """`accelerate launch --cpu` starts one process without MPI, whatever number it is given."""
    environment = os.environ
    is_single = n_processes() == 1 and environment.get("ACCELERATE_USE_CPU") == "True"
    if is_single and "MASTER_ADDR" in environment:  # which the launcher sets where it is asked for several
        line = "note: accelerate launch --cpu has started one process; for several give it --multi-gpu in the place of"
        print(f"{line} --cpu, and --device cpu to benchmarks.images", file=sys.stderr)
