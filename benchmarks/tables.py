"""The tables of imitation and of speed, from nothing but the JSON of runs; those of images are in benchmarks.images."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.imitation.statistics import estimate_iqm
from benchmarks.table import Result, Row, Table, apart, commit_of, grouped
from benchmarks.throughput import training as learners
from benchmarks.throughput.cases import LABELS
from envs import reference_returns

FLAT = 1.25  # times as long is within what a shared machine adds
FEW_SEEDS = 3  # with fewer, an interval over seeds says next to nothing


def imitation(results: Iterable[Result]) -> Table:
    """A row a task and amount of data, all seeds shown, the controls beside them."""
    rows = [
        Row(
            [
                label,
                ", ".join(_number(run["policy"].get("normalised_return"), 3) for run in runs),
                _return_and_distance(runs, "policy"),
                _of_demonstrator(runs),
                *(
                    _return_and_distance(runs, name)
                    for name in ("last", "behavioural_cloning", "constant_reward", "expert")
                ),
                ", ".join(f"{run['wall_clock_s'] / 60:.1f}" for run in runs),
            ],
            runs,
        )
        for label, runs in imitation_groups(results)
    ]
    header = (
        "task and data",
        "normalised, each seed",
        "selected",
        "/ demonstrator",
        "last",
        "cloning",
        "constant reward",
        "expert",
        "minutes, each seed",
    )
    return Table(header, rows)


def imitation_groups(results: Iterable[Result]) -> list[tuple[str, list[Result]]]:
    """(task and data, the runs that differ in their seed alone): what was made by another commit, with another
    reward or algorithm, or judged over another number of episodes is a group of its own and says so."""
    groups = sorted(grouped(results, task_and_data).items(), key=_order)
    return [
        (f"{about(key)} ({what})" if what else about(key), members)
        for key, runs in groups
        for what, members in apart(runs, facets)
    ]


def of_seeds(results: Iterable[Result]) -> Table:
    """Interquartile means of the normalised return over seeds; tasks are taken together where one commit ran several.

    Raises nothing for a single seed: its figure stands without an interval.
    """
    groups = [(label, runs) for label, runs in imitation_groups(results) if _scores([runs])]
    rows = [_iqm_row(label, [runs]) for label, runs in groups]
    by_version: dict[tuple[str, ...], list[list[Result]]] = {}
    for _, runs in groups:
        by_version.setdefault(tuple(facets(runs[0]).values()), []).append(runs)
    rows += [
        _iqm_row(f"all {len(strata)} rows of commit {commit_of(strata[0][0])}", strata)
        for strata in by_version.values()
        if len({runs[0]["env"] for runs in strata}) > 1
    ]
    header = ("task and data", "what the interval is", "seeds", "IQM of seeds", "95 % interval", "cloning, IQM")
    return Table(header, rows, n_text=2)


def _iqm_row(label: str, groups: Sequence[Sequence[Result]]) -> Row:
    found = estimate_iqm(_scores(groups))
    cloned = _scores(groups, "behavioural_cloning")
    n_seeds = [len(runs) for runs in groups]
    if found.low is None:
        note = "none: one seed"
    else:
        note = "seeds resampled" if len(groups) == 1 else "seeds resampled within each row"
        if min(n_seeds) < FEW_SEEDS:
            note += f"; {'' if len(groups) == 1 else 'some rows have '}fewer than {FEW_SEEDS}"
    cells = [
        label,
        note,
        ", ".join(str(n) for n in n_seeds) if len(set(n_seeds)) > 1 else str(n_seeds[0]),
        _number(found.value, 3),
        "-" if found.low is None else f"[{found.low:.3f}, {found.high:.3f}]",
        _number(estimate_iqm(cloned).value, 3) if cloned else "-",
    ]
    return Row(cells, [run for runs in groups for run in runs])


def _scores(groups: Sequence[Sequence[Result]], policy: str = "policy") -> list[NDArray[np.float64]]:
    """Normalised returns, an array a group; groups without any are left out."""
    found = [[(run.get(policy) or {}).get("normalised_return") for run in runs] for runs in groups]
    known = [[score for score in scores if score is not None] for scores in found]
    return [np.array(scores, dtype=np.float64) for scores in known if scores]


def newest(results: Iterable[Result]) -> list[Result]:
    """Of each task and amount of demonstrations the runs of the version that ran last, whatever their length."""
    groups = grouped(results, lambda run: (run["env"], run["n_demos"], run["subsample"], run["warm_start"]))
    kept = []
    for runs in groups.values():
        last = commit_of(max(runs, key=lambda run: run.get("began") or ""))
        kept += [run for run in runs if commit_of(run) == last]
    return kept


def task_and_data(run: Result) -> tuple:
    pairs = run["pairs"] if run["subsample"] > 1 else 0  # whole demonstrations differ in length by falls alone
    return run["env"], run["n_demos"], run["subsample"], run["warm_start"], run["env_steps"], pairs


def facets(run: Result) -> dict[str, str]:
    return {
        "commit": commit_of(run),
        "reward": str(run.get("reward")),
        "algorithm": str(run.get("algo")),
        "selected by": str(run.get("select")),
        "episodes": str(run.get("episodes")),
    }


def _of_demonstrator(runs: Sequence[Result]) -> str:
    """The selected policy's return over the demonstrator's mean, which plays with its noise; Ho & Ermon's yardstick."""
    known = (reference_returns(runs[0]["env"]) or {}).get("demonstrator")
    if known is None:
        return "-"
    return f"{np.mean([run['policy']['return_mean'] for run in runs]) / known['return_mean']:.2f}"


