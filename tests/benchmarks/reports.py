"""Results to make reports of: the shape that runs write, with figures that agree."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.report.sources import Source, judged
from gail_suite.evaluation import Episodes, Scale

SCALE = {"random": 0.0, "expert": 1000.0}
SHA = "0123456789abcdef" * 4


def policy(mean: float) -> dict[str, Any]:
    returns = mean + np.array([-30.0, -10.0, 10.0, 30.0])
    episodes = Episodes(returns, np.full(4, 100), np.full(4, 5.0))
    return episodes.summary(Scale(SCALE["random"], SCALE["expert"]))


def imitation(seed: int = 0, mean: float = 900.0, **changes: Any) -> dict[str, Any]:
    env = changes.get("env", "Ant-v4")
    return {
        "env": env,
        "seed": seed,
        "env_steps": 2000,
        "wall_clock_s": 60.0,
        "n_demos": 4,
        "pairs": 113,
        "subsample": 20,
        "warm_start": True,
        "reward": "gail",
        "algo": "ppo",
        "select": "return",
        "episodes": 4,
        "threads": 1,
        "command": f"python -m gail_suite.train --env {env} --seed {seed}",
        "commit": "abc1234",
        "versions": {"torch": "2.13.0"},
        "scale": SCALE,
        "policy": policy(mean),
        "last": policy(mean - 50),
        "behavioural_cloning": policy(100.0),
        "expert": policy(1000.0),
        "curve": [
            {"env_steps": steps, "wall_clock_s": steps / 40, "return_mean": steps * 0.4} for steps in (0, 1000, 2000)
        ],
    } | changes


def image(model: str = "made", seed: int = 0, nats: float = 88.5, **changes: Any) -> dict[str, Any]:
    return {
        "benchmark": "images",
        "model": model,
        "about": model.upper(),
        "preset": "cpu",
        "seed": seed,
        "command": f"python -m benchmarks.images --model {model} --seed {seed}",
        "date": "2026-01-01T00:00:00Z",
        "commit": "abc1234",
        "processor": "a processor",
        "versions": {"torch": "2.13.0"},
        "device": "cpu",
        "threads": 2,
        "data": {
            "name": "mnist",
            "event_shape": [1, 28, 28],
            "pixels": "fixed",
            "rows": {"train": 50_000, "validation": 10_000, "test": 10_000},
            "seed": 0,
            "sha256": {},
            "pool": False,
            "events_seed": 0,
        },
        "parameters": 1000,
        "training": {"seconds": 90.0, "updates": 20, "best_update": 10},
        "test": {"nats": nats, "standard_error": 0.5, "n": 10_000, "estimator": "exact"},
        "seconds_judging": 5.0,
        "files": None,
        "roofline": {"training": achieved(), "sampling": achieved()},
        "curve": [{"step": 10, "validation_nats": 100.0, "seconds": 40.0}],
    } | changes


def achieved() -> dict[str, Any]:
    """Half of the product's speed, a tenth of the copy's."""
    return {
        "seconds": 0.01,
        "images_per_s": 10_000.0,
        "flops": 500_000_000,
        "flops_per_s": 5e10,
        "share_of_flops": 0.5,
        "bytes_lower_bound": 10_000_000,
        "bytes_per_s": 1e9,
        "share_of_bytes": 0.1,
        "ceilings": {"flops_per_s": 1e11, "bytes_per_s": 1e10, "product": "float32"},
    }


def experiment(model: str = "dcgan", seed: int = 0, fid: float = 50.0, **changes: Any) -> dict[str, Any]:
    kept = (
        "model",
        "about",
        "preset",
        "seed",
        "command",
        "date",
        "commit",
        "processor",
        "versions",
        "device",
        "threads",
    )
    made = {name: value for name, value in image(model, seed).items() if name in kept}
    return {
        "benchmark": "experiments",
        **made,
        "paper": "https://example.org/paper",
        "question": "does it work?",
        "size": {"steps": 10, "batch_size": 4, "channels": [8, 4], "n_judged": 2000},
        "seconds": 100.0,
        "measures": {"FID": {"what": "a distance", "better": "lower"}},
        "rows": [
            {"name": "it", "role": "ours", "values": {"FID": fid}},
            {"name": "noise", "role": "baseline", "values": {"FID": 300.0}},
        ],
        "data": {"fashion-mnist": {"name": "fashion-mnist", "seed": None}},
        "judges": {"fashion-mnist": {"sha256": SHA, "accuracy_on_real": 0.925}},
        "trainings": {"it": {"updates": 10, "seconds": 90.0, "parameters": 5, "curve": []}},
        "caption": "real; it",
    } | changes


def study(**changes: Any) -> dict[str, Any]:
    rows = [
        {
            "variant": variant,
            "seed": 0,
            "command": "python -m gail_suite.train --seed 0",
            "commit": commit,
            "env_steps": 2000,
            "pairs": 113,
            "normalised_return": 0.5,
            "displacement": 100.0,
            "last": 0.5,
            "cloning": 0.1,
            "steps_to_good": None,
            "wall_clock_s": 60.0,
            "curve": [[0, 0.1], [2000, 0.5]],
        }
        for variant, commit in (("gail", "abc1234"), ("airl", "def5678"))
    ]
    command = "python -m benchmarks.imitation ablate --env Ant-v4"
    return {"env": "Ant-v4", "study": "reward", "rows": rows, "command": command, "failed": []} | changes


def scaling(**changes: Any) -> dict[str, Any]:
    """A line that rises as the square root, and a critic whose updates cost the same."""

    def line(ys: dict[int, float]) -> dict[str, Any]:
        points = [{"x": x, "y": y, "per_round": [y / 2, y, 3 * y]} for x, y in ys.items()]
        return {"label": "1 thread", "threads": 1, "points": points}

    envs = {"title": "envs", "x": "environments", "y": "env steps/s", "lines": [line({1: 50.0, 4: 100.0, 16: 200.0})]}
    critic = {"title": "critic", "x": "pairs", "y": "ms an update", "lines": [line({100: 2.0, 1000: 2.1})]}
    return {
        "benchmark": "throughput/scaling",
        "command": "python -m benchmarks.throughput scaling",
        "commit": "abc1234",
        "cores": 2,
        "env": "Ant-v4",
        "plots": {"envs": envs, "critic": critic},
    } | changes


MADE = {
    "imitation": imitation,
    "images": image,
    "experiments": experiment,
    "studies": study,
    "throughput-scaling": scaling,
}


def source(kind: str, data: Any, name: str | None = None) -> Source:
    """A file as it would be read."""
    return judged(name or f"{kind}/some.json", kind, data)


def write(folder: Path, kind: str, name: str, data: Any) -> Path:
    path = folder / kind / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data))
    return path
