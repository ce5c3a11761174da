"""The learning curve of a run as one picture."""

from pathlib import Path
from typing import Any

from gail_suite.demonstrations.atomic import atomic_path

COLOURS = {"expert": "#2a7f3f", "behavioural_cloning": "#8a6d3b", "constant_reward": "#a33", "random": "#777"}


def draw_curve(metrics: list[dict[str, Any]], evaluation: dict[str, Any], path: Path) -> None:
    """True return, displacement and the critic's accuracy over environment steps, with the controls as lines."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 7), layout="constrained")
    FigureCanvasAgg(figure)
    above, middle, below = figure.subplots(3, 1, sharex=True, height_ratios=(3, 2, 1.5))
    looks = [row for row in metrics if "eval/return_mean" in row]
    steps = [row["env_steps"] for row in looks]

    mean = [row["eval/return_mean"] for row in looks]
    spread = [row["eval/return_std"] for row in looks]
    above.plot(steps, mean, color="#1f4e9c", label="GAIL, deterministic")
    low, high = ([m + sign * s for m, s in zip(mean, spread, strict=True)] for sign in (-1, 1))
    above.fill_between(steps, low, high, color="#1f4e9c", alpha=0.15, linewidth=0)
    rollouts = [row for row in metrics if "rollout/return" in row]
    xs = [row["env_steps"] for row in rollouts]
    above.plot(xs, [row["rollout/return"] for row in rollouts], color="#7fa3d8", linewidth=1, label="with action noise")
    for name, colour in COLOURS.items():
        row = evaluation.get(name)
        if row and "return_mean" in row:
            above.axhline(row["return_mean"], color=colour, linestyle="--", linewidth=1, label=name.replace("_", " "))
    above.set_ylabel("true return")
    above.legend(fontsize=8, ncols=2)
    above.set_title(
        f"{evaluation['env']}, {evaluation['n_demos']} demonstrations, seed {evaluation['seed']}", loc="left"
    )

    if any("eval/displacement" in row for row in looks):
        middle.plot(steps, [row.get("eval/displacement") for row in looks], color="#1f4e9c")
        expert = evaluation.get("expert", {}).get("displacement_mean")
        if expert is not None:
            middle.axhline(expert, color=COLOURS["expert"], linestyle="--", linewidth=1)
        middle.set_ylabel("displacement (m)")
    else:
        middle.plot(steps, [row["eval/episode_length"] for row in looks], color="#1f4e9c")
        middle.set_ylabel("episode length")

    critic = [row for row in metrics if "critic/accuracy" in row]
    below.plot(
        [row["env_steps"] for row in critic], [row["critic/accuracy"] for row in critic], color="#555", linewidth=1
    )
    below.axhline(0.5, color="#aaa", linewidth=1, linestyle=":")
    below.set(ylabel="critic accuracy", xlabel="environment steps", ylim=(0.3, 1.02))
    for axes in (above, middle, below):
        axes.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=110, format="png")
