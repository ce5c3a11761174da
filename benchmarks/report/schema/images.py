"""Results of images: cases with a likelihood, and experiments."""

import math
from typing import Annotated, Any, Literal

from pydantic import Field, FiniteFloat, NonNegativeInt, PositiveInt
from pydantic import model_validator as law

from benchmarks.report.schema.parts import (
    Amount,
    Count,
    Origin,
    Part,
    Positive,
    Text,
    agree,
    command_agrees,
    require_rising,
)

Share = Annotated[FiniteFloat, Field(ge=0, le=1)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
SHIFTS = (0.0, math.log2(17 / 2), math.log2(256 / 2))  # bits/dim of [-1, 1] against the levels': none, digits', bytes'


class Made(Origin):
    """Where a result of images comes from."""

    model: Text
    about: Text
    preset: Literal["cpu", "gpu", "smoke"]
    seed: NonNegativeInt
    command: Text
    device: Text
    threads: PositiveInt

    @law(mode="after")
    def _is_of_its_command(self) -> "Made":
        command_agrees(self.command, seed=self.seed, model=self.model)
        return self


class ImageData(Part):
    name: Text
    event_shape: Annotated[list[PositiveInt], Field(min_length=2)]
    pixels: Text | None
    rows: dict[str, NonNegativeInt]
    sha256: dict[str, Text] | None = None


class ImageTest(Part):
    nats: FiniteFloat
    standard_error: Amount
    n: PositiveInt
    estimator: Text
    bits_per_dim: FiniteFloat | None = None
    effective_sample_size: Amount | None = None
    log_z_standard_error: Amount | None = None

    @law(mode="after")
    def _chains_say_both(self) -> "ImageTest":
        if self.effective_sample_size is not None and self.log_z_standard_error is None:
            raise ValueError("log_z_standard_error is missing beside effective_sample_size")
        return self


class Training(Part):
    seconds: Amount
    updates: PositiveInt | None = None
    best_update: PositiveInt | None = None


class Files(Part):
    images: PositiveInt
    model: PositiveInt
    minus_log2_p: Amount
    png: PositiveInt
    gzip: PositiveInt
    decoded_exactly: bool


class ImageLook(Part):
    step: PositiveInt
    validation_nats: FiniteFloat
    seconds: Amount


class Ceilings(Part):
    flops_per_s: Positive
    bytes_per_s: Positive
    product: Literal["float32", "tf32", "bfloat16"]


class Achieved(Part):
    seconds: Positive
    images_per_s: Amount
    flops: Count
    flops_per_s: Amount
    share_of_flops: Amount
    bytes_lower_bound: Count
    bytes_per_s: Amount
    share_of_bytes: Amount
    ceilings: Ceilings

    @law(mode="after")
    def _agrees(self) -> "Achieved":
        for unit, work in (("flops", self.flops), ("bytes", self.bytes_lower_bound)):
            rate, ceiling = getattr(self, f"{unit}_per_s"), getattr(self.ceilings, f"{unit}_per_s")
            agree(f"{unit}_per_s", rate, work / self.seconds, "its work and seconds")
            agree(f"share_of_{unit}", getattr(self, f"share_of_{unit}"), rate / ceiling, "its rate and ceiling")
        return self


class Roofline(Part):
    training: Achieved
    sampling: Achieved


class Images(Made):
    data: ImageData
    parameters: PositiveInt
    training: Training
    test: ImageTest
    seconds_judging: Amount = 0.0
    files: Files | None = None
    roofline: Roofline | None = None
    curve: list[ImageLook] = Field(default_factory=list)

    @law(mode="after")
    def _agrees(self) -> "Images":
        rows = self.data.rows.get("test")
        if rows is not None and self.test.n > rows:
            raise ValueError(f"test.n is {self.test.n}, and the data have {rows} test images")
        claimed = self.test.bits_per_dim
        if claimed is not None:
            bits = self.test.nats / math.prod(self.data.event_shape) / math.log(2)
            nearest = min((bits + shift for shift in SHIFTS), key=lambda b: abs(b - claimed))
            agree("test.bits_per_dim", claimed, nearest, "test.nats")
        elif "bits_per_dim" in self.test.model_fields_set:
            raise ValueError("test.bits_per_dim is empty")
        best, updates = self.training.best_update, self.training.updates
        if best is not None and updates is not None and best > updates:
            raise ValueError(f"training.best_update {best} is after the last update {updates}")
        require_rising("curve", [look.step for look in self.curve], updates or math.inf)
        return self


class Measure(Part):
    what: Text
    better: Literal["higher", "lower", "neither"]


class Contender(Part):
    name: Text
    role: Literal["ours", "ablation", "baseline", "ceiling"]
    values: dict[str, FiniteFloat]

    @law(mode="after")
    def _is_possible(self) -> "Contender":
        for name, value in self.values.items():
            if value < 0 and name.split()[0] in ("FID", "coverage", "density"):
                raise ValueError(f"{name} of {self.name} is negative: {value}")
        return self


class Judge(Part):
    sha256: Sha256
    accuracy_on_real: Share


class SizeOf(Part):
    steps: PositiveInt
    n_judged: PositiveInt


class LabTraining(Part):
    updates: PositiveInt
    seconds: Amount


class Experiment(Made):
    paper: Annotated[str, Field(pattern=r"^https?://\S+$")]
    question: Text
    size: SizeOf
    seconds: Amount
    measures: Annotated[dict[str, Measure], Field(min_length=1)]
    rows: Annotated[list[Contender], Field(min_length=1)]
    data: dict[str, dict[str, Any]]
    judges: dict[str, Judge]
    trainings: dict[str, LabTraining] = Field(default_factory=dict)
    caption: str

    @law(mode="after")
    def _agrees(self) -> "Experiment":
        unknown = {name for row in self.rows for name in row.values} - set(self.measures)
        if unknown:
            raise ValueError(f"{sorted(unknown)[0]} is measured, and measures does not say what it is")
        names = [row.name for row in self.rows]
        if len(set(names)) < len(names):
            raise ValueError("two contenders have one name")
        trained = sum(training.seconds for training in self.trainings.values())
        if trained > 1.01 * self.seconds + 1:
            raise ValueError(f"its trainings took {trained:.0f} s of {self.seconds:.0f} s in all")
        return self
