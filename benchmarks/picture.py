"""python -m benchmarks.picture RUN --out docs/ant.png: what a run learned, as frames and as its curve."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gail_suite.cli import run_verb

FRAMES_AT = (0, 100, 200, 300)  # environment steps


@dataclass(frozen=True)
class Arguments:
    """Frames of the cloned and of the selected policy, and the learning curve beside them."""

    out: Path = Path("docs/ant.png")
    """The picture."""
    seed: int = 1_000_003
    """Of the environment that is filmed."""


def frames(policy: Any, config: Any, seed: int) -> tuple[list[NDArray[np.uint8]], list[float]]:
    """Pictures at `FRAMES_AT` and how far along x the body was then, in metres."""
    import gymnasium

    env = gymnasium.make(config.env, render_mode="rgb_array", width=320, height=240)
    obs, _ = env.reset(seed=seed)
    pictures, xs = [], []
    for step in range(max(FRAMES_AT) + 1):
        if step in FRAMES_AT:
            pictures.append(np.asarray(env.render(), dtype=np.uint8))
            xs.append(float(env.unwrapped.data.qpos[0]))  # type: ignore[attr-defined]
        action, _ = policy.predict(obs[None], deterministic=True)
        obs, _, terminated, truncated, _ = env.step(action[0])
        if terminated or truncated:
            break
    env.close()
    return pictures, xs


def draw(run: Any, arguments: Arguments) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from gail_suite.reward.make import make_constant_control
    from gail_suite.run_directory import read_json
    from gail_suite.session import load_demonstrations
    from gail_suite.trainer import GAIL
    from generative_core.training.checkpoint import load_checkpoint

    config, evaluation = run.config(), read_json(run.evaluation_file)
    gail = GAIL(config.env, load_demonstrations(config), config, reward_model=make_constant_control(config))
    figure = Figure(figsize=(12, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    parts: Any = figure.subfigures(1, 2, width_ratios=(2, 1.1))
    left, right = parts
    rows = left.subplots(2, len(FRAMES_AT))
    for axes_row, path, label in zip(rows, (run.cloned, run.best), ("cloned", "GAIL"), strict=True):
        gail.policy.load_state_dict(load_checkpoint(path)["policy"])
        for axes, picture, x, step in zip(
            axes_row, *frames(gail.policy, config, arguments.seed), FRAMES_AT, strict=False
        ):
            axes.imshow(picture)
            axes.set_title(f"{label}, step {step}: {x:.0f} m", fontsize=9)
            axes.axis("off")
    axes = right.subplots()
    looks = [row for row in run.metrics() if "eval/displacement" in row]
    axes.plot([row["env_steps"] / 1e3 for row in looks], [row["eval/displacement"] for row in looks], color="#1f4e9c")
    axes.axhline(evaluation["expert"]["displacement_mean"], color="#2a7f3f", linestyle="--", linewidth=1)
    axes.set(xlabel="thousand environment steps", ylabel="displacement (m)", ylim=(0, None))
    axes.set_title(f"{config.env}, {evaluation['pairs']} pairs; dashed: the expert", fontsize=9, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(arguments.out, dpi=90)


def main() -> int:
    import tyro

    folder, arguments = tyro.cli(
        tuple[tyro.conf.Positional[Path], tyro.conf.OmitArgPrefixes[Arguments]], prog="python -m benchmarks.picture"
    )
    from gail_suite.record import settle_gl
    from gail_suite.run_directory import RunDirectory

    settle_gl()
    draw(RunDirectory.open(folder), arguments)
    print(arguments.out)
    return 0


if __name__ == "__main__":
    run_verb(main)
