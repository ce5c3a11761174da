"""The README's tables of images, from nothing but the JSON of runs."""

from collections.abc import Callable, Iterable
from typing import Any

from benchmarks.images.published import of_paper
from benchmarks.table import Result, Row, Table, apart, grouped

NATS_HEADER = ("-log p(x), nats", "ours, each seed", "paper", "estimate", "parameters", "minutes", "device")
FILES_HEADER = ("bytes an image", "model and coder", "-log2 p / 8", "PNG", "gzip", "decoded exactly")
BITS_HEADER = ("bits/dim", "ours, each seed", "parameters", "minutes", "device")

CEILINGS_HEADER = ("speed", "images/s", "GFLOP/s", "of a product's", "GB/s, at least", "of a copy's", "device")


def nats(results: Iterable[Result]) -> Table:
    """A row a model and data of binary images, the paper's figure beside it where it measured the same thing."""
    rows = [
        Row(
            [
                label,
                _each_seed(runs, lambda run: f"{run['test']['nats']:.2f}"),
                _paper(runs[0]),
                _estimate(runs[0]["test"]),
                *_cost(runs),
            ],
            runs,
        )
        for label, runs in groups(run for run in results if "bits_per_dim" not in run["test"])
    ]
    return Table(NATS_HEADER, rows)


def bits(results: Iterable[Result]) -> Table:
    """A row a model and data of grey images, by their levels or dequantised: both are bits of the levels."""
    rows = [
        Row([label, _each_seed(runs, lambda run: f"{run['test']['bits_per_dim']:.3f}"), *_cost(runs)], runs)
        for label, runs in groups(run for run in results if "bits_per_dim" in run["test"])
    ]
    return Table(BITS_HEADER, rows)


def files(results: Iterable[Result]) -> Table:
    """A row a model whose test images were coded: bytes an image each way, of the first seed."""
    rows = []
    for label, runs in groups(run for run in results if run.get("files")):
        found = runs[0]["files"]
        each = (found[name] / found["images"] for name in ("model", "minus_log2_p", "png", "gzip"))
        exact = "yes" if found["decoded_exactly"] else "NO"
        rows.append(Row([label, *(f"{size:.1f}" for size in each), exact], runs[:1]))
    return Table(FILES_HEADER, rows)


def ceilings(results: Iterable[Result]) -> Table:
    """Two rows a model whose runs have them: what training and sampling achieved beside the device's ceilings."""
    shown = (
        lambda found: f"{found['images_per_s']:,.0f}",
        lambda found: f"{found['flops_per_s'] / 1e9:,.4g}",
        lambda found: f"{found['share_of_flops']:.1%}",
        lambda found: f"{found['bytes_per_s'] / 1e9:,.3g}",
        lambda found: f"{found['share_of_bytes']:.1%}",
    )
    rows = [
        Row(
            [
                f"{label}, {what}",
                *(", ".join(show(run["roofline"][what]) for run in runs) for show in shown),
                _cost(runs)[-1],
            ],
            runs,
        )
        for label, runs in groups(run for run in results if run.get("roofline"))
        for what in ("training", "sampling")
    ]
    return Table(CEILINGS_HEADER, rows)


def _estimate(test: dict[str, Any]) -> str:
    """How the figure came about; for annealed chains also how far to trust it."""
    if "effective_sample_size" not in test:
        return test["estimator"]
    chains = f"{test['effective_sample_size']:.0f} of the chains carry it"
    return f"{test['estimator']}: log Z ± {test['log_z_standard_error']:.1f}, {chains}"


def groups(results: Iterable[Result]) -> list[tuple[str, list[Result]]]:
    """(model and data, runs that differ in their seed alone), the best model of each data set first.

    What saw other data (another draw of the binarisation, other rows) or was judged otherwise (another estimate,
    another number of images) has a row of its own, which says so.
    """
    found = [
        (f"{about(members[0])} ({what})" if what else about(members[0]), members)
        for runs in grouped(results, key).values()
        for what, members in apart(runs, facets)
    ]
    return sorted(found, key=lambda group: (_data(group[1][0]), _mean_nats(group[1])))


def _mean_nats(runs: list[Result]) -> float:
    return sum(run["test"]["nats"] for run in runs) / len(runs)


def key(run: Result) -> tuple[str, ...]:
    return run["model"], *_data(run), run["preset"]


def facets(run: Result) -> dict[str, str]:
    test, data = run["test"], run["data"]
    return {
        "estimate": test["estimator"],
        "test images": str(test.get("n")),
        "data": ", ".join(f"{name} {data[name]}" for name in ("seed", "rows", "events_seed", "pool") if name in data),
        "files": ", ".join(str(part)[:8] for part in (data.get("sha256") or {}).values()),
    }


def _data(run: Result) -> tuple[str, ...]:
    data = run["data"]
    return data["name"], f"{data['event_shape'][-1]} x {data['event_shape'][-2]}", data["pixels"] or "binary"


def about(run: Result) -> str:
    name, size, pixels = _data(run)
    return f"{run['about']}; {name} {size}, {pixels}"


def _each_seed(runs: list[Result], show: Callable[[Result], str]) -> str:
    return ", ".join(show(run) for run in runs)


def _paper(run: Result) -> str:
    published = of_paper(run)
    return "-" if published is None else f"{published.nats:.2f} ({published.about})"


def _cost(runs: list[Result]) -> list[str]:
    """Parameters, minutes of training and where."""
    threads = runs[0]["threads"]
    device = runs[0]["device"]
    where = f"{threads} core{'s' if threads > 1 else ''}" if device == "cpu" else device
    minutes = _each_seed(runs, lambda run: f"{run['training']['seconds'] / 60:.1f}")
    return [f"{runs[0]['parameters']:,}", minutes, where]
