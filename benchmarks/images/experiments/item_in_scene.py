"""From a scene to the clean thing in it: converters judged by whether the right item is found with their output."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from benchmarks.data.pasted import paste_on_clutter
from benchmarks.images.experiments.experiment import Experiment, Measure, Row, Size
from benchmarks.images.experiments.image_pairs import laplacian_energy
from benchmarks.images.experiments.judging import ImageTask, image_task
from benchmarks.images.experiments.lab import JUDGE_SEED, Lab
from generative_core import PixelDTGAN
from generative_core.metrics import accuracy, in_batches

MEASURES = {
    "retrieval": Measure("share whose nearest test item, by the judge's features, is the one in the scene", "higher"),
    "accuracy": Measure("share that the judge gives the class of the item", "higher"),
    "L1": Measure("mean absolute error, grey values in [-1, 1]", "lower"),
    "sharpness": Measure("Laplacian energy over the items'; 1 is as sharp, above it is noise", "neither"),
}


N_TRAIN = 20_000  # scenes to learn from


class SceneTask(NamedTuple):
    """Scenes, the items in them, and the judge of items."""

    images: ImageTask
    train_scenes: Tensor
    scenes: Tensor
    items: Tensor
    labels: Tensor


def pixel_dtgan(lab: Lab, size: Size) -> Sequence[Row]:
    task = _task(lab)
    weights = {  # of the two critics and of the square error
        "PixelDTGAN": (0.5, 0.5, 0.0),
        "without the critic of pairs": (1.0, 0.0, 0.0),
        "square error alone": (0.0, 0.0, 1.0),
    }
    outputs = {name: _converted(lab, size, name, task, chosen) for name, chosen in weights.items()}
    grey = task.scenes.mean(1, keepdim=True)
    lab.picture(
        [x[:12] for x in (task.scenes, *outputs.values(), task.items)], "; ".join(["scenes", *outputs, "the items"])
    )
    return [
        Row("PixelDTGAN", "ours", _judge(task, outputs["PixelDTGAN"])),
        Row("without the critic of pairs", "ablation", _judge(task, outputs["without the critic of pairs"])),
        Row("the same converter, square error alone", "baseline", _judge(task, outputs["square error alone"])),
        Row("the scene in grey", "baseline", _judge(task, grey)),
        Row("the items", "ceiling", _judge(task, task.items)),
    ]


def _task(lab: Lab) -> SceneTask:
    images = image_task(lab)
    items = images.test[: images.n]
    scenes, train_scenes = (
        paste_on_clutter(x.cpu(), generator=torch.Generator().manual_seed(seed)).images
        for x, seed in ((items, JUDGE_SEED), (images.train[:N_TRAIN], lab.seed))
    )
    labels = images.data.labels("test")[: images.n].to(lab.device)
    return SceneTask(images, train_scenes.to(lab.device), scenes.to(lab.device), items, labels)


def _converted(lab: Lab, size: Size, name: str, task: SceneTask, weights: tuple[float, float, float]) -> Tensor:
    torch.manual_seed(lab.seed)
    real, domain, l2 = weights
    channels = tuple(size.channels)[::-1]
    model = PixelDTGAN(task.images.data.event_shape, channels=channels, real=real, domain=domain, l2=l2)
    lab.train(name, lab.game(model), lab.batches(task.images.train[:N_TRAIN], task.train_scenes))
    return in_batches(model.translate, task.scenes)


@torch.no_grad()
def _judge(task: SceneTask, x: Tensor) -> dict[str, float]:
    net = task.images.judge.net
    drawn, gallery = (in_batches(net.features, images) for images in (x, task.items))
    nearest = torch.cdist(drawn, gallery).argmin(1)
    return {
        "retrieval": float((nearest == torch.arange(len(x), device=x.device)).float().mean()),
        "accuracy": accuracy(net, x, task.labels),
        "L1": float((x - task.items).abs().mean()),
        "sharpness": laplacian_energy(x) / laplacian_energy(task.items),
    }


ITEM_IN_SCENE: dict[str, Experiment] = {
    "pixel-dtgan": Experiment(
        about="PixelDTGAN, an item in a scene -> the clean item",
        paper="https://arxiv.org/abs/1603.07442",
        question="does a critic of pairs make the converter show the item of the scene, and not just any item?",
        measures=MEASURES,
        run=pixel_dtgan,
        cpu=Size(steps=1_200, batch_size=32, n_judged=1_000),
        gpu=Size(steps=60_000, batch_size=128, channels=(256, 128, 64), n_judged=1_000),
    ),
}
