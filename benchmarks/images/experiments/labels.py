"""Games that read labels: a generator that is told the class, and a critic that learns from few."""

import time
from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.images.experiments.experiment import Experiment, Measure, Row, Size
from benchmarks.images.experiments.judging import FID, ImageTask, image_task, judge_samples
from benchmarks.images.experiments.lab import Lab
from generative_core import (
    ClassConditionalGaussian,
    ConditionalGAN,
    SemiSupervisedGAN,
)
from generative_core.adversarial.improved_gan import conv_trunk
from generative_core.metrics import accuracy, tstr

N_LABELS = (100, 300, 1_000)
FEATURES = 128
DROPOUT = 0.3
LR = 1e-3  # of everything that classifies
LR_LONG = 3e-4  # the paper's, for games of its length
CEILING_EPOCHS = 3  # of all labelled images

AGREEMENT = Measure("share of the samples to which the judge gives the class asked for", "higher")
TSTR = Measure("accuracy on test images of a linear classifier that has seen only the samples", "higher")


def conditional(lab: Lab, size: Size) -> Sequence[Row]:
    task = image_task(lab)
    n_classes, labels = task.data.n_classes, task.data.labels("train").to(lab.device)
    contexts = task.data.contexts("train")
    asked = torch.arange(task.n, device=lab.device) % n_classes
    codes = F.one_hot(asked, n_classes).float()
    order = torch.randperm(len(contexts), generator=torch.Generator().manual_seed(lab.seed))
    models: dict[str, Any] = {}
    for name, told in (("conditional GAN", contexts), ("labels shuffled", contexts[order])):
        torch.manual_seed(lab.seed)
        game = ConditionalGAN(task.data.event_shape, context_features=n_classes, channels=size.channels)
        models[name] = lab.train(name, lab.game(game), lab.batches(task.train, told))
    models["a Gaussian a class"] = ClassConditionalGaussian(task.data.event_shape, n_classes=n_classes).fit(
        task.train, labels
    )
    with torch.no_grad():
        drawn = {
            name: model.sample(task.n, codes, generator=lab.random(7)).clamp(-1, 1) for name, model in models.items()
        }
    real, labels_real = (x[task.n : 2 * task.n] for x in (task.test, task.data.labels("test").to(lab.device)))
    in_order = labels_real.argsort(stable=True)[:: max(task.n // (2 * n_classes), 1)][: 2 * n_classes]
    lab.picture(
        [real[in_order], *(x[: 2 * n_classes] for x in drawn.values())],
        f"test images in the order of their classes; then, twice through all classes: {'; '.join(drawn)}",
    )
    roles: dict[str, Any] = {"conditional GAN": "ours", "labels shuffled": "ablation", "a Gaussian a class": "baseline"}
    rows = [Row(name, roles[name], judge_asked(task, x, asked)) for name, x in drawn.items()]
    return [*rows, Row("real images", "ceiling", judge_asked(task, real, labels_real))]


def judge_asked(task: ImageTask, x: Tensor, asked: Tensor) -> dict[str, float]:
    """Agreement, what a classifier learns from them, and FID."""
    test, labels = task.test[: task.n], task.data.labels("test")[: task.n]
    return {
        "agreement": accuracy(task.judge.net, x, asked),
        "tstr": tstr(x, asked, test, labels),
        "FID": judge_samples(task, x)["FID"],
    }


def semi_supervised(lab: Lab, size: Size) -> Sequence[Row]:
    data = lab.images()
    train, test = (data.events(split).to(lab.device) for split in ("train", "test"))
    labels, labels_test = (data.labels(split).to(lab.device) for split in ("train", "test"))
    errors: dict[str, dict[str, float]] = {name: {} for name in ("K + 1 GAN", "supervised", "supervised, shifted")}
    pixels: dict[str, float] = {}
    strips = [test[:12]]
    for n in N_LABELS:
        rows = balanced(labels, n, torch.Generator().manual_seed(lab.seed))
        x, y = train[rows], labels[rows]
        measure = f"error_{n}"

        torch.manual_seed(lab.seed)
        game = SemiSupervisedGAN(
            data.event_shape, n_classes=data.n_classes, channels=size.channels, trunk=trunk(data.event_shape, size)
        )
        batches = with_labelled(lab, train, x, y)
        step = lab.game(game, lr=LR_LONG)
        model: Any = lab.train(f"K + 1 GAN, {n} labels", step, batches)
        errors["K + 1 GAN"][measure] = 1 - accuracy(Classes(model), test, labels_test)
        with torch.no_grad():
            strips.append(model.sample(12, generator=lab.random(7)))

        for name, shifts in (("supervised", False), ("supervised, shifted", True)):
            torch.manual_seed(lab.seed)
            net = nn.Sequential(trunk(data.event_shape, size), nn.Linear(FEATURES, data.n_classes)).to(lab.device)
            learn(lab, f"{name}, {n} labels", net, x, y, shifts=shifts)
            errors[name][measure] = 1 - accuracy(net, test, labels_test)
        pixels[measure] = 1 - tstr(x, y, test, labels_test)
    torch.manual_seed(lab.seed)
    net = nn.Sequential(trunk(data.event_shape, size), nn.Linear(FEATURES, data.n_classes)).to(lab.device)
    n_steps = size.steps if lab.smoke else max(size.steps, CEILING_EPOCHS * len(train) // size.batch_size)
    learn(lab, "all labels", net, train, labels, shifts=False, n_steps=n_steps)
    best = 1 - accuracy(net, test, labels_test)
    lab.picture(strips, f"test images; what the generators draw beside {', '.join(map(str, N_LABELS))} labels")
    return [
        Row("K + 1 GAN", "ours", errors["K + 1 GAN"]),
        Row("supervised alone", "ablation", errors["supervised"]),
        Row("supervised, shifted and mirrored", "ablation", errors["supervised, shifted"]),
        Row("linear, on pixels", "baseline", pixels),
        Row(f"supervised, {len(train):,} labels", "ceiling", {f"error_{n}": best for n in N_LABELS}),
    ]


class Classes(nn.Module):
    """The classifier inside a game."""

    def __init__(self, model: SemiSupervisedGAN) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        return self.model.classify(x)


def trunk(event_shape: Sequence[int], size: Size) -> nn.Module:
    """The one CNN that all contenders classify with."""
    net = conv_trunk(event_shape, FEATURES, channels=size.channels[::-1])
    return nn.Sequential(nn.Dropout(DROPOUT / 2), net, nn.Dropout(DROPOUT))


def balanced(labels: Tensor, n: int, generator: torch.Generator) -> Tensor:
    """n rows, as many of each class as there are to be had."""
    order = torch.randperm(len(labels), generator=generator).to(labels.device)
    classes = [order[labels[order] == k] for k in labels.unique()]
    return torch.cat([rows[: -(-n // len(classes))] for rows in classes])


def with_labelled(lab: Lab, x: Tensor, labelled: Tensor, label: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Batches (x, x_labelled, label): each side goes through its own rows at its own pace."""
    n = min(lab.size.batch_size, len(labelled))
    for (rows,), (rows_labelled, y) in zip(lab.batches(x), lab.batches(labelled, label, batch_size=n), strict=True):
        yield rows, rows_labelled, y


def shift_and_mirror(x: Tensor, *, generator: torch.Generator, shift: int = 2) -> Tensor:
    """Each image (n, C, H, W) moved by up to `shift` pixels both ways over black, and every other one mirrored.

    `generator` is on the CPU.
    """
    n, _, height, width = x.shape
    windows = F.pad(x, [shift] * 4, value=-1.0).unfold(2, height, 1).unfold(3, width, 1)  # (n, C, 5, 5, H, W)
    down, right = torch.randint(2 * shift + 1, (2, n), generator=generator).to(x.device)
    moved = windows[torch.arange(n, device=x.device), :, down, right]
    is_mirrored = torch.rand(n, 1, 1, 1, generator=generator).to(x.device) < 0.5
    return torch.where(is_mirrored, moved.flip(3), moved)


def learn(
    lab: Lab, name: str, net: nn.Module, x: Tensor, y: Tensor, *, shifts: bool, n_steps: int | None = None
) -> None:
    """Cross-entropy with Adam, as many updates as the game has unless told; `shifts`: `shift_and_mirror`."""
    n_steps = n_steps or lab.size.steps
    optimiser = torch.optim.Adam(net.parameters(), lr=LR)
    random = torch.Generator().manual_seed(lab.seed)
    batches = lab.batches(x, y, batch_size=min(lab.size.batch_size, len(x)))
    net.train()
    began = time.monotonic()
    for _ in range(n_steps):
        images, labels = next(batches)
        if shifts:
            images = shift_and_mirror(images, generator=random)
        optimiser.zero_grad()
        F.cross_entropy(net(images), labels).backward()
        optimiser.step()
    lab.trainings[name] = {"updates": n_steps, "seconds": round(time.monotonic() - began, 2)}
    net.eval()


LABELS: dict[str, Experiment] = {
    "conditional-gan": Experiment(
        about="conditional GAN",
        paper="https://arxiv.org/abs/1411.1784",
        question="does the generator draw the class that it is told?",
        measures={"agreement": AGREEMENT, "tstr": TSTR, "FID": FID},
        run=conditional,
        cpu=Size(steps=2_500, batch_size=32, channels=(128, 64, 32)),
        gpu=Size(steps=40_000, batch_size=128, channels=(256, 128), n_judged=5_000),
    ),
    "semi-supervised-gan": Experiment(
        about="semi-supervised GAN, K + 1 classes",
        paper="https://arxiv.org/abs/1606.03498",
        question="do images without labels help a classifier that has few?",
        measures={
            f"error_{n}": Measure(f"share of the test images classified wrongly, with {n} labels", "lower")
            for n in N_LABELS
        },
        run=semi_supervised,
        cpu=Size(steps=800),
        gpu=Size(steps=40_000, batch_size=100, channels=(256, 128)),
    ),
}
