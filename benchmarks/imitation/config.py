"""The two commands of the benchmark: every field is a flag with its text as help."""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmarks.imitation import published
from benchmarks.imitation.cases import ALGORITHMS, PEERS, REWARDS, STUDIES, comparison
from benchmarks.imitation.study import Study
from benchmarks.sweep import SweepConfig
from gail_suite.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Common(SweepConfig):
    """What both commands have."""

    env: tuple[str, ...] = ("Ant-v4",)
    """The tasks, one or several."""
    seeds: int = 3
    """Runs of each variant, with seeds 0, 1, ..."""
    out: Path = Path("runs") / "studies"
    """Where the runs go: out/ENV/STUDY/VARIANT-sSEED.  What has ended there is not run again, what has not goes on."""
    keep: bool = False
    """Whether the numbers also go to benchmarks/results/studies/."""

    def check_common(self) -> None:
        """Raise InputError for numbers that make no sense."""
        self.check_sweep()
        if self.seeds < 1:
            raise InputError(f"--seeds must be 1 or more, got {self.seeds}")


@dataclass(frozen=True, kw_only=True)
class Compare(Common):
    """Compare ours with random actions, cloning, a constant reward and `imitation`'s GAIL, AIRL and BC.

    All get the same demonstrations and the same environments, and are judged by their last policy on the same seeds.
    `python -m benchmarks.imitation ablate` changes one thing at a time instead.
    """

    rewards: tuple[str, ...] = ("gail",)
    """Ours: rewards of gail_suite.train."""
    algos: tuple[str, ...] = ("ppo",)
    """Ours: learners, each with every reward."""
    peers: tuple[str, ...] = PEERS
    """Trainers of `imitation`; they get 300,000 steps at most, for they take some hundred a second."""
    n_demos: tuple[int, ...] = ()
    """Demonstrations, one comparison an amount; without it 4, or what the protocol says."""
    subsample: int = 20
    """Keep every so many-th pair of each demonstration."""
    protocol: Literal["own", "2016"] = "own"
    """2016: the paper's amounts of demonstrations (4, 11, 18, 25; Humanoid 80, 160, 240), its figures beside ours."""
    total_env_steps: int | None = None
    """Steps of each run; without it those of the task's preset."""
    flags: str = ""
    """Further flags of every run, given as --flags="..."."""
    preset: Literal["full", "smoke"] = "full"
    """smoke: every kind of row in some minutes, offline, to see that it runs; the numbers mean nothing."""

    def studies(self) -> list[Study]:
        """One a task and amount of demonstrations.  Raises InputError for what is not there."""
        self.check_common()
        for flag, given, known in (
            ("--rewards", self.rewards, REWARDS),
            ("--algos", self.algos, ALGORITHMS),
            ("--peers", self.peers, PEERS),
        ):
            for name in given:
                if name not in known:
                    raise InputError(f"{flag} has no {name!r}; choose among {', '.join(known)}")
        if self.protocol == "2016" and self.subsample != published.SUBSAMPLE:
            raise InputError(f"the protocol of 2016 keeps every {published.SUBSAMPLE}th pair: leave --subsample out")
        variants = comparison(self.rewards, self.algos, self.peers, self.total_env_steps)
        steps = () if self.total_env_steps is None else ("--total-env-steps", str(self.total_env_steps))
        return [
            Study(
                env,
                f"comparison {n}x{self.subsample}",
                variants,
                (
                    *("--n-demos", str(n), "--subsample", str(self.subsample), *steps),
                    *("--select", "last", *shlex.split(self.flags)),
                ),
                self.out,
            )
            for env in self.env
            for n in self.n_demos or (published.n_demos_of(env) if self.protocol == "2016" else (4,))
        ]


SMOKE = Compare(
    env=("Hopper-v4",),
    seeds=2,
    rewards=("gail", "gmm"),
    total_env_steps=8192,
    jobs=2,
    flags=(
        "--eval-every 4096 --eval-episodes 5 --select-episodes 3 --cloning.max-updates 500 --warm-up-rounds 1 "
        "--density.max-updates 200"
    ),
    out=Path("runs") / "smoke" / "imitation",
    preset="smoke",
)


@dataclass(frozen=True, kw_only=True)
class Ablate(Common):
    """Compare variants of an imitation, one thing changed at a time."""

    studies: tuple[str, ...] = tuple(STUDIES)
    """Which comparisons, one after another; --list names them with their variants."""
    variants: tuple[str, ...] = ()
    """Only these of one study."""
    flags: str = "--n-demos 4 --subsample 20 --total-env-steps 500000"
    """Further flags of every run, given as --flags="..."."""
    list: bool = False
    """Print the studies and end."""


def chosen(config: Ablate) -> list[Study]:
    """One a task and study.  Raises InputError for what is not there."""
    config.check_common()
    for name in config.studies:
        if name not in STUDIES:
            raise InputError(f"there is no study {name!r}; choose among {', '.join(STUDIES)}")
    if config.variants and len(config.studies) != 1:
        raise InputError("--variants are those of one study; say which with --studies")
    for name in config.variants:
        if name not in (known := STUDIES[config.studies[0]]):
            raise InputError(
                f"the study {config.studies[0]!r} has no variant {name!r}; choose among {', '.join(known)}"
            )
    common = tuple(shlex.split(config.flags))
    return [
        Study(env, name, {v: STUDIES[name][v] for v in config.variants or STUDIES[name]}, common, config.out)
        for env in config.env
        for name in config.studies
    ]
