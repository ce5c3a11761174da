"""Whether a run that was broken and resumed is the unbroken one, to the last bit, but for its clocks."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gail_suite.demonstrations.atomic import LEFTOVER
from gail_suite.run_directory import RunDirectory
from generative_core import load_checkpoint

CLOCKS = {"wall_clock_s", "env_steps_per_s"}
ORIGIN = {"command", "began", "commit"}


def differences(a: Any, b: Any, where: str = "") -> list[str]:
    """Places where two trees of tensors, arrays and plain values differ; clocks are not looked at."""
    if isinstance(a, dict) and isinstance(b, dict):
        keys = [key for key in {**a, **b} if key not in CLOCKS]
        missing = [f"{where}.{key} is on one side only" for key in keys if (key in a) != (key in b)]
        both = [key for key in keys if key in a and key in b]
        return missing + [found for key in both for found in differences(a[key], b[key], f"{where}.{key}")]
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        if len(a) != len(b):
            return [f"{where} has {len(a)} and {len(b)} entries"]
        pairs = enumerate(zip(a, b, strict=True))
        return [found for i, (x, y) in pairs for found in differences(x, y, f"{where}[{i}]")]
    return [] if _bits(a) == _bits(b) else [f"{where} differs"]


def _bits(value: Any) -> tuple[Any, ...]:
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().numpy()
    if isinstance(value, np.ndarray | np.generic):
        return str(value.dtype), value.shape, value.tobytes()
    return type(value), repr(value)  # of a float all digits, and nan is nan


def compare_runs(unbroken: Path, broken: Path) -> list[str]:
    """Two folders of `gail_suite.train`: every checkpoint, the curve, the evaluation; and no temporary file."""
    a, b = RunDirectory.open(unbroken), RunDirectory.open(broken)
    found = compare_files(unbroken, broken)
    found += differences(a.metrics(), b.metrics(), "metrics")
    first, second = (
        {name: value for name, value in json.loads(run.evaluation_file.read_text()).items() if name not in ORIGIN}
        for run in (a, b)
    )
    return found + differences(first, second, "evaluation")


def compare_files(unbroken: Path, broken: Path) -> list[str]:
    """Two folders: the same checkpoints in both, and no temporary file in the broken one."""
    first, second = (
        sorted(str(path.relative_to(folder)) for path in folder.rglob("*.safetensors")) for folder in (unbroken, broken)
    )
    found = differences(first, second, "the list of checkpoints")
    for name in set(first) & set(second):
        found += differences(load_checkpoint(unbroken / name), load_checkpoint(broken / name), name)
    return found + [f"{path.name} was left behind" for path in leftovers(broken)]


def leftovers(folder: Path) -> list[Path]:
    """Temporary files of writes that were cut short."""
    return [path for path in folder.rglob(".*") if LEFTOVER.fullmatch(path.name)]
