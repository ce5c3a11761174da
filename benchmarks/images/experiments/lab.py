"""What an experiment works with: data, judges, seeds, the training loop and the picture.  Everything is recorded."""

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from torch import Tensor, nn

from benchmarks.data import DataSet, Pixels, load
from benchmarks.images.experiments.experiment import Size
from gail_suite.demonstrations.atomic import atomic_path
from generative_core import (
    AbstractTwoPlayer,
    AdversarialStep,
    ExponentialMovingAverage,
    ShuffledBatches,
    TrainStep,
    fit,
    linear_decay,
)
from generative_core.metrics import Judge, JudgeConfig, load_judge
from generative_core.training.fit import Hook
from generative_core.training.hooks import image_grid

N_CURVE = 100  # points of a training's curve
JUDGE_SEED = 900_001  # of judges; a network inside a loss is trained from another
SECOND_JUDGE_SEED = 900_002  # of a judge that reports where the first one was searched by
JUDGED_SEED = 900_003  # of drawn data that judges learn from and contenders are tested on: the same for all runs
LOSS_NETWORK_SEED = 17
SMOKE_DATA = "digits-28"  # stands in for data that are files
FULL_LENGTH = 10_000  # updates from which a game is trained by its paper's settings


def fixed_random(stream: int = 0) -> torch.Generator:
    """A generator, on the CPU, that is the same for every seed of a run: what judges learn from and tests are drawn by
    it, so that the seeds of one system share their judges and a table."""
    return torch.Generator().manual_seed(JUDGED_SEED * 1_000_003 + stream)


