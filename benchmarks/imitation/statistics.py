"""Few seeds, said honestly: Agarwal et al. 2021, https://arxiv.org/abs/2108.13264, on numpy and scipy.

Scores are normalised returns.  Strata are tasks: a bootstrap draws runs within each task, never from one for another.
All intervals are percentiles of resamples with a fixed seed, so that a table does not change by being made again.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

RESAMPLES = 5000
TAILS = (0.025, 0.975)
TAUS = np.linspace(-0.2, 1.4, 81)
POINTS = 101  # of a curve


class Estimate(NamedTuple):
    """A number and its 95 % interval, None where the data say nothing of its spread."""

    value: float
    low: float | None
    high: float | None


def iqm(values: ArrayLike, axis: int | None = None) -> Any:
    """Interquartile mean: the mean of the middle half."""
    from scipy import stats  # a second to load, which no --help should take

    return stats.trim_mean(np.asarray(values, dtype=float), 0.25, axis=axis)


def resample(strata: Sequence[NDArray], n: int = RESAMPLES, seed: int = 0) -> list[NDArray]:
    """(n, len(stratum)) draws with replacement from each stratum by itself."""
    rng = np.random.default_rng(seed)
    return [stratum[rng.integers(len(stratum), size=(n, len(stratum)))] for stratum in strata]


def estimate_iqm(strata: Sequence[ArrayLike]) -> Estimate:
    """Interquartile mean over all runs of all tasks, with its stratified bootstrap interval.

    Args:
        strata: a task each, (n_runs,) scores.  No interval where every task has one run.
    """
    arrays = [np.asarray(stratum, dtype=float) for stratum in strata]
    value = float(iqm(np.concatenate(arrays)))
    if all(len(array) < 2 for array in arrays):
        return Estimate(value, None, None)
    return Estimate(value, *_ends(iqm(np.concatenate(resample(arrays), axis=1), axis=1)))


def improvement(ours: Sequence[ArrayLike], theirs: Sequence[ArrayLike]) -> Estimate:
    """P(X > Y) + P(X = Y)/2 of a run X of ours and Y of theirs in the same task, averaged over tasks: 1/2 is a draw.

    Within a task this is the Mann-Whitney statistic over n m.
    """
    x = [np.asarray(stratum, dtype=float) for stratum in ours]
    y = [np.asarray(stratum, dtype=float) for stratum in theirs]
    value = float(np.mean([_wins(a[None], b[None])[0] for a, b in zip(x, y, strict=True)]))
    if all(len(array) < 2 for array in [*x, *y]):
        return Estimate(value, None, None)
    pairs = zip(resample(x, seed=0), resample(y, seed=1), strict=True)
    return Estimate(value, *_ends(np.mean([_wins(a, b) for a, b in pairs], axis=0)))


def _wins(x: NDArray, y: NDArray) -> NDArray:
    """(B, n) and (B, m) -> (B,) share of the pairs that x wins, ties half."""
    differences = x[:, :, None] - y[:, None, :]  # (B, n, m)
    return ((differences > 0) + 0.5 * (differences == 0)).mean(axis=(1, 2))


def profile(strata: Sequence[ArrayLike], taus: ArrayLike = TAUS) -> NDArray:
    """Share of the scores above each tau, (len(taus),): the mean over tasks of one minus the empirical law."""
    arrays = [np.sort(np.asarray(stratum, dtype=float)) for stratum in strata]
    return np.mean([1 - np.searchsorted(array, taus, side="right") / len(array) for array in arrays], axis=0)


def curve(runs: Sequence[tuple[ArrayLike, ArrayLike]], n_points: int = POINTS) -> dict[str, list[float] | None]:
    """Looks of several runs as one curve: interquartile means on a common axis, with intervals.

    Args:
        runs: (x, score) each, x rising; between two looks the curve is straight.  It spans what all runs have reached.
    """
    pairs = [(np.asarray(x, dtype=float), np.asarray(y, dtype=float)) for x, y in runs]
    grid = np.linspace(max(x[0] for x, _ in pairs), min(x[-1] for x, _ in pairs), n_points)
    if grid[0] == grid[-1]:
        grid = grid[:1]
    scores = np.stack([np.interp(grid, x, y) for x, y in pairs])  # (runs, points)
    found: dict[str, list[float] | None] = {"x": grid.tolist(), "iqm": iqm(scores, axis=0).tolist()}
    if len(pairs) < 2:
        return found | {"low": None, "high": None}
    rows = np.random.default_rng(0).integers(len(pairs), size=(1000, len(pairs)))
    low, high = np.quantile(iqm(scores[rows], axis=1), TAILS, axis=0)
    return found | {"low": low.tolist(), "high": high.tolist()}


def _ends(values: NDArray) -> tuple[float, float]:
    low, high = np.quantile(values, TAILS)
    return float(low), float(high)


# -- of the rows of a study --------------------------------------------------------------------------------------------


def by_variant(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """In the order of the rows."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault(row["variant"], []).append(row)
    return groups


