"""What a run looks like: a grid of samples, and the curve of its looks."""

import math
from pathlib import Path
from typing import Any

from torch import Tensor

from gail_suite.demonstrations.atomic import atomic_path
from generative_core.training.hooks import image_grid

COLOURS = {"loss": "#7fa3d8", "validation_nats": "#1f4e9c"}
LABELS = {"loss": "training, mean since the last look", "validation_nats": "validation"}


def draw_samples(samples: Tensor, path: Path, *, is_binary: bool, magnify: int = 3) -> None:
    """One PNG; binary events are 0 and 1, others in [-1, 1]."""
    from matplotlib.image import imsave

    grid = image_grid(samples * 2 - 1 if is_binary else samples)
    with atomic_path(path) as temporary:
        imsave(temporary, grid.repeat(magnify, axis=0).repeat(magnify, axis=1), format="png")


def draw_curve(result: dict[str, Any], path: Path) -> None:
    """Nats over updates, and the test figure as a line; nothing for a model without a curve."""
    rows = result["curve"]
    if not rows:
        return
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    steps = [row["step"] for row in rows]
    for name, label in LABELS.items():
        axes.plot(steps, [row[name] for row in rows], color=COLOURS[name], label=label)
    test = result["test"]
    axes.axhline(test["nats"], color="#2a7f3f", linestyle="--", linewidth=1, label=f"test, {test['estimator']}")
    shown = [row["validation_nats"] for row in rows] + [test["nats"]]
    low, high = min(shown), max(shown[len(shown) // 4 :])  # the first looks would hide the rest
    axes.set(xlabel="updates", ylabel="nats", ylim=(low - 0.1 * (high - low) - 1, high + 0.2 * (high - low) + 1))
    axes.legend(fontsize=8)
    figures = f"{test['nats']:.2f} nats"
    if not math.isnan(test.get("bits_per_dim", math.nan)):
        figures += f", {test['bits_per_dim']:.3f} bits/dim"
    axes.set_title(f"{result['model']} on {result['data']['name']}: {figures}", fontsize=9, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=110, format="png")