class Lab:
    """One run of one experiment."""

    def __init__(
        self,
        *,
        seed: int,
        device: torch.device,
        size: Size,
        smoke: bool = False,
        data_dir: Path | None = None,
        picture: Path | None = None,
    ) -> None:
        self.seed = seed
        self.device = device
        self.size = size
        self.smoke = smoke
        self.data_dir = data_dir
        self.picture_file = picture
        self.trainings: dict[str, dict[str, Any]] = {}
        self.judges: dict[str, dict[str, Any]] = {}
        self.data: dict[str, dict[str, Any]] = {}
        self.caption = ""
        self._console = Console(stderr=True)

    def random(self, stream: int = 0) -> torch.Generator:
        """A generator of the run's seed; different streams are independent."""
        return torch.Generator(self.device).manual_seed(self.seed * 1_000_003 + stream)

    def images(self, name: str = "fashion-mnist", *, pixels: Pixels = "grey") -> DataSet:
        """Images of 28 x 28 pixels, in [-1, 1]; in a smoke run such as need no file."""
        data = load(SMOKE_DATA if self.smoke else name, pixels=pixels, data_dir=self.data_dir)
        self.data[name if pixels == "grey" else f"{name}, {pixels}"] = data.provenance()
        return data

    def record(self, name: str, **facts: Any) -> None:
        """Says of data that are drawn, and so have no file, how they are; `facts` must not depend on the seed."""
        self.data[name] = {"name": name, **facts}

    def judge(
        self, name: str, x: Tensor, labels: Tensor, x_test: Tensor, labels_test: Tensor, *, seed: int = JUDGE_SEED
    ) -> Judge:
        """A classifier of these events, to judge by and never to train by; kept in the user's cache."""
        config = JudgeConfig(seed=seed, epochs=1 if self.smoke else 5, batch_size=16 if self.smoke else 128)
        judge = load_judge(
            x.to(self.device),
            labels.to(self.device),
            x_test.to(self.device),
            labels_test.to(self.device),
            n_classes=int(labels.max()) + 1,
            config=config,
        )
        self.judges[name] = {"sha256": judge.sha256, "accuracy_on_real": judge.test_accuracy}
        return judge

    def batches(
        self, *tensors: Tensor, batch_size: int | None = None, seed: int | None = None
    ) -> Iterator[tuple[Tensor, ...]]:
        """An endless stream of shuffled rows, on the lab's device, in an order of the run's seed or of another."""
        on_device = [tensor.to(self.device) for tensor in tensors]
        return ShuffledBatches(
            *on_device, batch_size=batch_size or self.size.batch_size, seed=self.seed if seed is None else seed
        )

    def game(
        self,
        model: AbstractTwoPlayer,
        *,
        n_steps: int | None = None,
        lr: float = 2e-4,
        short_lr: float = 1e-3,
        **settings: Any,
    ) -> AdversarialStep:
        """The step of a game on the lab's device: by `lr`, the paper's, where it is as long as the paper's.

        A short game has to make longer steps, `short_lr`, and dwindling ones to settle in its few updates, `n_steps`
        or the size's.  `settings` are further ones of `AdversarialStep`.
        """
        model.to(self.device)
        n_steps = n_steps or self.size.steps
        if n_steps >= FULL_LENGTH:
            return AdversarialStep(model, lr=lr, seed=self.seed, **settings)
        decay = linear_decay(n_steps, final=0.1)
        return AdversarialStep(model, lr=short_lr, schedule=decay, seed=self.seed, **settings)

    def train(
        self,
        name: str,
        step: TrainStep,
        batches: Iterator[tuple[Tensor, ...]],
        *,
        model: nn.Module | None = None,
        n_steps: int | None = None,
        ema: float | None = None,
        hooks: Sequence[Hook] = (),
    ) -> nn.Module:
        """`fit`, with its curve and time recorded; returns the model in evaluation mode, averaged where `ema` says so.

        `model` is the step's own where none is given.
        """
        trained: nn.Module = model if model is not None else step.model  # type: ignore[attr-defined]
        n_steps = n_steps or self.size.steps
        average = ExponentialMovingAverage(trained, decay=ema) if ema is not None else None
        curve = _Curve(n_steps)
        began = time.monotonic()
        all_hooks: list[Hook] = [*([average] if average is not None else []), curve, *hooks]
        with self._console.status(f"{name}: {n_steps:,} updates"):
            fit(step, batches, n_steps, all_hooks)
        seconds = time.monotonic() - began
        self.trainings[name] = {
            "updates": n_steps,
            "seconds": round(seconds, 2),
            "parameters": sum(p.numel() for p in trained.parameters() if p.requires_grad),
            "curve": curve.rows,
        }
        self._console.print(f"{name}: {n_steps:,} updates, {seconds:.0f} s", highlight=False)
        return (average.model if average is not None else trained).eval()

    def picture(self, rows: Sequence[Tensor], caption: str, *, magnify: int = 2) -> None:
        """The experiment's picture: each entry is a row of images (n, 1 or 3, H, W) in [-1, 1], all of one size.

        `caption` says what each row is, from the top.
        """
        self.caption = f"From the top: {caption}"
        if self.picture_file is None:
            return
        from matplotlib.image import imsave

        strips = [strip(row) for row in rows]
        width = max(part.shape[1] for part in strips)
        sheet = np.concatenate(
            [np.pad(p, ((0, 2), (0, width - p.shape[1]), (0, 0)), constant_values=255) for p in strips]
        )
        with atomic_path(self.picture_file) as temporary:
            imsave(temporary, sheet.repeat(magnify, axis=0).repeat(magnify, axis=1), format="png")

    def plot(self, draw: Callable[[Any], None], caption: str, *, width: float = 6, height: float = 3) -> None:
        """The experiment's picture, where it is a plot: `draw` gets matplotlib's figure."""
        self.caption = caption
        if self.picture_file is None:
            return
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        draw(figure)
        with atomic_path(self.picture_file) as temporary:
            figure.savefig(temporary, dpi=90, format="png")


class _Curve:
    """A hook: the mean of every metric over each hundredth of the training."""

    def __init__(self, n_steps: int) -> None:
        self.rows: list[dict[str, float]] = []
        self._every = max(n_steps // N_CURVE, 1)
        self._sums: dict[str, list[float]] = {}

    def __call__(self, i: int, metrics: dict[str, float]) -> None:
        for name, value in metrics.items():
            self._sums.setdefault(name, []).append(value)
        if (i + 1) % self._every == 0:
            means = {name: float(f"{sum(values) / len(values):.5g}") for name, values in self._sums.items()}
            self.rows.append({"step": i + 1, **means})
            self._sums.clear()


def strip(images: Tensor) -> Any:
    """(n, C, H, W) in [-1, 1] -> one row of pictures (H, n W, 3) uint8."""
    return np.concatenate([image_grid(image[None]) for image in images], axis=1)
