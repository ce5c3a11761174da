"""The lines of `scaling` as one small plot each, on logarithmic axes."""

from pathlib import Path
from typing import Any

from benchmarks.report.figures import COLOURS
from gail_suite.demonstrations.atomic import atomic_path

COLUMNS = 4


def draw(result: dict[str, Any], path: Path) -> None:
    """All plots of a result as one PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    n_rows = -(-len(result["plots"]) // COLUMNS)
    n_columns = min(COLUMNS, len(result["plots"]))
    figure = Figure(figsize=(3.1 * n_columns, 2.9 * n_rows), layout="constrained")
    FigureCanvasAgg(figure)
    cells = list(figure.subplots(n_rows, n_columns, squeeze=False).flat)
    for axes, plot in zip(cells, result["plots"].values(), strict=False):
        _draw_plot(axes, plot)
    for axes in cells[len(result["plots"]) :]:
        axes.axis("off")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=90, format="png", pil_kwargs={"optimize": True})


def _draw_plot(axes: Any, plot: dict[str, Any]) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator

    for line, colour in zip(plot["lines"], COLOURS, strict=False):
        xs, ys = ([point[name] for point in line["points"]] for name in ("x", "y"))
        axes.plot(xs, ys, color=colour, linewidth=1.6, marker="o", markersize=3, label=line["label"])
    axes.set(xscale="log", yscale="log", xlabel=plot["x"], ylabel=plot["y"])
    ys = [point["y"] for line in plot["lines"] for point in line["points"]]
    low, high = min(ys), max(ys)
    if high < 10 * low:  # at least a decade, or noise looks like a slope and no tick is in sight
        middle = (low * high) ** 0.5
        axes.set_ylim(middle / 4, middle * 4)
    measured = sorted({point["x"] for line in plot["lines"] for point in line["points"]})
    axes.xaxis.set_major_locator(FixedLocator(measured))
    axes.xaxis.set_minor_locator(NullLocator())
    bottom, top = axes.get_ylim()
    axes.yaxis.set_major_locator(LogLocator(10, subs=(1, 2, 5) if top < 300 * bottom else (1,), numticks=20))
    axes.yaxis.set_minor_formatter(NullFormatter())
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(short))
    axes.set_title(plot["title"], fontsize=9, loc="left")
    axes.xaxis.label.set_fontsize(8)
    axes.yaxis.label.set_fontsize(8)
    axes.tick_params(labelsize=7)
    axes.grid(linewidth=0.4, alpha=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=7, frameon=False)


def short(value: float, position: int | None = None) -> str:
    """A tick's label.

    >>> short(0.5), short(1024), short(20_000), short(2e6)
    ('0.5', '1024', '20k', '2M')
    """
    for limit, unit in ((1e6, "M"), (1e3, "k")):
        part = f"{value / limit:g}"
        if value >= limit and len(part) <= 3:
            return part + unit
    return f"{value:g}"