def _order(item: tuple[tuple, Any]) -> tuple:
    (env, n_demos, subsample, warm_start, _, pairs), _ = item
    return (env, subsample, -n_demos, not warm_start, -pairs)


def about(key: tuple) -> str:
    env, n_demos, subsample, warm_start, env_steps, pairs = key
    data = f"{n_demos} whole" if subsample == 1 else f"{n_demos} x every {subsample}th pair ({pairs} pairs)"
    start = "" if warm_start else ", no warm start"
    return f"{env}, {data}{start}, {env_steps / 1e6:.3g} M steps"


def _number(value: float | None, digits: int = 0) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"


def _return_and_distance(runs: Sequence[Result], row: str) -> str:
    """The mean return with the mean displacement beside it, where there are any."""
    distance = _mean(runs, row, "displacement_mean")
    return _mean(runs, row, "return_mean") + ("" if distance == "-" else f" ({distance} m)")


def _mean(runs: Sequence[Result], row: str, field: str) -> str:
    values = [value for run in runs if (value := (run.get(row) or {}).get(field)) is not None]
    return _number(float(np.mean(values))) if values else "-"


def throughput_envs(result: Result) -> Table:
    """Env steps/s of every contender, and its share of the limit."""
    names = list(LABELS)
    rows = [
        Row([env, *(_rate(found.get(name), with_share=name != "limit") for name in names)], [result])
        for env, found in result["results"].items()
    ]
    head = f"env steps/s (of the limit), {result['n_envs']} environments, {result['cores']} cores"
    return Table([head, *(LABELS[name] for name in names)], rows)


def throughput_gail(result: Result) -> Table:
    """Env steps/s while training, ours and `imitation`'s."""
    rows = [
        Row([learners.LABELS[name], f"{row['env_steps_per_s']:,.0f}", f"{row['ratio_to_limit']:.2f}"], [result])
        for name, row in result["results"].items()
    ]
    head = f"GAIL on {result['env']}, {result['n_envs']} environments, {result['cores']} cores"
    return Table([head, "env steps/s", "of the limit"], rows)


def gail_beside_imitation(result: Result) -> str:
    """The ratio, in a sentence."""
    return f"Ours is {result['ours_to_imitation']:.1f} times `imitation`'s better one."


def throughput_core(result: Result) -> Table:
    """Ours beside each peer."""
    rows = [
        Row(
            [
                row["label"],
                f"{row['ours']:,.1f} {row['unit']}",
                f"{row['peer']:,.1f} {row['unit']}",
                f"{row['ours_to_peer']:.2f}",
                f"{row['parameters']['ours']:,} / {row['parameters']['peer']:,}",
            ],
            [result],
        )
        for row in result["results"]
    ]
    head = f"model, peer; batch {result['batch']}, {result['threads']} thread{'s' if result['threads'] > 1 else ''}"
    return Table([head, "ours", "peer", "ours / peer", "parameters"], rows)


def throughput_scaling(result: Result) -> Table:
    """A row a line: where it begins and ends, and as which power of x it grows, in all and over its last two points."""
    rows = []
    for plot in result["plots"].values():
        for line in plot["lines"]:
            points = [(point["x"], point["y"]) for point in line["points"]]
            ends = [f"{y:,.4g} at {x:,}" for x, y in (points[0], points[-1])]
            powers = [_power(points), _power(points[-2:])]
            rows.append(Row([plot["title"], line["label"], f"{plot['y']} over {plot['x']}", *ends, *powers], [result]))
    header = ("plot", "line", "y over x", "first", "last", "power of x", "at the end")
    return Table(header, rows, n_text=3)


def flatness(result: Result) -> list[str]:
    """What a critic's update costs with the most demonstrations beside the fewest, in a sentence; none if unmeasured.

    It sees a batch of them, so it should cost the same.
    """
    found = []
    for line in result["plots"].get("critic", {}).get("lines", []):
        first, last = line["points"][0], line["points"][-1]
        ratio = last["y"] / first["y"]
        verdict = "flat, as it should be" if ratio < FLAT else "not flat"
        times = f"{first['y']:.2f} ms with {first['x']:,} demonstrated pairs and {last['y']:.2f} ms with {last['x']:,}"
        found.append(f"An update of the critic takes {times}: {ratio:.2f} times as long, {verdict}.")
    return found


def _power(points: Sequence[tuple[float, float]]) -> str:
    """The slope of log y over log x, by least squares."""
    if len(points) < 2:
        return "-"
    xs, ys = np.log(np.array(points, dtype=np.float64)).T
    return f"{np.polyfit(xs, ys, 1)[0]:.2f}"


def _rate(row: dict[str, Any] | None, *, with_share: bool) -> str:
    if row is None:
        return "-"
    share = f" ({row['ratio_to_limit']:.2f})" if with_share else ""
    return f"{row['env_steps_per_s']:,.0f}{share}"
