"""Every kind of file that a stranger may hand in, damaged or made to do harm: one clear line, and nothing else."""

import os
import resource
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.provenance import origin
from benchmarks.reliability.hostile import HOSTILE
from benchmarks.reliability.kills import load_libraries
from benchmarks.reliability.mutations import damage, damage_json
from benchmarks.reliability.processes import fork
from benchmarks.reliability.samples import Sample, make_samples
from gail_suite.cli import run_verb
from gail_suite.errors import InputError
from gail_suite.run_directory import write_json

PACKAGES = ("torch", "numpy", "pyarrow", "stable-baselines3")
MAX_SECONDS = 5  # of the processor's time: the clock's depends on what else runs
MAX_BYTES = 1 << 30
ODD_NAME = "[red]odd\x1b[31m\u202e\r"


@dataclass(frozen=True)
class FuzzConfig:
    """Read damaged and hostile files of every kind, each in a process of its own with its memory and time limited."""

    n: int = 1000
    """Files: all those made to do harm first, then damaged ones, every kind in turn."""
    seed: int = 0
    """Of the damage."""
    keep: Path | None = None
    """Folder for the files that were not refused as they should have been."""
    json: Path | None = None
    """Where to write what was found."""


@dataclass
class Tally:
    """What became of one kind."""

    hostile: int = 0
    damaged: int = 0
    refused: int = 0
    read: int = 0
    """Read in spite of the damage, which then did not matter or cannot be seen."""
    wrong: list[str] = field(default_factory=list)
    seconds: float = 0.0
    """Of the slowest."""
    mebibytes: float = 0.0
    """That the largest took."""


def run(config: FuzzConfig, arguments: list[str]) -> int:
    """The campaign; 1 where a file got more than a line."""
    if config.n < 1:
        raise InputError("--n must be 1 or more")
    how = origin("benchmarks.reliability", arguments, PACKAGES)
    load_libraries()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        tallies = campaign(Path(folder), config.n, config.seed, config.keep)
    for name, tally in tallies.items():
        wrong = "; ".join(f"{what} ({n})" for what, n in Counter(tally.wrong).most_common(5)) or "nothing wrong"
        print(f"{name}: {tally.refused} refused, {tally.read} read, {wrong}", flush=True)
    rows = {name: vars(tally) for name, tally in tallies.items()}
    if config.json is not None:
        seconds = round(time.monotonic() - began, 1)
        write_json(config.json, {"campaign": "fuzz", **how, "seconds": seconds, "rows": rows})
    return int(any(tally.wrong for tally in tallies.values()))


def campaign(folder: Path, n: int, seed: int, keep: Path | None = None) -> dict[str, Tally]:
    """`n` files over all kinds."""
    samples = make_samples(folder / "sound")
    tallies = {name: Tally() for name in samples}
    for i, (kind, is_hostile, case) in zip(range(n), cases(samples, folder / "case", seed), strict=False):
        tally = tallies[kind]
        tally.hostile += is_hostile
        tally.damaged += not is_hostile
        problem = judge(case, folder, tally)
        if problem is not None:
            tally.wrong.append(problem)
            if keep is not None:
                shutil.copytree(folder / "case", keep / f"{i:05d}-{kind.replace(' ', '-')}", symlinks=True)
    return tallies


def cases(samples: dict[str, Sample], folder: Path, seed: int) -> Iterator[tuple[str, bool, Sample]]:
    """(kind, whether it is made to do harm, the case), each laid out anew in `folder`; without end."""
    rng = np.random.default_rng(seed)
    for kind, makers in HOSTILE.items():
        for make in makers if kind in samples else ():  # Minari's, where it is not installed
            case = _lay_out(samples[kind], folder)
            make(case.target, folder.parent / "ran")
            yield kind, True, case
    while True:
        for kind, sample in samples.items():
            case = _lay_out(sample, folder, odd=bool(rng.integers(2)))
            content = case.target.read_bytes()
            is_json = case.target.suffix in (".json", ".jsonl") and rng.integers(2)
            case.target.write_bytes(damage_json(content, rng) if is_json else damage(content, rng))
            yield kind, False, case


def _lay_out(sample: Sample, folder: Path, *, odd: bool = False) -> Sample:
    """A copy in the emptied `folder`, perhaps under a name that would colour the terminal."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    if sample.place.is_dir():
        place = folder / (ODD_NAME if odd else sample.place.name)
        shutil.copytree(sample.place, place)
        return Sample(place, place / sample.target.relative_to(sample.place), sample.read)
    place = folder / f"{ODD_NAME if odd else sample.place.stem}{sample.place.suffix}"
    shutil.copyfile(sample.place, place)
    return Sample(place, place, sample.read)


def judge(case: Sample, folder: Path, tally: Tally) -> str | None:
    """Read it in a fork; what went wrong in a few words, or None."""
    before = _names(folder)
    output = folder / "output"
    resident = folder / "resident"
    for left in (output, resident):
        left.unlink(missing_ok=True)

    def body() -> None:
        os.chdir(folder / "case")
        resident.write_text(str(_resident_bytes()))  # of the fork itself: pages of files are not copied to it
        size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + 2 * MAX_BYTES,) * 2)
        resource.setrlimit(resource.RLIMIT_CPU, (MAX_SECONDS, MAX_SECONDS + 1))
        run_verb(lambda: case.read(case.place) and None)

    started = fork(body, output)
    _, status, used = os.wait4(started.pid, 0)
    seconds, grown = used.ru_utime + used.ru_stime, max(0, used.ru_maxrss * 1024 - int(resident.read_text()))
    tally.seconds, tally.mebibytes = (
        max(tally.seconds, round(seconds, 2)),
        max(tally.mebibytes, round(grown / 2**20, 1)),
    )
    code = os.waitstatus_to_exitcode(status)
    said = output.read_text(errors="replace") if output.exists() else ""
    tally.read += code == 0
    tally.refused += code == 2
    problem = _problem(code, said, grown)
    abroad = _names(folder) - before - {output.name, resident.name}
    return f"wrote {sorted(abroad)[0]}" if abroad else problem


def _problem(code: int, said: str, grown: int) -> str | None:
    """What is wrong with how a reading ended."""
    lines = said.strip().splitlines()
    if code in (-signal.SIGXCPU, -signal.SIGKILL):
        return "took too long"
    if code not in (0, 2):
        return f"ended with code {code}: {lines[-1][:120] if lines else 'nothing said'}"
    if any(not c.isprintable() and c != "\n" for c in said):
        return "control characters in the terminal"
    if code == 2 and (len(lines) != 1 or not lines[0].startswith("error: ")):
        return "more than a line"
    if grown > MAX_BYTES or (code == 2 and "not enough memory" in said):
        return "took too much memory"
    return None


def _names(folder: Path) -> set[str]:
    """All paths in it but those of the sound files; links are not followed."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_relative_to(folder / "sound")}


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
