"""Curves for the page: each drawn twice, for light and for dark pages, as SVG in a data URI."""

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")  # Okabe & Ito's, told apart by everyone
STYLES = ("-", "--", ":", "-.")
THEMES = {"light": {"ink": "#3b4252", "rule": "#c9ced8"}, "dark": {"ink": "#c8cedb", "rule": "#4a5263"}}


class Series(NamedTuple):
    """One line; those of a label share its colour and its entry in the legend."""

    label: str
    xs: Sequence[float]
    ys: Sequence[float]


def curves(
    series: Sequence[Series], *, x: str, y: str, levels: Sequence[tuple[str, float]] = (), floor: float | None = None
) -> tuple[str, str]:
    """(light, dark): lines over x, and dashed levels across; `floor` bounds y from below."""
    light, dark = (_draw(series, x, y, levels, floor, **theme) for theme in THEMES.values())
    return light, dark


def png_uri(path: Path) -> str:
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"


def _draw(
    series: Sequence[Series],
    x: str,
    y: str,
    levels: Sequence[tuple[str, float]],
    floor: float | None,
    *,
    ink: str,
    rule: str,
) -> str:
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    settings: dict[str, Any] = {  # names from files are no mathematics; the same data give the same file
        "text.parse_math": False,
        "svg.fonttype": "none",
        "svg.hashsalt": "report",
        "font.family": ["sans-serif"],
        "font.size": 10,
        **dict.fromkeys(("text.color", "axes.labelcolor", "xtick.color", "ytick.color"), ink),
        **dict.fromkeys(("axes.edgecolor", "grid.color"), rule),
    }
    with rc_context(settings):  # type: ignore[arg-type]  # its keys are a literal of all of matplotlib's
        labels = list(dict.fromkeys(line.label for line in series))
        figure = Figure(figsize=(6.4, 3.5 + 0.21 * (len(labels) + 1)), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.subplots()
        handles = {}
        for line in series:
            index = labels.index(line.label)
            (handles[line.label],) = axes.plot(
                line.xs,
                line.ys,
                color=COLOURS[index % len(COLOURS)],
                linestyle=STYLES[index // len(COLOURS) % len(STYLES)],
                linewidth=1.6,
                marker="o" if len(line.xs) == 1 else None,
            )
        for name, value in levels:
            axes.axhline(value, color=ink, linestyle=(0, (5, 3)), linewidth=1, alpha=0.7)
            axes.annotate(name, (1, value), xycoords=("axes fraction", "data"), ha="right", va="bottom", fontsize=8)
        axes.set(xlabel=x, ylabel=y)
        if floor is not None:
            axes.set_ylim(bottom=floor)
        axes.grid(axis="y", linewidth=0.6)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(length=0)
        figure.legend(
            list(handles.values()), list(handles), loc="outside lower left", frameon=False, fontsize=8.5, borderpad=0
        )
        file = io.StringIO()
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    return f"data:image/svg+xml;base64,{base64.b64encode(file.getvalue().encode()).decode()}"
