"""A run for the tests of sweeps: `python -m tests.benchmarks.sweep_case FLAGS --out FOLDER`, or `--resume FOLDER`."""

import json
import os
import signal
import sys
import time
from pathlib import Path


def main(arguments: list[str]) -> int:
    """Ends with what --say names: done, fail, kill, nothing, wait (until it is told to stop)."""
    resumes = "--resume" in arguments
    folder = Path(arguments[arguments.index("--resume" if resumes else "--out") + 1])
    (folder / "runs").open("a").write("resumed\n" if resumes else "began\n")
    if resumes:
        say = "done"
    else:
        say = arguments[arguments.index("--say") + 1]
        (folder / "config.json").write_text("{}")
    print(f"this one says {say}", flush=True)
    if say == "fail":
        print("error: the dog ate it", file=sys.stderr)
        return 3
    if say == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if say == "wait":
        try:
            signal.signal(signal.SIGTERM, signal.default_int_handler)
            (folder / "waiting").touch()
            time.sleep(600)
        except KeyboardInterrupt:
            (folder / "told").touch()
            return 130
    if say != "nothing":
        found = {
            "threads": os.environ.get("OMP_NUM_THREADS"),
            "flag": arguments[arguments.index("--threads") + 1] if "--threads" in arguments else None,
            "cores": sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        }
        (folder / "evaluation.json").write_text(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
