"""Super-resolution, four times larger: the nearest image against one that looks real."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.images.experiments.experiment import Experiment, Measure, Role, Row, Size
from benchmarks.images.experiments.judging import FID_TO_OTHERS, ImageTask, distance_to_others, image_task
from benchmarks.images.experiments.lab import LOSS_NETWORK_SEED, Lab
from generative_core import SRGAN, AdversarialStep
from generative_core.metrics import accuracy, in_batches, psnr, ssim
from generative_core.metrics.judges import weights_sha256

N_SHOWN = 14
N_BLOCKS = 4
LOSS_NETWORK_UPDATES, LOSS_NETWORK_BATCH = 600, 64


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

    first = train("SRResNet, first stage", build(None, content=1.0, adversarial=0.0), 1e-3)
    # all three go on from there by as many updates, so that none is better for having learnt longer
    second_stages = {
        "SRResNet, squared error": build(None, content=1.0, adversarial=0.0),
        "SRGAN": build(features, content=6e-3, adversarial=1e-3),
        "features without a critic": build(features, content=6e-3, adversarial=0.0),
    }
    models = {}
    for name, model in second_stages.items():
        model.generator.load_state_dict(first.generator.state_dict())
        models[name] = train(name, model, 3e-4)

    truth, given = task.test[: task.n], shrink(task.test[: task.n])
    truth_labels = task.data.labels("test")[: task.n].to(lab.device)
    made = {"bicubic": F.interpolate(given, scale_factor=4, mode="bicubic")}
    made |= {name: in_batches(model.translate, given) for name, model in models.items()}
    net = task.judge.net

    def judge(name: str, role: Role, x: Tensor) -> Row:
        x = x.clamp(-1, 1)
        values = {"FID": distance_to_others(task, x), "accuracy": accuracy(net, x, truth_labels)}
        if role != "ceiling":  # the truth is at no distance from itself
            values |= {"PSNR": float(psnr(x, truth).mean()), "SSIM": float(ssim(x, truth).mean())}
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
    return [*rows, judge("the truth", "ceiling", truth)]


def shrink(x: Tensor, *, side: int = 7) -> Tensor:
    """Bicubically, with the kernel widened so that nothing is skipped; clipped to [-1, 1]."""
    return F.interpolate(x, size=(side, side), mode="bicubic", antialias=True).clamp(-1, 1)


def loss_network(lab: Lab, task: ImageTask) -> nn.Module:
    """Images -> the maps (48, 7, 7) of a classifier that is no judge: other kernels, widths, depth and seed."""
    labels, labels_test = (task.data.labels(split).to(lab.device) for split in ("train", "test"))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(LOSS_NETWORK_SEED)
        maps = nn.Sequential(
            *_block(task.train.shape[1], 24, stride=2), *_block(24, 40, stride=1), *_block(40, 48, stride=2)
        )
        places = task.train.shape[2] // 4 * (task.train.shape[3] // 4)
        classifier = nn.Sequential(maps, nn.Flatten(), nn.Linear(48 * places, task.data.n_classes)).to(lab.device)
    optimiser = torch.optim.Adam(classifier.parameters(), lr=2e-3)
    batches = lab.batches(task.train, labels, batch_size=LOSS_NETWORK_BATCH, seed=LOSS_NETWORK_SEED)
    for _ in range(2 if lab.smoke else LOSS_NETWORK_UPDATES):
        x, y = next(batches)
        optimiser.zero_grad()
        F.cross_entropy(classifier(x), y).backward()
        optimiser.step()
    right = accuracy(classifier.eval(), task.test, labels_test)
    lab.judges["inside the loss"] = {"sha256": weights_sha256(classifier), "accuracy_on_real": right}
    return maps


def _block(n_in: int, n_out: int, *, stride: int) -> tuple[nn.Module, ...]:
    convolution = nn.Conv2d(n_in, n_out, 3, stride=stride, padding=1, bias=False)
    return convolution, nn.BatchNorm2d(n_out), nn.ReLU()  # normalised: SRGAN's weights are for features of order 1


SUPER_RESOLUTION: dict[str, Experiment] = {
    "srgan": Experiment(
        about="SRGAN: super-resolution by features and a critic",
        paper="https://arxiv.org/abs/1609.04802",
        question="does the critic make enlarged images more real, though farther from the truth?",
        measures={
            "FID": FID_TO_OTHERS,
            "PSNR": Measure("peak signal-to-noise ratio to the true image, dB", "higher"),
            "SSIM": Measure("structural similarity to the true image", "higher"),
            "accuracy": Measure("share that the judge gives the true image's class", "higher"),
        },
        run=srgan,
        cpu=Size(steps=800, batch_size=32, channels=(32, 16)),
        gpu=Size(steps=40_000, channels=(64, 64, 32), n_judged=5_000),
    ),
}
