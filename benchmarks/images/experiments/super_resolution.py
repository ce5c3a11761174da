"""Super-resolution, four times larger: the nearest image against one that looks real."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.images.experiments.experiment import Experiment, Measure, Role, Row, Size
from benchmarks.images.experiments.judging import FID, ImageTask, image_task
from benchmarks.images.experiments.lab import LOSS_NETWORK_SEED, Lab
from generative_core import SRGAN, AdversarialStep
from generative_core.metrics import JudgeConfig, accuracy, frechet_distance, in_batches, load_judge, psnr, ssim

N_SHOWN = 14
N_BLOCKS = 4


def srgan(lab: Lab, size: Size) -> Sequence[Row]:
    task = image_task(lab)
    large, small = task.train, shrink(task.train)
    features = loss_network(lab, task)

    def build(phi: nn.Module | None, *, content: float, adversarial: float) -> SRGAN:
        torch.manual_seed(lab.seed)
        return SRGAN(
            task.data.event_shape,
            features=phi,
            content=content,
            adversarial=adversarial,
            channels=size.channels[0],
            blocks=N_BLOCKS,
            critic_channels=size.channels[::-1],
        )

    def train(name: str, model: SRGAN, lr: float) -> SRGAN:
        step = AdversarialStep(model.to(lab.device), lr=lr, betas=(0.9, 0.999), seed=lab.seed)
        trained = lab.train(name, step, lab.batches(large, small))
        assert isinstance(trained, SRGAN)
        return trained

    first = train("SRResNet", build(None, content=1.0, adversarial=0.0), 1e-3)
    models = {"SRResNet, squared error": first}
    for name, adversarial in (("SRGAN", 1e-3), ("features without a critic", 0.0)):
        model = build(features, content=6e-3, adversarial=adversarial)
        model.generator.load_state_dict(first.generator.state_dict())
        models[name] = train(name, model, 3e-4)

    truth, given = task.test[: task.n], shrink(task.test[: task.n])
    truth_labels = task.data.labels("test")[: task.n].to(lab.device)
    made = {"bicubic": F.interpolate(given, scale_factor=4, mode="bicubic")}
    made |= {name: in_batches(model.translate, given) for name, model in models.items()}
    net = task.judge.net

    def judge(name: str, role: Role, x: Tensor, other: Tensor | None = truth) -> Row:
        x = x.clamp(-1, 1)
        values = {"FID": frechet_distance(in_batches(net.features, truth), in_batches(net.features, x))}
        if other is None:  # other images: nothing to compare them with
            return Row(name, role, values)
        values["PSNR"] = float(psnr(x, other).mean())
        values["SSIM"] = float(ssim(x, other).mean())
        values["accuracy"] = accuracy(net, x, truth_labels)
        return Row(name, role, values)

    roles: dict[str, Role] = {
        "bicubic": "baseline",
        "SRResNet, squared error": "ablation",
        "SRGAN": "ours",
        "features without a critic": "ablation",
    }
    shown = [F.interpolate(given[:N_SHOWN], scale_factor=4, mode="nearest"), truth[:N_SHOWN]]
    lab.picture(
        [*shown, *(x[:N_SHOWN].clamp(-1, 1) for x in made.values())],
        f"7 x 7 pixels; the truth; {'; '.join(made)}",
    )
    rows = [judge(name, roles[name], x) for name, x in made.items()]
    return [*rows, judge("other real images", "ceiling", task.test[task.n : 2 * task.n], None)]


def shrink(x: Tensor, *, side: int = 7) -> Tensor:
    """Bicubically, with the kernel widened so that nothing is skipped; clipped to [-1, 1]."""
    return F.interpolate(x, size=(side, side), mode="bicubic", antialias=True).clamp(-1, 1)


def loss_network(lab: Lab, task: ImageTask) -> nn.Module:
    """Images -> the last maps of a classifier that judges nothing: another seed and a shorter training."""
    config = JudgeConfig(seed=LOSS_NETWORK_SEED, epochs=1 if lab.smoke else 2, batch_size=16 if lab.smoke else 128)
    labels, labels_test = (task.data.labels(split).to(lab.device) for split in ("train", "test"))
    trained = load_judge(task.train, labels, task.test, labels_test, n_classes=task.data.n_classes, config=config)
    lab.judges["inside the loss"] = {"sha256": trained.sha256, "accuracy_on_real": trained.test_accuracy}
    return trained.net.blocks


SUPER_RESOLUTION: dict[str, Experiment] = {
    "srgan": Experiment(
        about="SRGAN: super-resolution by features and a critic",
        paper="https://arxiv.org/abs/1609.04802",
        question="does the critic make enlarged images more real, though farther from the truth?",
        measures={
            "FID": FID,
            "PSNR": Measure("peak signal-to-noise ratio to the true image, dB", "higher"),
            "SSIM": Measure("structural similarity to the true image", "higher"),
            "accuracy": Measure("share that the judge gives the true image's class", "higher"),
        },
        run=srgan,
        cpu=Size(steps=1_000, batch_size=32, channels=(32, 16)),
        gpu=Size(steps=40_000, channels=(64, 64, 32), n_judged=5_000),
    ),
}
