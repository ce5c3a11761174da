"""What several experiments measure alike: samples of images against real ones, by a judge that no model trained on."""

from typing import NamedTuple

import torch
from torch import Tensor

from benchmarks.data import DataSet
from benchmarks.images.experiments.experiment import Measure
from benchmarks.images.experiments.lab import Lab
from generative_core import ClassConditionalGaussian
from generative_core.metrics import Judge, density_coverage, frechet_distance, in_batches, inception_score

FID = Measure("Fréchet distance of the judge's features to the test images", "lower")
FID_TO_OTHERS = Measure("Fréchet distance of the judge's features to as many test images of other things", "lower")
INCEPTION = Measure("Inception score by the judge's classes, at most 10", "higher")
COVERAGE = Measure("share of the test images with a sample in their neighbourhood", "higher")
DENSITY = Measure("samples in the neighbourhoods of test images, 1 for equal laws", "higher")

SAMPLES: dict[str, Measure] = {"FID": FID, "IS": INCEPTION, "coverage": COVERAGE, "density": DENSITY}
"""The columns of `judge_samples`."""


class ImageTask(NamedTuple):
    """A data set, its judge, and as many test images as samples are judged."""

    data: DataSet
    train: Tensor
    test: Tensor
    judge: Judge
    n: int


def image_task(lab: Lab, name: str = "fashion-mnist") -> ImageTask:
    """Grey images of 28 x 28 pixels, on the lab's device."""
    data = lab.images(name)
    train, test = data.events("train").to(lab.device), data.events("test").to(lab.device)
    judge = lab.judge(name, train, data.labels("train"), test, data.labels("test"))
    return ImageTask(data, train, test, judge, min(lab.size.n_judged, len(test) // 2))


@torch.no_grad()
def judge_samples(task: ImageTask, samples: Tensor) -> dict[str, float]:
    """`SAMPLES` of n samples against the first n test images; all contenders of a run have the same n."""
    net = task.judge.net
    real, drawn = (in_batches(net.features, x) for x in (task.test[: task.n], samples[: task.n]))
    near = density_coverage(real, drawn)
    return {
        "FID": frechet_distance(real, drawn),
        "IS": inception_score(in_batches(net, samples[: task.n])),
        "coverage": near.coverage,
        "density": near.density,
    }


def distance_to_others(task: ImageTask, x: Tensor) -> float:
    """`FID_TO_OTHERS` of answers to the first n test images: the next n are the reference, for the truth as well, so
    that no row gains from being compared with the very images that it was made of."""
    real, made = (in_batches(task.judge.net.features, part) for part in (task.test[task.n : 2 * task.n], x))
    return frechet_distance(real, made)


def real_samples(task: ImageTask) -> dict[str, float]:
    """The ceiling: test images that are not those compared with."""
    return judge_samples(task, task.test[task.n : 2 * task.n])


def gaussian_samples(lab: Lab, task: ImageTask) -> dict[str, float]:
    """The trivial way: a Gaussian a class."""
    labels = task.data.labels("train").to(lab.device)
    model = ClassConditionalGaussian(task.train.shape[1:], n_classes=task.data.n_classes).fit(task.train, labels)
    return judge_samples(task, model.sample(task.n, generator=lab.random(91)).clamp(-1, 1))
