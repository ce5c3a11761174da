"""python -m benchmarks.images sweep --model made nade --jobs 2: several cases and seeds, each as by itself.

Runs are the folders that the single command makes: what has ended is not run again, what was interrupted goes on, what
fails is told (`failure.json`) and the others go on.
"""

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmarks.sweep import Case, SweepConfig, run_sweep
from gail_suite.errors import InputError


@dataclass(frozen=True, kw_only=True)
class ImageSweep(SweepConfig):
    """Train several cases of the image benchmark, some at a time."""

    model: tuple[str, ...] = ()
    """The cases; `python -m benchmarks.images --list` names them."""
    seeds: int = 1
    """Runs of each, with seeds 0, 1, ..."""
    preset: Literal["cpu", "gpu", "smoke"] = "cpu"
    """As the single command has it."""
    data_dir: Path | None = None
    """Folder with the data sets' files."""
    flags: str = ""
    """Further flags of every run, given as --flags="..."."""
    out: Path = Path("runs") / "images"
    """Where the runs go: out/MODEL-PRESET-sSEED."""
    keep: bool = False
    """Whether the results also go to benchmarks/results/."""

    def cases(self) -> list[Case]:
        """Seed by seed, so that an early stop leaves every case with as many.  Raises InputError."""
        from benchmarks.images.cases import CASES
        from benchmarks.images.experiments.cases import EXPERIMENTS

        known = [*CASES, *EXPERIMENTS]
        if not self.model:
            raise InputError(f"say which --model: some of {', '.join(known)}")
        for name in self.model:
            if name not in known:
                raise InputError(f"there is no case {name!r}; choose among {', '.join(known)}")
        if self.seeds < 1:
            raise InputError(f"--seeds must be 1 or more, got {self.seeds}")
        common = [*("--preset", self.preset), *shlex.split(self.flags)]
        if self.data_dir is not None:
            common += ["--data-dir", str(self.data_dir)]
        return [
            Case(
                name=f"{model}, seed {seed}",
                folder=self.out / f"{model}-{self.preset}-s{seed}",
                module="benchmarks.images",
                flags=("--model", model, *common, "--seed", str(seed)),
                result="result.json",
            )
            for seed in range(self.seeds)
            for model in dict.fromkeys(self.model)
        ]


def main(arguments: list[str]) -> int:
    """1 where a run failed."""
    import tyro

    config = tyro.cli(ImageSweep, args=arguments, prog="python -m benchmarks.images sweep")
    cases = config.cases()
    failed = run_sweep(cases, config)
    if config.keep:
        _keep(cases)
    for line in failed:
        print(f"failed: {line['case']} ({line['failed']})", file=sys.stderr)
    print(f"{len(cases) - len(failed)} of {len(cases)} runs have ended, all in {config.out}")
    return 1 if failed else 0


def _keep(cases: list[Case]) -> None:
    """Runs that had ended before a sweep with --keep are kept too."""
    from benchmarks.images import report
    from benchmarks.images.folder import Folder
    from benchmarks.provenance import anywhere

    for case in cases:
        if case.has_ended:
            folder = Folder(case.folder)
            report.keep(anywhere(folder.result()), folder)