def scores(rows: Sequence[Mapping[str, Any]]) -> list[float]:
    """The normalised return of each run that has one."""
    return [row["normalised_return"] for row in rows if row["normalised_return"] is not None]


def episode_scores(rows: Sequence[Mapping[str, Any]]) -> list[float]:
    """The normalised return of each judged episode of all runs; empty where a result does not say them."""
    return [value for row in rows for value in row.get("normalised_episodes") or []]


def of_variant(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Interquartile mean with its interval: over seeds, or of a single seed over its episodes, which says nothing of
    other seeds.  None where the scale is unknown.
    """
    runs = scores(rows)
    if not runs:
        return None
    over = "seeds" if len(runs) > 1 else "episodes"
    episodes = episode_scores(rows)
    found = estimate_iqm([episodes if over == "episodes" and episodes else runs])
    return {"n_seeds": len(runs), "n_episodes": len(episodes), "over": over, **_named("iqm", found)}


def of_study(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What `study.json` keeps: each variant by itself, the first one against the others, profiles and curves."""
    groups = by_variant(rows)
    judged = {variant: found for variant, runs in groups.items() if (found := of_variant(runs)) is not None}
    episodes = {variant: values for variant in judged if (values := episode_scores(groups[variant]))}
    first = next(iter(judged), "")
    return {
        "variants": judged,
        "improvement": [
            {"of": first, "over": other, **_named("p", improvement([scores(groups[first])], [scores(groups[other])]))}
            for other in judged
            if other != first
        ],
        "profiles": {
            "taus": TAUS.round(3).tolist(),
            "over": "episodes",
            "shares": {variant: profile([values]).tolist() for variant, values in episodes.items()},
        },
        "curves": {axis: _curves(groups, axis) for axis in ("env_steps", "seconds")},
    }


def _curves(groups: Mapping[str, Sequence[Mapping[str, Any]]], axis: str) -> dict[str, Any]:
    """One curve a variant, over steps or over seconds of training."""
    found = {}
    for variant, runs in groups.items():
        looks = []
        for run in runs:
            steps = [point[0] for point in run["curve"]]
            values = [point[1] for point in run["curve"]]
            x = steps if axis == "env_steps" else run.get("curve_seconds")
            if x and None not in x and None not in values:
                looks.append((x, values))
        if looks:
            found[variant] = curve(looks) | {"n_seeds": len(looks)}
    return found


def across_tasks(studies: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A row a variant that every study has: interquartile mean over tasks and seeds, and P(the first one is better)."""
    tasks = [by_variant(study["rows"]) for study in studies]
    shared = [name for name in tasks[0] if all(scores(task.get(name, [])) for task in tasks)]
    strata = {name: [scores(task[name]) for task in tasks] for name in shared}
    first = shared[0] if shared else ""
    return [
        {
            "variant": name,
            "n_runs": sum(map(len, strata[name])),
            **_named("iqm", estimate_iqm(strata[name])),
            "first_is_better": None if name == first else _named("p", improvement(strata[first], strata[name])),
        }
        for name in shared
    ]


def _named(name: str, found: Estimate) -> dict[str, Any]:
    return {name: found.value, "ci95": None if found.low is None else [found.low, found.high]}
