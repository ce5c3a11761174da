"""Processes to be killed: a fresh interpreter, or a fork of this one that spares it the loading of the libraries."""

import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from gail_suite.cli import run_verb


@dataclass(frozen=True)
class Started:
    """A process whose output goes to a file."""

    pid: int
    output: Path

    def poll(self) -> int | None:
        """The exit code, minus the number of the signal that ended it, None while it runs; not to be asked again."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        return os.waitstatus_to_exitcode(status) if pid else None

    def wait(self, seconds: float = 600.0) -> int:
        """The exit code; a process that takes longer is killed, and its code says so."""
        deadline = time.monotonic() + seconds
        while (code := self.poll()) is None:
            if time.monotonic() > deadline:
                os.kill(self.pid, signal.SIGKILL)
                deadline += 60
            time.sleep(0.002)
        return code

    def kill(self) -> None:
        """At once, and not to be caught."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)

    def last_line(self) -> str:
        lines = self.output.read_text(errors="replace").strip().splitlines() if self.output.exists() else []
        return lines[-1] if lines else "no output"


def start(module: str, arguments: Sequence[str], output: Path, *, spawn: bool) -> Started:
    """`python -m module arguments`, in a fresh interpreter or, with `spawn` False, in a fork of this one."""
    output.parent.mkdir(parents=True, exist_ok=True)
    if spawn:
        with output.open("ab") as out:
            child = subprocess.Popen([sys.executable, "-m", module, *arguments], stdout=out, stderr=out)
        child.returncode = 0  # whoever asks is `Started`, not the destructor of Popen
        return Started(child.pid, output)
    main = import_module(module).main
    return fork(lambda: _as_program(module, main, arguments), output)


def fork(body: Callable[[], object], output: Path) -> Started:
    """`body` in a fork; what it raises is printed and ends it with code 70."""
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return Started(pid, output)
    code = 70
    try:
        _redirect(output)
        body()
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _redirect(output: Path) -> None:
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    sys.stdout, sys.stderr = (os.fdopen(stream, "w") for stream in (1, 2))  # those of a test runner are its own


def _as_program(module: str, main: Callable[[], int | None], arguments: Sequence[str]) -> None:
    sys.argv = [module, *arguments]
    run_verb(main)
