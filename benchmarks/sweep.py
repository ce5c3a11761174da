"""Many runs, several at a time: each a process of its own on its own cores, none of them done twice.

A `Case` is a command and the folder that its run writes.  What has ended is left alone, what was interrupted goes on by
the run's own `--resume`, what fails is recorded in its folder (`failure.json`) and the others go on.
"""

import os
import shlex
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Lock, Thread, current_thread, main_thread
from typing import IO, Any, NamedTuple

import numpy as np
from filelock import FileLock, Timeout

from gail_suite.errors import InputError
from gail_suite.run_directory import read_json, write_json

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
TAIL_LINES = 20
WAKE_S = 0.2
MAX_JOBS = 1024


@dataclass(frozen=True, kw_only=True)
class SweepConfig:
    """How the runs of a sweep share the machine."""

    jobs: int = 1
    """Runs at a time; with two or more each has a share of the cores to itself."""
    threads: int = 0
    """Processor threads of a run; 0 is its share of the cores."""
    pin: bool = True
    """Whether two or more runs are kept on cores of their own; --no-pin where something else is busy on the machine."""
    ray: str | None = None
    """Address of a Ray cluster that takes the runs ("local" starts one here), as many at a time as it has room for.
    Every node must see the same folders and this package; needs the extra `scale`."""

    def check_sweep(self) -> None:
        """Raise InputError for numbers that make no sense."""
        if not 1 <= self.jobs <= MAX_JOBS:
            raise InputError(f"--jobs must be 1 to {MAX_JOBS}, got {self.jobs}")
        if not 0 <= self.threads <= MAX_JOBS:
            raise InputError(f"--threads must be 0 (its share of the cores) to {MAX_JOBS}, got {self.threads}")


