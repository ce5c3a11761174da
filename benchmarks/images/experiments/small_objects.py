"""Small objects: features lifted to those of large ones, against a classifier that is trained on small ones."""

import copy
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.images.experiments.experiment import Experiment, Measure, Row, Size
from benchmarks.images.experiments.lab import LOSS_NETWORK_SEED, Lab
from benchmarks.images.experiments.super_resolution import shrink
from generative_core import MaximumLikelihoodStep, PerceptualGAN
from generative_core.metrics import JudgeConfig, accuracy, frechet_distance, in_batches, load_judge

N_SHOWN = 14
SIDE = 7
STEM_CHANNELS, FEATURE_SHAPE = 32, (64, 7, 7)
"""Of the classifier's two blocks, on 28 x 28 pixels."""


def perceptual_gan(lab: Lab, size: Size) -> Sequence[Row]:
    data = lab.images()
    train, test = data.events("train").to(lab.device), data.events("test")[: 2 * size.n_judged].to(lab.device)
    labels, test_labels = (data.labels(split).to(lab.device) for split in ("train", "test"))
    test_labels = test_labels[: len(test)]
    config = JudgeConfig(seed=LOSS_NETWORK_SEED, epochs=1 if lab.smoke else 2, batch_size=16 if lab.smoke else 128)
    base = load_judge(train, labels, test, test_labels, n_classes=data.n_classes, config=config).net
    small, test_small = enlarged(train), enlarged(test)

    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(lab.seed)).to(lab.device)
    batch = (train, labels, small[order], labels[order])  # the two sides of a batch show different objects
    gans = {}
    contenders = (("perceptual GAN", 1.0, 1.0), ("perception alone", 0.0, 1.0), ("critic alone", 1.0, 0.0))
    for name, adversarial, perception in contenders:
        torch.manual_seed(lab.seed)
        gan = PerceptualGAN(
            FEATURE_SHAPE,
            source_shape=data.event_shape,
            stem=base.blocks[:3],
            trunk=base.blocks[3:],
            stem_channels=STEM_CHANNELS,
            n_classes=data.n_classes,
            adversarial=adversarial,
            perception=perception,
        ).to(lab.device)
        trained = lab.train(name, lab.game(gan, short_lr=5e-4), lab.batches(*batch))
        assert isinstance(trained, PerceptualGAN)
        gans[name] = trained
    tuned = Classifier(base).to(lab.device)
    step = MaximumLikelihoodStep(tuned, lr=5e-4, seed=lab.seed)
    lab.train("fine-tuned", step, lab.batches(small, F.one_hot(labels).float()))

    fixed = gans["perceptual GAN"].features
    goal, before = in_batches(fixed, test), in_batches(fixed, test_small)
    apart, gap = (before - goal).square().mean(), law_gap(before, goal)
    rows = []
    for name, gan in gans.items():
        lifted = in_batches(gan.translate, test_small)
        values = {
            "small": right(in_batches(gan.classify, lifted), test_labels),
            "large": right(in_batches(gan.classify, goal), test_labels),
            "gap": law_gap(lifted, goal) / gap,
            "distance": float((lifted - goal).square().mean() / apart),
        }
        rows.append(Row(name, "ours" if name == "perceptual GAN" else "ablation", values))
    both = ((test_small, "small"), (test, "large"))
    rows.append(
        Row(
            "classifier fine-tuned on small objects",
            "baseline",
            {name: accuracy(tuned.net, x, test_labels) for x, name in both},
        )
    )
    unchanged = {name: accuracy(base, x, test_labels) for x, name in both}
    rows.append(Row("classifier of large objects", "baseline", unchanged | {"gap": 1.0, "distance": 1.0}))
    rows.append(
        Row("the same, given the large objects", "ceiling", {"small": unchanged["large"], "gap": 0.0, "distance": 0.0})
    )
    lab.picture([test[:N_SHOWN], test_small[:N_SHOWN]], f"large objects; the same from {SIDE} x {SIDE} pixels")
    return rows


def enlarged(x: Tensor) -> Tensor:
    """What is left of x in SIDE x SIDE pixels, at its own size again."""
    return F.interpolate(shrink(x, side=SIDE), size=x.shape[2:], mode="bicubic").clamp(-1, 1)


def law_gap(lifted: Tensor, goal: Tensor) -> float:
    """Between the laws of two sets of maps (n, C, h, w), each the mean over its places."""
    return frechet_distance(lifted.mean((2, 3)), goal.mean((2, 3)))


def right(logits: Tensor, labels: Tensor) -> float:
    return float((logits.argmax(1) == labels).double().mean())


class Classifier(nn.Module):
    """A copy of a network, to be trained further: the loss is cross-entropy, the context one-hot classes."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = copy.deepcopy(net).requires_grad_(True)

    def loss(self, x: Tensor, context: Tensor | None = None, *, generator: torch.Generator | None = None) -> Tensor:
        """Nats, (B,)."""
        assert context is not None
        return F.cross_entropy(self.net(x), context, reduction="none")


SMALL_OBJECTS: dict[str, Experiment] = {
    "perceptual-gan": Experiment(
        about="perceptual GAN: features of small objects lifted to those of large ones",
        paper="https://arxiv.org/abs/1706.05274",
        question="does lifting features recognise small objects better than training on enlarged small ones?",
        measures={
            "small": Measure("accuracy on small objects", "higher"),
            "large": Measure("accuracy of the same system on large objects", "higher"),
            "gap": Measure(
                "Fréchet distance of small objects' features to large ones', as a share of that before", "lower"
            ),
            "distance": Measure(
                "squared distance to the same object's features when large, as a share likewise", "lower"
            ),
        },
        run=perceptual_gan,
        cpu=Size(steps=800),
        gpu=Size(steps=20_000, batch_size=128, n_judged=5_000),
    ),
}
