"""The README's tables of images, from nothing but the JSON of runs."""

from collections.abc import Callable, Iterable
from typing import Any

from benchmarks.images.published import of_paper
from gail_suite.errors import InputError

Result = dict[str, Any]

NATS_HEADER = ("-log p(x), nats", "ours, each seed", "paper", "estimate", "parameters", "minutes", "device")
FILES_HEADER = ("bytes an image", "model and coder", "-log2 p / 8", "PNG", "gzip", "decoded exactly")
BITS_HEADER = ("bits/dim", "ours, each seed", "parameters", "minutes", "device")


def nats_rows(results: Iterable[Result]) -> list[list[str]]:
    """A row a model and data of binary images, the paper's figure beside it where it measured the same thing."""
    return [
        [
            _about(runs[0]),
            _each_seed(runs, lambda run: f"{run['test']['nats']:.2f}"),
            _paper(runs[0]),
            _estimate(runs[0]["test"]),
            *_cost(runs),
        ]
        for runs in _groups(run for run in results if "bits_per_dim" not in run["test"])
    ]


def bits_rows(results: Iterable[Result]) -> list[list[str]]:
    """A row a model and data of grey images, by their levels or dequantised: both are bits of the levels."""
    return [
        [_about(runs[0]), _each_seed(runs, lambda run: f"{run['test']['bits_per_dim']:.3f}"), *_cost(runs)]
        for runs in _groups(run for run in results if "bits_per_dim" in run["test"])
    ]


def files_rows(results: Iterable[Result]) -> list[list[str]]:
    """A row a model whose test images were coded: bytes an image each way, of the first seed."""
    rows = []
    for runs in _groups(run for run in results if run.get("files")):
        found = runs[0]["files"]
        each = (found[name] / found["images"] for name in ("model", "minus_log2_p", "png", "gzip"))
        exact = "yes" if found["decoded_exactly"] else "NO"
        rows.append([_about(runs[0]), *(f"{size:.1f}" for size in each), exact])
    return rows


def _estimate(test: dict[str, Any]) -> str:
    """How the figure came about; for annealed chains also how far to trust it."""
    if "effective_sample_size" not in test:
        return test["estimator"]
    chains = f"{test['effective_sample_size']:.0f} of the chains carry it"
    return f"{test['estimator']}: log Z ± {test['log_z_standard_error']:.1f}, {chains}"


def _groups(results: Iterable[Result]) -> list[list[Result]]:
    """Runs that differ in their seed alone, the best model of each data set first.

    Raises InputError where such runs saw other data: another draw of the binarisation, or other rows.
    """
    groups: dict[tuple[str, ...], list[Result]] = {}
    for run in results:
        groups.setdefault((run["model"], *_data(run), run["preset"]), []).append(run)
    for runs in groups.values():
        runs.sort(key=lambda run: run["seed"])
        for run in runs[1:]:
            if run["data"] != runs[0]["data"] or run["test"]["estimator"] != runs[0]["test"]["estimator"]:
                raise InputError(
                    f"the results of {run['model']} for seeds {runs[0]['seed']} and {run['seed']} are not of the same "
                    "data and estimate, so they cannot share a row: run one of them again"
                )
    return sorted(
        groups.values(), key=lambda runs: (_data(runs[0]), sum(run["test"]["nats"] for run in runs) / len(runs))
    )


def _data(run: Result) -> tuple[str, ...]:
    data = run["data"]
    return data["name"], f"{data['event_shape'][-1]} x {data['event_shape'][-2]}", data["pixels"] or "binary"


def _about(run: Result) -> str:
    name, size, pixels = _data(run)
    return f"{run['about']}; {name} {size}, {pixels}"


def _each_seed(runs: list[Result], show: Callable[[Result], str]) -> str:
    return ", ".join(show(run) for run in runs)


def _paper(run: Result) -> str:
    published = of_paper(run)
    return "-" if published is None else f"{published.nats:.2f} ({published.about})"


def _cost(runs: list[Result]) -> list[str]:
    """Parameters, minutes of training and where."""
    minutes = sum(run["training"]["seconds"] for run in runs) / len(runs) / 60
    threads = runs[0]["threads"]
    device = runs[0]["device"]
    where = f"{threads} core{'s' if threads > 1 else ''}" if device == "cpu" else device
    return [f"{runs[0]['parameters']:,}", f"{minutes:.1f}", where]
