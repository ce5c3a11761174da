"""The description of a run: every field is a flag of the command line with its text as help."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_type_hints

from benchmarks.data.pixels import Pixels
from gail_suite.errors import InputError
from gail_suite.fields import fits

MAX_SEED = 2**63 - 1  # of torch's generators
MAX_THREADS = 1024
PATHS = ("data_dir", "out", "resume")  # strings in JSON


@dataclass(frozen=True, kw_only=True)
class ImageConfig:
    """Train one case of the image benchmark and write what came of it: result.json, samples.png and curve.png."""

    model: str = ""
    """The case; --list names them."""
    dataset: str = ""
    """The data set; without it the case's own, which --list shows too."""
    pixels: Pixels | None = None
    """Treatment of the pixels, in the place of the case's own: fixed, dynamic and threshold are binary."""
    preset: Literal["cpu", "gpu", "smoke"] = "cpu"
    """Size of the model and length of the training: half an hour of one core (experiments: three minutes of two), the
    paper's on an accelerator, or seconds on data that need no file; smoke without --model takes one of each family."""
    seed: int = 0
    """Of the parameters, the batches and the noise."""
    device: str = "auto"
    """cpu, cuda or cuda:1; auto is cuda where there is one and the preset is gpu."""
    data_dir: Path | None = None
    """Folder with the data sets' files."""
    steps: int | None = None
    """Updates, in the place of the preset's."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of the matrix products in training; parameters and judgement are float32."""
    compile: bool = False
    """Whether the loss goes through torch.compile."""
    threads: int = 0
    """Processor threads; 0 is one a core."""
    out: Path | None = None
    """Folder of the run; without it runs/images/MODEL-PRESET-sSEED."""
    resume: Path | None = None
    """Folder of a run to go on with, exactly, under its own settings."""
    keep: bool = False
    """Whether the result also goes to benchmarks/results/images/, from which the README's tables are made."""
    list: bool = False
    """Print the cases and end."""

    def check(self) -> None:
        """Raise InputError on numbers that make no sense."""
        if self.steps is not None and self.steps < 1:
            raise InputError(f"--steps must be at least 1, got {self.steps}")
        if not 0 <= self.threads <= MAX_THREADS:
            raise InputError(f"--threads must be 0 (one a core) to {MAX_THREADS}, got {self.threads}")
        if not 0 <= self.seed <= MAX_SEED:
            raise InputError(f"--seed must be 0 to {MAX_SEED}, got {self.seed}")


def config_from_dict(values: dict[str, Any]) -> ImageConfig:
    """The inverse of `asdict` through JSON.

    Raises TypeError on fields that do not exist or are of another type, and InputError as `ImageConfig.check` does.
    """
    unknown = set(values) - {field.name for field in fields(ImageConfig)}
    if unknown:
        raise TypeError(f"unknown setting {sorted(unknown)[0]!r}")
    hints = get_type_hints(ImageConfig)
    settings: dict[str, Any] = {}
    for name, value in values.items():
        if not fits(value, str | None if name in PATHS else hints[name]):
            raise TypeError(f"{name} is {value!r}")
        settings[name] = Path(value) if value is not None and name in PATHS else value
    config = ImageConfig(**settings)
    config.check()
    return config
