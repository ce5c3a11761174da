"""Image to image from pairs: edges -> clothes, by a game and by regression."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.data import pairs
from benchmarks.images.experiments.experiment import Experiment, Measure, Row, Size
from benchmarks.images.experiments.judging import FID_TO_OTHERS, ImageTask, distance_to_others, image_task
from benchmarks.images.experiments.lab import Lab
from generative_core import Pix2Pix, Pix2PixHD
from generative_core.metrics import accuracy, in_batches

MEASURES = {
    "accuracy": Measure("share of the translations that the judge gives the class of the truth", "higher"),
    "sharpness": Measure("Laplacian energy over the truth's; 1 is as sharp as the truth, above it is noise", "neither"),
    "L1": Measure("mean absolute error, grey values in [-1, 1]", "lower"),
    "FID": FID_TO_OTHERS,
}
N_NEIGHBOURS_FROM = 10_000  # training pairs that the nearest neighbour is looked for in


class EdgesTask(NamedTuple):
    """Edges -> the image that they were taken of, and its judge."""

    images: ImageTask
    train_edges: Tensor
    edges: Tensor
    """Of the first n test images."""
    labels: Tensor

    @property
    def truth(self) -> Tensor:
        return self.images.test[: self.images.n]


def edges_task(lab: Lab) -> EdgesTask:
    task = image_task(lab)
    labels = task.data.labels("test")[: task.n].to(lab.device)
    return EdgesTask(task, in_batches(pairs.edges, task.train), pairs.edges(task.test[: task.n]), labels)


def pix2pix(lab: Lab, size: Size) -> Sequence[Row]:
    task = edges_task(lab)
    outputs = {
        name: _trained(lab, name, _pix2pix(lab, size, adversarial=weight), task)
        for name, weight in (("pix2pix", 1.0), ("L1 alone", 0.0))
    }
    lab.picture(
        [x[:12] for x in (task.edges, outputs["L1 alone"], outputs["pix2pix"], task.truth)],
        "edges; the same U-Net by L1 alone; pix2pix; the truth",
    )
    return [
        Row("pix2pix", "ours", judge_translations(task, outputs["pix2pix"])),
        Row("the same U-Net, L1 alone", "ablation", judge_translations(task, outputs["L1 alone"])),
        *_bounds(task),
    ]


def pix2pix_hd(lab: Lab, size: Size) -> Sequence[Row]:
    task = edges_task(lab)
    contenders = {
        "pix2pixHD": _pix2pix_hd(lab, size, n_scales=2),
        "without feature matching": _pix2pix_hd(lab, size, n_scales=2, feature_matching=0.0),
        "critic at one scale": _pix2pix_hd(lab, size, n_scales=1),
    }
    outputs = {name: _trained(lab, name, model, task) for name, model in contenders.items()}
    lab.picture([x[:12] for x in (task.edges, *outputs.values(), task.truth)], "; ".join(["edges", *outputs, "truth"]))
    ours = Row("pix2pixHD", "ours", judge_translations(task, outputs.pop("pix2pixHD")))
    return [ours, *(Row(name, "ablation", judge_translations(task, x)) for name, x in outputs.items()), *_bounds(task)]


@torch.no_grad()
def judge_translations(task: EdgesTask, x: Tensor) -> dict[str, float]:
    """`MEASURES` of translations of the test edges."""
    net = task.images.judge.net
    return {
        "accuracy": accuracy(net, x, task.labels),
        "sharpness": laplacian_energy(x) / laplacian_energy(task.truth),
        "L1": float((x - task.truth).abs().mean()),
        "FID": distance_to_others(task.images, x),
    }


def laplacian_energy(images: Tensor) -> float:
    """Mean square of the five-point Laplacian of the inner pixels: blur takes it away first."""
    kernel = images.new_tensor([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]])
    channels = images.flatten(0, 1)[:, None]  # (n, C, H, W) -> (n*C, 1, H, W)
    return float(F.conv2d(channels, kernel[None, None]).square().mean())


def nearest_source(sources: Tensor, train_sources: Tensor) -> Tensor:
    """Index (n,) of the training source at the least square distance of each source."""
    rows = train_sources.flatten(1)
    squares = rows.square().sum(1)
    return torch.cat([(squares - 2 * x.flatten(1) @ rows.T).argmin(1) for x in sources.split(500)])


def _bounds(task: EdgesTask) -> list[Row]:
    nearest = nearest_source(task.edges, task.train_edges[:N_NEIGHBOURS_FROM])
    return [
        Row("image of the nearest training edges", "baseline", judge_translations(task, task.images.train[nearest])),
        Row("the edges themselves", "baseline", judge_translations(task, task.edges)),
        Row("the truth", "ceiling", judge_translations(task, task.truth)),
    ]


def _trained(lab: Lab, name: str, model: Pix2Pix | Pix2PixHD, task: EdgesTask) -> Tensor:
    """The translations of the test edges by a model after its training."""
    lab.train(name, lab.game(model), lab.batches(task.images.train, task.train_edges))
    return in_batches(model.translate, task.edges)


def _pix2pix(lab: Lab, size: Size, *, adversarial: float) -> Pix2Pix:
    torch.manual_seed(lab.seed)
    channels = tuple(size.channels)[::-1]
    return Pix2Pix(
        (1, 28, 28),
        source_channels=1,
        channels=(*channels, channels[-1]),
        critic_channels=channels,
        adversarial=adversarial,
    )


def _pix2pix_hd(lab: Lab, size: Size, *, n_scales: int, feature_matching: float = 10.0) -> Pix2PixHD:
    torch.manual_seed(lab.seed)
    channels = tuple(size.channels)[::-1]
    return Pix2PixHD(
        (1, 28, 28),
        source_channels=1,
        channels=channels,
        blocks=2,
        n_scales=n_scales,
        critic_channels=channels,
        feature_matching=feature_matching,
    )


IMAGE_PAIRS: dict[str, Experiment] = {
    "pix2pix": Experiment(
        about="pix2pix, edges -> clothes",
        paper="https://arxiv.org/abs/1611.07004",
        question="does a critic of patches bring back what the mean of all answers, the L1 optimum, blurs?",
        measures=MEASURES,
        run=pix2pix,
        cpu=Size(steps=1_400, batch_size=32),
        gpu=Size(steps=60_000, channels=(256, 128, 64), n_judged=5_000),
    ),
    "pix2pix-hd": Experiment(
        about="pix2pixHD, edges -> clothes",
        paper="https://arxiv.org/abs/1711.11585",
        question="do feature matching and critics at several scales hold up a game without any distance of pixels?",
        measures=MEASURES,
        run=pix2pix_hd,
        cpu=Size(steps=400, batch_size=16),
        gpu=Size(steps=60_000, channels=(128, 64), n_judged=5_000),
    ),
}
