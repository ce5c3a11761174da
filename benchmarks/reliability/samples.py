"""Small sound files of every kind that is read from strangers, and what reads each."""

import gzip
import importlib.util
import json
import os
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.data.idx import read_idx
from benchmarks.images.config import ImageConfig
from benchmarks.images.folder import Folder
from benchmarks.reliability.kills import write_demonstrations
from gail_suite import demos
from gail_suite.config import TrainConfig
from gail_suite.diagnosis import of_curve
from gail_suite.policies import read_sb3_zip
from gail_suite.report import check_evaluation, print_table
from gail_suite.run_directory import RunDirectory, read_json, write_json
from generative_core import load_checkpoint, save_checkpoint


@dataclass(frozen=True)
class Sample:
    """A file or a folder, which of its files is to be damaged, and the reader, which takes the file or the folder."""

    place: Path
    target: Path
    read: Callable[[Path], Any]


def make_samples(folder: Path) -> dict[str, Sample]:
    """One of each kind, in a folder of its own; the readers print what they find, as the verbs do."""
    writers: dict[str, tuple[Callable[[Path], Path], Callable[[Path], Any]]] = {
        "demonstrations": (lambda f: _own(f / "demos.npz"), _inspect),
        "npz of others": (lambda f: _theirs(f / "theirs.npz"), _inspect),
        "imitation folder": (_arrow, _inspect),
        "imitation state": (lambda f: _arrow(f) and f / "imitation" / "state.json", _inspect),
        "SB3 policy": (lambda f: _policy(f / "policy.zip"), read_policy),
        "checkpoint": (lambda f: _checkpoint(f / "state.safetensors"), load_checkpoint),
        "idx": (lambda f: _idx(f / "images-idx3-ubyte"), read_idx),
        "idx.gz": (lambda f: _idx(f / "images-idx3-ubyte.gz"), read_idx),
        "run configuration": (lambda f: _run(f) / "config.json", read_run),
        "run metrics": (lambda f: _run(f) / "metrics.jsonl", read_run),
        "run evaluation": (lambda f: _run(f) / "evaluation.json", read_run),
        "image configuration": (lambda f: _images(f) / "config.json", lambda place: Folder(place).config()),
        "image result": (lambda f: _images(f) / "result.json", lambda place: Folder(place).result()),
    }
    if importlib.util.find_spec("minari") is not None:
        for name, file in (("Minari data", "main_data.hdf5"), ("Minari metadata", "metadata.json")):
            writers[name] = (lambda f, file=file: write_minari(f) / "data" / file, _inspect_minari)  # type: ignore[misc]
    samples = {}
    for name, (write, read) in writers.items():
        place = folder / name.replace(" ", "-")
        place.mkdir(parents=True)
        target = write(place)
        samples[name] = Sample(place / target.relative_to(place).parts[0], target, read)
    return samples


def _inspect(place: Path) -> None:
    demos.main(["inspect", str(place)])


def _inspect_minari(place: Path) -> None:
    os.environ["MINARI_DATASETS_PATH"] = str(place.parent)
    demos.main(["inspect", f"minari:{place.name}"])


def read_policy(path: Path) -> None:
    """As the policy of a task with three observations and one action."""
    from gymnasium import spaces

    read_sb3_zip(path, spaces.Box(-np.inf, np.inf, (3,)), spaces.Box(-1, 1, (1,)))


def read_run(place: Path) -> None:
    """What the verbs read of a run's folder before they begin to simulate."""
    run = RunDirectory.open(place)
    config = run.config()
    for finding in of_curve(run.metrics(), config):
        print(finding.name)
    evaluation = read_json(run.evaluation_file)
    check_evaluation(evaluation, run.evaluation_file)
    print_table({**evaluation, "env": config.env, "seed": config.seed, "episodes": 1})


def _own(path: Path) -> Path:
    write_demonstrations(path)
    return path


def _theirs(path: Path) -> Path:
    rng = np.random.default_rng(1)
    ends = np.isin(np.arange(40), [9, 29, 39])
    np.savez_compressed(path, observations=rng.normal(size=(40, 3)), actions=rng.normal(size=(40, 1)), terminals=ends)
    return path


