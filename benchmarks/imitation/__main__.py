"""python -m benchmarks.imitation ablate --env Ant-v4: train every variant and seed of a study, then one table and plot.

Runs are folders of gail_suite.train: what has ended is not trained again, what was interrupted goes on.
"""

import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.imitation.cases import STUDIES
from gail_suite.cli import run_verb
from gail_suite.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Compare variants of an imitation, one thing changed at a time."""

    env: str = "Ant-v4"
    """The task."""
    studies: tuple[str, ...] = tuple(STUDIES)
    """Which comparisons, one after another; --list names them with their variants."""
    variants: tuple[str, ...] = ()
    """Only these of one study."""
    seeds: int = 3
    """Runs of each variant, with seeds 0, 1, ..."""
    flags: str = "--n-demos 4 --subsample 20 --total-env-steps 500000"
    """Further flags of every run, given as --flags="..."."""
    out: Path = Path("runs") / "studies"
    """Where the runs go: out/ENV/STUDY/VARIANT-sSEED."""
    keep: bool = False
    """Whether the numbers also go to benchmarks/results/studies/."""
    list: bool = False
    """Print the studies and end."""

    def check(self) -> None:
        """Raise InputError for what is not there."""
        if self.seeds < 1:
            raise InputError(f"--seeds must be 1 or more, got {self.seeds}")
        for name in self.studies:
            if name not in STUDIES:
                raise InputError(f"there is no study {name!r}; choose among {', '.join(STUDIES)}")
        if self.variants and len(self.studies) != 1:
            raise InputError("--variants are those of one study; say which with --studies")
        for name in self.variants:
            if name not in (known := STUDIES[self.studies[0]]):
                raise InputError(
                    f"the study {self.studies[0]!r} has no variant {name!r}; choose among {', '.join(known)}"
                )


def main(arguments: list[str]) -> int:
    import tyro

    if arguments[:1] == ["ablate"]:
        arguments = arguments[1:]
    elif not {"-h", "--help"} & set(arguments):
        raise InputError("say what to do: python -m benchmarks.imitation ablate --env Ant-v4")
    config = tyro.cli(Arguments, args=arguments, prog="python -m benchmarks.imitation ablate")
    if config.list:
        for name, variants in STUDIES.items():
            print(f"{name}: {', '.join(variants)}")
        return 0
    config.check()
    command = shlex.join(["python", "-m", "benchmarks.imitation", "ablate", *arguments])
    return max(run_study(config, name, command) for name in config.studies)


def run_study(config: Arguments, name: str, command: str) -> int:
    """Train what is missing of one study, then its table, its curves and study.json; 1 where a run failed."""
    from benchmarks.imitation import study
    from benchmarks.provenance import anywhere
    from gail_suite.run_directory import write_json

    folder = config.out / config.env.replace(":", "-").replace("/", "-") / name.replace(" ", "-")
    variants = {variant: STUDIES[name][variant] for variant in config.variants or STUDIES[name]}
    failed = []
    for seed in range(config.seeds):  # seed by seed, so that an early stop leaves every variant with as many
        for variant, flags in variants.items():
            run = study.run_folder(folder, variant, seed)
            if code := train(run, ordered(flags, shlex.split(config.flags)), config.env, seed):
                failed.append(f"{variant}, seed {seed} (exit code {code})")
    found = study.collect(folder, config.env, name, variants) | {"command": command, "failed": failed}
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "study.json", found)
    if found["rows"]:
        study.draw(found, folder / "curves.png")
        print(study.markdown(found))
    print(f"all in {folder}")
    if config.keep:
        write_json(study.KEPT / f"{config.env}-{name.replace(' ', '-')}.json", anywhere(found))
    for line in failed:
        print(f"failed: {line}", file=sys.stderr)
    return 1 if failed else 0


def ordered(own: Sequence[str], common: Sequence[str]) -> list[str]:
    """A variant's own flags win over the common ones; whose trainer it is comes first."""
    peer = list(own[:2]) if own[:1] == ("--peer",) else []
    return [*peer, *common, *own[len(peer) :]]


def train(run: Path, flags: list[str], env: str, seed: int) -> int:
    """Train, go on, or leave it where it has ended; the exit code."""
    if (run / "evaluation.json").exists():
        return 0
    begun = ["--resume", str(run)] if (run / "config.json").exists() else None
    module = "benchmarks.imitation.peer" if "--peer" in flags else "gail_suite.train"
    fresh = [*flags, "--env", env, "--seed", str(seed), "--out", str(run), "--no-controls", "--no-video"]
    code = subprocess.run([sys.executable, "-m", module, *(begun or fresh)]).returncode
    if code == 130:
        raise KeyboardInterrupt
    return code


if __name__ == "__main__":
    run_verb(lambda: main(sys.argv[1:]))
