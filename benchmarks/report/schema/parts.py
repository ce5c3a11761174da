"""What all results have in common: exact types, and fields that agree with one another."""

import math
import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, NonNegativeInt, PositiveInt

Text = Annotated[str, Field(min_length=1, pattern=r"^[^\x00-\x1f\x7f]*$")]  # of one line
Amount = Annotated[FiniteFloat, Field(ge=0)]
Count = Annotated[int, Field(ge=0, le=2**63)]
Positive = Annotated[FiniteFloat, Field(gt=0)]


class Part(BaseModel):
    """Exactly these types; further fields are welcome."""

    model_config = ConfigDict(strict=True, extra="allow")


class Origin(Part):
    """How a result came about; of the older ones not all is known."""

    command: Text | None = None
    commit: Text | None = None
    date: Text | None = None
    began: Text | None = None
    processor: Text | None = None
    device: Text | None = None
    cores: PositiveInt | None = None
    threads: NonNegativeInt | None = None
    versions: dict[str, Text | None] = Field(default_factory=dict)


def agree(name: str, value: float, expected: float, source: str, absolute: float = 1e-6) -> None:
    """Raise ValueError where a figure is not what `source` makes it; `absolute` is what rounding may change."""
    if not math.isclose(value, expected, rel_tol=1e-6, abs_tol=absolute):
        raise ValueError(f"{name} is {value:.6g}, and {source} give {expected:.6g}")


def command_agrees(command: str, **fields: Any) -> None:
    """Raise ValueError where they differ.  A command without --seed has seed 0; other flags may be left out."""
    for name, value in fields.items():
        found = re.findall(rf"--{name}[= ](\S+)", command)
        said = found[-1] if found else ("0" if name == "seed" else str(value))
        if said != str(value):
            raise ValueError(f"{name} is {value}, and its command says {said}")


def require_rising(name: str, values: Sequence[float], end: float) -> None:
    """Raise ValueError where the values fall, or pass the end."""
    if any(later < earlier for earlier, later in pairwise(values)):
        raise ValueError(f"{name} goes back")
    if values and values[-1] > end:
        raise ValueError(f"{name} goes beyond the end of the run")
