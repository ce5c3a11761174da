"""The 2016 paper's protocol and its own figures: the only place of numbers that are not ours.

Ho & Ermon, https://arxiv.org/abs/1606.03476; the returns are those of the result files in the paper's own release,
https://github.com/openai/imitation, one run of 50 rollouts or more each.  Their tasks are Gym's v1, another simulator
and another expert, so that only the share of the expert's return compares, and that roughly.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

PAPER = "https://arxiv.org/abs/1606.03476"
SUBSAMPLE = 20
N_DEMOS = {"Humanoid": (80, 160, 240), "Reacher": (4, 11, 18)}
N_DEMOS_ELSEWHERE = (4, 11, 18, 25)


class Published(NamedTuple):
    """Mean returns: the expert's, and each method's by number of demonstrations."""

    expert: float
    returns: dict[str, dict[int, float]]


def _by_demos(body: str, **columns: tuple[float, ...]) -> dict[str, dict[int, float]]:
    n_demos = N_DEMOS.get(body, N_DEMOS_ELSEWHERE)
    return {method: dict(zip(n_demos, values, strict=True)) for method, values in columns.items()}


PUBLISHED: dict[str, Published] = {
    "Ant": Published(
        4228.4,
        _by_demos(
            "Ant",
            BC=(1611.7, 3065.6, 2597.2, 3235.7),
            FEM=(-2052.5, -4462.7, -5148.6, -5122.1),
            GTAL=(-5743.8, -6252.2, -3067.1, -3271.4),
            GAIL=(3186.8, 3306.7, 3033.9, 4132.9),
        ),
    ),
    "HalfCheetah": Published(
        4463.5,
        _by_demos(
            "HalfCheetah",
            BC=(-493.6, 637.6, 2705.0, 3718.6),
            FEM=(734.0, -375.2, 343.6, 502.3),
            GTAL=(1008.1, 226.1, 1084.3, 869.6),
            GAIL=(4515.7, 4280.6, 4749.4, 4840.1),
        ),
    ),
    "Hopper": Published(
        3571.4,
        _by_demos(
            "Hopper",
            BC=(50.6, 1025.8, 1949.1, 3384.0),
            FEM=(3572.0, 3572.3, 3230.7, 3331.1),
            GTAL=(3065.2, 3502.7, 3201.1, 3458.8),
            GAIL=(3614.2, 3615.0, 3600.7, 3560.9),
        ),
    ),
    "Humanoid": Published(
        9575.4,
        _by_demos(
            "Humanoid",
            BC=(1397.1, 3655.1, 5660.5),
            FEM=(5093.1, 5120.5, 5192.3),
            GTAL=(5096.4, 5412.5, 5145.9),
            GAIL=(10200.7, 10119.8, 10361.9),
        ),
    ),
    "Walker2d": Published(
        6717.1,
        _by_demos(
            "Walker2d",
            BC=(32.2, 5946.8, 1263.8, 1599.4),
            FEM=(3648.2, 4723.4, 4184.3, 4368.1),
            GTAL=(4945.9, 6139.3, 5288.7, 4687.8),
            GAIL=(4878.0, 6850.3, 6964.7, 6832.0),
        ),
    ),
}

HEADER = ("return / demonstrator's", "ours", "constant reward", "cloning", "paper: GAIL", "GTAL", "FEM", "BC")
OURS = ("gail", "constant reward", "behavioural cloning")


def body_of(env_id: str) -> str:
    """Ant-v4 -> Ant."""
    return env_id.rpartition(":")[2].rpartition("-v")[0]


def n_demos_of(env_id: str) -> tuple[int, ...]:
    """How many demonstrations the paper gave for this body."""
    return N_DEMOS.get(body_of(env_id), N_DEMOS_ELSEWHERE)


def beside_paper(studies: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """A row a study that has the paper's data: shares of the demonstrator's mean return, theirs of their expert's."""
    rows = []
    for study in studies:
        known = PUBLISHED.get(body_of(study["env"]))
        data = {(run.get("n_demos"), run.get("subsample")) for run in study["rows"]}
        if known is None or len(data) != 1:
            continue
        n_demos, subsample = next(iter(data))
        if subsample != SUBSAMPLE or n_demos not in known.returns["GAIL"]:
            continue
        theirs = [f"{known.returns[method][n_demos] / known.expert:.2f}" for method in ("GAIL", "GTAL", "FEM", "BC")]
        rows.append([f"{study['env']}, {n_demos} x every {subsample}th pair", *_shares(study), *theirs])
    return rows


def _shares(study: Mapping[str, Any]) -> list[str]:
    """The mean over seeds of each of `OURS`, over the demonstrator's."""
    from envs import reference_returns

    demonstrator = (reference_returns(study["env"]) or {}).get("demonstrator")
    shown = []
    for variant in OURS:
        found = [run["return_mean"] for run in study["rows"] if run["variant"] == variant]
        known = bool(found) and demonstrator is not None
        shown.append(f"{np.mean(found) / demonstrator['return_mean']:.2f}" if known and demonstrator else "-")
    return shown
