"""A measurement with its provenance: medians over rounds in which the contenders take turns."""

from statistics import median
from typing import Any

from benchmarks.provenance import origin

PACKAGES = ("gymnasium", "mujoco", "stable-baselines3", "imitation", "torch", "numpy", "envpool")


def provenance(arguments: list[str], packages: tuple[str, ...] = PACKAGES) -> dict[str, Any]:
    """How a result came about: command, date, commit, cores, versions."""
    return origin("benchmarks.throughput", arguments, packages)


def rate_rows(rates: dict[str, list[float]], limit: str = "limit") -> dict[str, dict[str, Any]]:
    """Per contender: median env steps a second, its median share of the limit of the same round, and every round."""
    return {
        name: {
            "env_steps_per_s": median(values),
            "ratio_to_limit": median(ratios(values, rates[limit])),
            "per_round": [round(value, 1) for value in values],
        }
        for name, values in rates.items()
    }


def ratios(values: list[float], others: list[float]) -> list[float]:
    """Round by round, so that what slows the machine for a while slows both."""
    return [value / other for value, other in zip(values, others, strict=True)]
