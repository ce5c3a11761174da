"""What an experiment is: a system, the question that its paper answers, and how to measure the answer."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from benchmarks.images.experiments.lab import Lab

Role = Literal["ours", "ablation", "baseline", "ceiling"]
"""The system itself; it without what its paper argues for; the trivial way; the best that could be (real data)."""


class Row(NamedTuple):
    """What one contender measured."""

    name: str
    role: Role
    values: dict[str, float]
    """By measure; one that does not apply is left out."""


class Measure(NamedTuple):
    """A column of the table."""

    what: str
    """In words, with its unit."""
    better: Literal["higher", "lower", "neither"]


@dataclass(frozen=True, kw_only=True)
class Size:
    """What a preset allows an experiment."""

    steps: int
    """Updates of each contender that is trained."""
    batch_size: int = 64
    channels: tuple[int, ...] = (64, 32)
    """Of a generator's maps, before each doubling of the sides; other networks take theirs from them."""
    n_judged: int = 2_000
    """Events that are drawn for judgement."""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """One entry of `EXPERIMENTS`."""

    about: str
    """The system, for --list and the table."""
    paper: str
    """Its address."""
    question: str
    """What is asked, in one sentence."""
    measures: dict[str, Measure]
    """The first is the headline."""
    run: "Callable[[Lab, Size], Sequence[Row]]"
    """Trains and judges all contenders; the lab draws the picture that it is told to."""
    cpu: Size
    """At most three minutes on two cores."""
    gpu: Size
    """The paper's size, for an accelerator."""
    smoke: Size = Size(steps=2, batch_size=16, channels=(8, 4), n_judged=48)
    """Runs through in seconds, on data that need no file; the figures mean nothing."""

    def size(self, preset: str) -> Size:
        return {"cpu": self.cpu, "gpu": self.gpu, "smoke": self.smoke}[preset]