def write_minari(folder: Path) -> Path:
    """As `minari.create_dataset_from_buffers` writes it: two episodes."""
    import minari
    from gymnasium import spaces
    from minari.data_collector import EpisodeBuffer

    rng = np.random.default_rng(2)
    episodes = [
        EpisodeBuffer(
            id=i,
            observations=rng.normal(size=(length + 1, 3)),
            actions=rng.uniform(-1, 1, (length, 1)),
            rewards=[1.0] * length,
            terminations=[False] * (length - 1) + [i == 0],
            truncations=[False] * (length - 1) + [i == 1],
        )
        for i, length in enumerate((10, 20))
    ]
    before = os.environ.get("MINARI_DATASETS_PATH")
    os.environ["MINARI_DATASETS_PATH"] = str(folder)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of its own: no author, no evaluation environment
            minari.create_dataset_from_buffers(
                "noise-v0",
                episodes,
                observation_space=spaces.Box(-np.inf, np.inf, (3,), np.float64),
                action_space=spaces.Box(-1.0, 1.0, (1,), np.float64),
            )
    finally:
        os.environ.pop("MINARI_DATASETS_PATH")
        if before is not None:
            os.environ["MINARI_DATASETS_PATH"] = before
    return folder / "noise-v0"


def _arrow(folder: Path) -> Path:
    """As `imitation.data.serialize` lays it out."""
    import pyarrow as pa

    inside = folder / "imitation"
    inside.mkdir()
    columns = {
        "obs": [[[0.0, 1.0]] * 5] * 2,
        "acts": [[[0.5]] * 4] * 2,
        "terminal": [True, False],
        "rews": [[1.0] * 4] * 2,
    }
    table = pa.table(columns)
    path = inside / "data-00000-of-00001.arrow"
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    (inside / "state.json").write_text(json.dumps({"_data_files": [{"filename": path.name}]}))
    return path


def _policy(path: Path) -> Path:
    import stable_baselines3 as sb3
    from gymnasium import spaces

    from gail_suite.policies import plain_policy

    space = spaces.Box(-np.inf, np.inf, (3,)), spaces.Box(-1, 1, (1,))
    torch.manual_seed(0)
    model = sb3.PPO("MlpPolicy", None, _init_setup_model=False, device="cpu")  # type: ignore[arg-type]  # as SB3's load
    model.observation_space, model.action_space = space
    model.policy = plain_policy(*space, hidden=(4,), activation=torch.nn.Tanh)
    model.n_envs = 1
    model.policy_class = type(model.policy)
    model.save(path)
    return path


def _checkpoint(path: Path) -> Path:
    tree = {"weights": torch.ones(4, 3), "rows": [np.arange(5), (1.5, None, True)], "seed": 2**70, "name": "last"}
    save_checkpoint(path, tree)
    return path


def _idx(path: Path) -> Path:
    content = bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 4, 0, 0, 0, 4, *range(32)])
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)
    return path


def _run(folder: Path) -> Path:
    inside = folder / "run"
    inside.mkdir(exist_ok=True)
    run = RunDirectory(inside)
    run.save_config(TrainConfig(env="Hopper-v4"))
    for i in range(12):
        critic = {"critic/accuracy": 0.9, "critic/logit_model": -2.0, "critic/logit_data": 2.0, "reward/mean": 0.5}
        run.append_metrics(
            {"env_steps": 64 * i, "round": i, "wall_clock_s": 1.0 * i, "eval/return_mean": 5.0, **critic}
        )
    row = {
        "return_mean": 3.0,
        "return_std": 1.0,
        "return_iqm": 3.0,
        "return_ci95": [2.0, 4.0],
        "normalised_return": None,
    }
    write_json(run.evaluation_file, {"scale": {"random": 0.0, "expert": None}, "policy": row, "last": row})
    return inside


def _images(folder: Path) -> Path:
    inside = folder / "run"
    inside.mkdir(exist_ok=True)
    (inside / "config.json").write_text(json.dumps(asdict(ImageConfig(model="made")), default=str))
    write_json(inside / "result.json", {"benchmark": "images", "model": "made", "test": {"nats": 80.0}, "curve": []})
    return inside
