"""What `fit` calls after each update: progress, history, pictures, TensorBoard, checkpoints.

A hook is any callable (i, metrics); `ExponentialMovingAverage` is one too.  Heavy libraries are imported on first use.
"""

import math
from collections.abc import Mapping
from contextlib import AbstractContextManager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from generative_core.protocols import Sampler
from generative_core.training.checkpoint import save_checkpoint

if TYPE_CHECKING:
    from rich.progress import Progress
    from torch.utils.tensorboard import SummaryWriter


class ProgressBar(AbstractContextManager["ProgressBar"]):
    """A bar on the terminal with the loss, the rate and the time left."""

    def __init__(self, n_steps: int, *, metric: str = "loss") -> None:
        self.n_steps = n_steps
        self.metric = metric
        self._progress: Progress | None = None

    def __enter__(self) -> "ProgressBar":
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
        self._progress = Progress(*columns)
        self._progress.start()
        self._task = self._progress.add_task("", total=self.n_steps)
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._progress is not None:
            self._progress.stop()

    def __call__(self, i: int, metrics: Mapping[str, float]) -> None:
        if self._progress is not None:
            value = metrics.get(self.metric)  # a player that rests has none
            text = f"{self.metric} {'-' if value is None else format(value, '.4g')}"
            self._progress.update(self._task, completed=i + 1, description=text)


class MetricHistory:
    """Keeps the metrics of every `every`-th update in memory: `steps` and one list a name in `values`.

    Each list is as long as `steps`; an update without that metric, as of a player that rests, has NaN there.
    """

    def __init__(self, every: int = 1) -> None:
        self.every = every
        self.steps: list[int] = []
        self.values: dict[str, list[float]] = {}

    def __call__(self, i: int, metrics: Mapping[str, float]) -> None:
        if i % self.every == 0:
            for name in metrics.keys() - self.values.keys():
                self.values[name] = [math.nan] * len(self.steps)
            self.steps.append(i)
            for name, column in self.values.items():
                column.append(metrics.get(name, math.nan))


class TensorBoard(AbstractContextManager["TensorBoard"]):
    """Writes the metrics of every `every`-th update as scalars under `folder`."""

    def __init__(self, folder: Path, *, every: int = 10) -> None:
        self.folder = folder
        self.every = every
        self._writer: SummaryWriter | None = None

    def __enter__(self) -> "TensorBoard":
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(self.folder))
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._writer is not None:
            self._writer.close()

    def __call__(self, i: int, metrics: Mapping[str, float]) -> None:
        if self._writer is not None and i % self.every == 0:
            for name, value in metrics.items():
                self._writer.add_scalar(name, value, i)


class PreviewGrid:
    """Every `every` updates, `n` samples as one PNG, `folder/samples-<updates made>.png`: same noise each time.

    Raises ValueError at construction where the sampler does not make images of 1 or 3 channels.
    """

    def __init__(self, sampler: Sampler, folder: Path, *, every: int, n: int = 64, seed: int = 0) -> None:
        if len(sampler.event_shape) != 3 or sampler.event_shape[0] not in (1, 3):
            raise ValueError(f"PreviewGrid draws (1 | 3, H, W) images, this sampler makes {sampler.event_shape}")
        self.sampler, self.folder, self.every, self.n, self.seed = sampler, folder, every, n, seed

    def __call__(self, i: int, metrics: Mapping[str, float]) -> None:
        if (i + 1) % self.every:
            return
        from matplotlib.image import imsave

        device = torch.device("cpu")
        if isinstance(self.sampler, nn.Module):
            self.sampler.eval()  # the next train step turns the training mode on again
            tensors = chain(self.sampler.parameters(), self.sampler.buffers())  # mixtures have buffers alone
            device = next((tensor.device for tensor in tensors), device)
        with torch.no_grad():
            images = self.sampler.sample(self.n, generator=torch.Generator(device).manual_seed(self.seed))
        self.folder.mkdir(parents=True, exist_ok=True)
        imsave(self.folder / f"samples-{i + 1:07d}.png", image_grid(images))


@runtime_checkable
class Stateful(Protocol):
    """Anything that a checkpoint can hold: a step, a stream of batches, a moving average."""

    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class SaveCheckpoint:
    """Every `every` updates, the state of all `parts` and `first_step`, the number of updates made, in one file.

    Among the hooks it comes after those that are parts themselves, such as a moving average, which it would otherwise
    save one update too early.

    To resume: `state = load_checkpoint(path)`, give each part its `state[name]`, and `fit(..., first_step=
    state["first_step"])`.
    """

    def __init__(self, path: Path, parts: Mapping[str, Stateful], *, every: int) -> None:
        if "first_step" in parts:
            raise ValueError("the name 'first_step' is taken by the count of updates; give that part another")
        self.path, self.parts, self.every = path, parts, every

    def __call__(self, i: int, metrics: Mapping[str, float]) -> None:
        if (i + 1) % self.every == 0:
            states = {name: part.state_dict() for name, part in self.parts.items()}
            save_checkpoint(self.path, {"first_step": i + 1, **states})


def image_grid(images: Float[Tensor, "n C H W"]) -> UInt8[np.ndarray, "rows_px cols_px 3"]:
    """n images in [-1, 1], row by row in a grid as square as can be; empty places are black.  Values are clipped."""
    n, _, height, width = images.shape
    n_cols = math.ceil(math.sqrt(n))
    n_rows = math.ceil(n / n_cols)
    pixels = ((images.detach().float().cpu().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    grid = torch.zeros(n_rows * n_cols, 3, height, width, dtype=torch.uint8)
    grid[:n] = pixels.expand(n, 3, height, width)
    grid = grid.unflatten(0, (n_rows, n_cols)).permute(0, 3, 1, 4, 2)  # (R*S, 3, H, W) -> (R, H, S, W, 3)
    return grid.reshape(n_rows * height, n_cols * width, 3).numpy()