@dataclass(frozen=True)
class Case:
    """`python -m module flags --out folder`; it has ended when `result` is in the folder.

    A run that has written `config.json` is gone on with by `--resume folder`; one that keeps none begins anew.
    """

    name: str
    folder: Path
    module: str
    flags: tuple[str, ...]
    result: str = "evaluation.json"

    @property
    def has_ended(self) -> bool:
        return (self.folder / self.result).exists()

    @property
    def has_begun(self) -> bool:
        return self.has_ended or (self.folder / "config.json").exists()

    @property
    def is_in_use(self) -> bool:
        """Whether another process holds the run's lock."""
        lock = FileLock(self.folder / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return True
        lock.release()
        return False

    @property
    def failure_file(self) -> Path:
        return self.folder / "failure.json"

    def arguments(self, threads: int = 0) -> list[str]:
        """Of the module; `threads` 0 leaves their number to the flags."""
        resumes = (self.folder / "config.json").exists()
        given = ["--resume", str(self.folder)] if resumes else [*self.flags, "--out", str(self.folder)]
        return given if not threads or "--threads" in given else [*given, "--threads", str(threads)]

    def check(self) -> None:
        """Raise InputError where the folder holds a run of other flags, which must not pass for this one."""
        file = self.folder / "case.json"
        if not file.exists() or not self.has_begun:
            return
        before = read_json(file)
        if before != self.identity():
            was = shlex.join([str(before.get("module")), *map(str, before.get("flags", []))])
            raise InputError(f"{self.folder} holds another run ({was}); choose another --out, or delete it")

    def identity(self) -> dict[str, Any]:
        """What `case.json` holds."""
        return {"module": self.module, "flags": list(self.flags)}


class Slot(NamedTuple):
    """What one of the runs at a time may use: threads (0: as it likes) and cores (None: any)."""

    threads: int
    cores: frozenset[int] | None


def slots(config: SweepConfig, cores: Sequence[int]) -> list[Slot]:
    """One a job.  A single run is left alone; of several, each has its part of `cores` where there are enough."""
    if config.jobs == 1:
        return [Slot(config.threads, None)]
    if config.jobs > len(cores):
        parts: list[Sequence[int]] = [[cores[i % len(cores)]] for i in range(config.jobs)]
    else:
        parts = [part.tolist() for part in np.array_split(np.array(cores), config.jobs)]
    threads = config.threads or min(len(part) for part in parts)
    pinned = config.pin and all(threads <= len(part) for part in parts)
    return [Slot(threads, frozenset(part) if pinned else None) for part in parts]


def run_sweep(cases: Sequence[Case], config: SweepConfig) -> list[dict[str, Any]]:
    """Run what has not ended; what failed as `failure` tells it, in the order of the cases.

    Raises:
        InputError: a folder holds another run, or there is no such cluster.
        KeyboardInterrupt: Ctrl-C or SIGTERM came; the runs were told once and have saved what they had.
    """
    config.check_sweep()
    for case in cases:
        case.check()
        if case.has_ended:
            case.failure_file.unlink(missing_ok=True)  # of an earlier try
    waiting = [case for case in cases if not case.has_ended]
    if len(waiting) < len(cases):
        say(f"{len(cases) - len(waiting)} of {len(cases)} runs have ended before")
    if waiting and config.ray is not None:
        from benchmarks.cluster import run_on_ray

        run_on_ray(waiting, config)
    elif waiting:
        _run_here(waiting, config)
    return [failure(case) for case in cases if not case.has_ended]


def failure(case: Case) -> dict[str, Any]:
    """The row of a case without a result: its name, what went wrong, exit code, command and the end of its log."""
    if case.failure_file.exists():
        return {"case": case.name, **read_json(case.failure_file)}
    what = "in use by another process" if case.is_in_use else "left no result"
    return {"case": case.name, "failed": what, "log": []}


def _what_failed(code: int, log: Sequence[str]) -> str:
    """Exit code or signal, and the last line that the run wrote."""
    ended = f"ended by signal {-code}" if code < 0 else f"exit code {code}"
    last = next((line.strip() for line in reversed(log) if line.strip()), "")
    return f"{ended}: {last}" if last else ended


def _run_here(cases: Sequence[Case], config: SweepConfig) -> None:
    free: SimpleQueue[Slot] = SimpleQueue()
    for slot in slots(config, usable()):
        free.put(slot)
    running = Running()

    def work(case: Case) -> None:
        if running.stopping.is_set():
            return
        slot = free.get()
        try:
            execute(case, slot, running)
        finally:
            free.put(slot)

    with terminable(), ThreadPoolExecutor(config.jobs) as pool:
        futures = [pool.submit(work, case) for case in cases]
        try:
            for future in as_completed(futures):
                future.result()
        except BaseException:
            running.stop()  # leaving the pool waits for the runs to save; a second Ctrl-C ends them at once
            try:
                pool.shutdown(wait=True, cancel_futures=True)
            except KeyboardInterrupt:
                running.stop(signal.SIGKILL)
            raise


class Running:
    """The processes of now, so that they can be told to stop."""

    def __init__(self) -> None:
        self.stopping = Event()
        self._processes: set[subprocess.Popen] = set()
        self._lock = Lock()

    def start(self, *arguments: Any, **settings: Any) -> subprocess.Popen | None:
        """`Popen`, or None when everything is to stop."""
        with self._lock:
            if self.stopping.is_set():
                return None
            process = subprocess.Popen(*arguments, **settings)
            self._processes.add(process)
            return process

    def ended(self, process: subprocess.Popen) -> None:
        with self._lock:
            self._processes.discard(process)

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Tell every process once; none begins any more.  (What a shell runs in the background is deaf to SIGINT.)"""
        with self._lock:
            self.stopping.set()
            for process in self._processes:
                process.send_signal(number)


def execute(case: Case, slot: Slot, running: Running | None = None, cwd: str | None = None) -> int | None:
    """Run a case to its end: its output to stderr and to `log.txt`, a failure to `failure.json`; the exit code.

    None where it was stopped on request or is in use by another process, which is no failure of its own.
    """
    running = running or Running()
    case.folder.mkdir(parents=True, exist_ok=True)
    if case.is_in_use:
        return None
    if not case.has_begun:
        write_json(case.folder / "case.json", case.identity())
    command = [sys.executable, "-m", case.module, *case.arguments(slot.threads)]
    given = {name: str(slot.threads) for name in THREAD_VARIABLES} if slot.threads else {}
    began = time.monotonic()
    tail: deque[str] = deque(maxlen=TAIL_LINES)
    with (case.folder / "log.txt").open("a") as log:
        log.write(f"$ {shlex.join(command)}\n")
        log.flush()
        process = running.start(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env={**os.environ, "PYTHONUNBUFFERED": "1", **given},
            cwd=cwd,
            process_group=0,  # a Ctrl-C reaches us alone, and each run hears of it once
        )
        if process is None:
            return None
        if slot.cores is not None and hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(process.pid, slot.cores)
        reader = Thread(target=_pass_on, args=(case.name, process.stdout, log, tail), daemon=True)
        reader.start()
        try:
            while reader.is_alive():  # a task that Ray cancels hears of it between two calls, never within one
                reader.join(WAKE_S)
        except BaseException:
            process.send_signal(signal.SIGTERM)
            raise
        finally:
            code = process.wait()
            reader.join()
            running.ended(process)
    if code == 0 and case.has_ended:
        case.failure_file.unlink(missing_ok=True)
        say(f"{case.name}: ended after {(time.monotonic() - began) / 60:.1f} minutes")
        return 0
    if running.stopping.is_set():
        return None
    found = {
        "failed": _what_failed(code, list(tail)),
        "exit_code": code,
        "command": shlex.join(["python", "-m", case.module, *case.arguments()]),
        "log": list(tail),
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "seconds": round(time.monotonic() - began, 1),
    }
    write_json(case.failure_file, found)
    return code


def _pass_on(name: str, output: IO[str], log: IO[str], tail: deque[str]) -> None:
    """What a run writes, to its log and to stderr, until it closes its output."""
    with output:
        for line in output:
            log.write(line)
            log.flush()
            say(f"{name}: {line.rstrip()}")
            tail.append(line.rstrip())


def usable() -> list[int]:
    """The cores that this process may run on, by number."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))


_saying = Lock()


def say(line: str) -> None:
    """To stderr, whole lines from every thread."""
    with _saying:
        print(line, file=sys.stderr, flush=True)


@contextmanager
def terminable() -> Iterator[None]:
    """SIGTERM is as Ctrl-C: the runs are told, not orphaned.  Only the main thread can see to that."""
    is_main = current_thread() is main_thread()
    before = signal.signal(signal.SIGTERM, signal.default_int_handler) if is_main else None
    try:
        yield
    finally:
        if is_main:
            signal.signal(signal.SIGTERM, before)
