"""What a result must hold to be shown, and what its fields must agree in: a file that fails is left out and named."""

import math
from collections.abc import Iterable
from typing import Any

from pydantic import Field, ValidationError

from benchmarks.report.schema.images import Experiment, Images
from benchmarks.report.schema.imitation import Imitation, Study
from benchmarks.report.schema.parts import Part, Text
from benchmarks.report.schema.speed import ThroughputCore, ThroughputEnvs, ThroughputGail, ThroughputScaling

MAX_SHOWN = 3  # problems of one file


class Failure(Part):
    """What a run that broke off leaves in its folder."""

    failed: Text
    command: Text
    log: list[str] = Field(default_factory=list)


MODELS: dict[str, type[Part]] = {
    "imitation": Imitation,
    "studies": Study,
    "images": Images,
    "experiments": Experiment,
    "throughput-envs": ThroughputEnvs,
    "throughput-gail": ThroughputGail,
    "throughput-core": ThroughputCore,
    "throughput-scaling": ThroughputScaling,
    "failure": Failure,
}


def problems(kind: str, data: Any) -> list[str]:
    """What is wrong with a result, a line each; none for a sound one."""
    found = [f"{place} is not a finite number" for place in _not_finite(data)]
    try:
        MODELS[kind].model_validate(data)
    except ValidationError as error:
        for each in error.errors(include_url=False, include_input=False):
            place = ".".join(str(part) for part in each["loc"])
            message = each["msg"].removeprefix("Value error, ")
            found.append(f"{place}: {message}" if place else message)
    return found[:MAX_SHOWN] + ([f"and {len(found) - MAX_SHOWN} more"] if len(found) > MAX_SHOWN else [])


def _not_finite(value: Any, place: str = "") -> Iterable[str]:
    if isinstance(value, float) and not math.isfinite(value):
        yield place
    items: Iterable[tuple[Any, Any]] = value.items() if isinstance(value, dict) else ()
    if isinstance(value, list):
        items = enumerate(value)
    for key, part in items:
        yield from _not_finite(part, f"{place}.{key}" if place else str(key))
