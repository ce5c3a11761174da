"""Results of throughput."""

from statistics import median
from typing import Annotated, Literal

from pydantic import Field, PositiveInt
from pydantic import model_validator as law

from benchmarks.report.schema.parts import Amount, Count, Origin, Part, Positive, Text, agree, require_rising


class Measured(Origin):
    """Where a result of speed comes from."""

    command: Text
    cores: PositiveInt


class Rate(Part):
    env_steps_per_s: Amount
    ratio_to_limit: Amount
    per_round: Annotated[list[Amount], Field(min_length=1)]

    @law(mode="after")
    def _is_the_median(self) -> "Rate":
        agree("env_steps_per_s", self.env_steps_per_s, median(self.per_round), "per_round", 0.06)
        return self


class ThroughputEnvs(Measured):
    n_envs: PositiveInt
    results: dict[str, dict[str, Rate | None]]


class ThroughputGail(Measured):
    env: Text
    n_envs: PositiveInt
    results: dict[Literal["limit", "ours", "imitation_subproc", "imitation_dummy"], Rate]
    imitation_better: Literal["imitation_subproc", "imitation_dummy"]
    ours_to_imitation: Amount

    @law(mode="after")
    def _agrees(self) -> "ThroughputGail":
        if not {"ours", self.imitation_better} <= set(self.results):
            raise ValueError("ours_to_imitation compares what is not in results")
        ours, theirs = (self.results[name].per_round for name in ("ours", self.imitation_better))
        if len(ours) == len(theirs) and all(theirs):
            expected = median(a / b for a, b in zip(ours, theirs, strict=True))
            agree("ours_to_imitation", self.ours_to_imitation, expected, "per_round", 0.02)
        return self


class Parameters(Part):
    ours: PositiveInt
    peer: PositiveInt


class PerTurn(Part):
    ours: Annotated[list[Amount], Field(min_length=1)]
    peer: Annotated[list[Amount], Field(min_length=1)]


class Pair(Part):
    label: Text
    unit: Text
    parameters: Parameters
    ours: Amount
    peer: Amount
    ours_to_peer: Amount
    per_turn: PerTurn

    @law(mode="after")
    def _is_the_median(self) -> "Pair":
        agree(f"ours of {self.label}", self.ours, median(self.per_turn.ours), "per_turn", 0.006)
        agree(f"peer of {self.label}", self.peer, median(self.per_turn.peer), "per_turn", 0.006)
        return self


class ThroughputCore(Measured):
    batch: PositiveInt
    threads: PositiveInt
    results: list[Pair]


class Point(Part):
    x: Annotated[Count, Field(gt=0)]
    y: Positive
    per_round: Annotated[list[Positive], Field(min_length=1)]

    @law(mode="after")
    def _is_the_median(self) -> "Point":
        agree(f"y at {self.x}", self.y, median(self.per_round), "per_round")
        return self


class ScalingLine(Part):
    label: Text
    threads: PositiveInt
    points: Annotated[list[Point], Field(min_length=1)]

    @law(mode="after")
    def _rises(self) -> "ScalingLine":
        xs = [point.x for point in self.points]
        require_rising(self.label, xs, xs[-1])
        if len(set(xs)) < len(xs):
            raise ValueError(f"{self.label} has one x twice")
        return self


class ScalingPlot(Part):
    title: Text
    x: Text
    y: Text
    lines: Annotated[list[ScalingLine], Field(min_length=1)]


class ThroughputScaling(Measured):
    env: Text
    plots: dict[str, ScalingPlot]
