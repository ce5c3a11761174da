"""Games around x = G(z): modes on known mixtures of Gaussians, and images against a Gaussian a class."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.images.experiments.experiment import Experiment, Row, Size
from benchmarks.images.experiments.judging import (
    SAMPLES,
    ImageTask,
    gaussian_samples,
    image_task,
    judge_samples,
    real_samples,
)
from benchmarks.images.experiments.lab import Lab
from generative_core import DCGAN, GAN, AdversarialStep


def dcgan(lab: Lab, size: Size) -> Sequence[Row]:
    task = image_task(lab)
    torch.manual_seed(lab.seed)
    model = DCGAN(task.data.event_shape, channels=size.channels).to(lab.device)
    conv = lab.train("DCGAN", AdversarialStep(model, seed=lab.seed), lab.batches(task.train))
    width = 16 * size.channels[0]
    perceptrons = GAN(task.data.event_shape, latent=100, hidden=(width, width), output_activation=nn.Tanh)
    step = AdversarialStep(perceptrons.to(lab.device), seed=lab.seed)
    dense = lab.train("perceptrons", step, lab.batches(task.train))
    drawn = {name: _draw(lab, task, model) for name, model in (("conv", conv), ("dense", dense))}
    lab.picture([task.test[:12], drawn["conv"][:12], drawn["dense"][:12]], "test images; DCGAN; GAN of perceptrons")
    return [
        Row("DCGAN", "ours", judge_samples(task, drawn["conv"])),
        Row("GAN of perceptrons", "ablation", judge_samples(task, drawn["dense"])),
        Row("a Gaussian a class", "baseline", gaussian_samples(lab, task)),
        Row("real images", "ceiling", real_samples(task)),
    ]


@torch.no_grad()
def _draw(lab: Lab, task: ImageTask, model: Any) -> Tensor:
    return model.sample(task.n, generator=lab.random(7))


UNCONDITIONAL: dict[str, Experiment] = {
    "dcgan": Experiment(
        about="DCGAN",
        paper="https://arxiv.org/abs/1511.06434",
        question="do strided convolutions with batch norm make better images than perceptrons?",
        measures=SAMPLES,
        run=dcgan,
        cpu=Size(steps=2_000),
        gpu=Size(steps=40_000, batch_size=128, channels=(256, 128), n_judged=5_000),
    ),
}
