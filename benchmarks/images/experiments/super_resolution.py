"""Super-resolution, four times larger: the nearest image against one that looks real."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.data.photos import crops
from benchmarks.images.experiments.experiment import Experiment, Measure, Role, Row, Size
from benchmarks.images.experiments.image_pairs import laplacian_energy
from benchmarks.images.experiments.judging import FID_TO_OTHERS, ImageTask, distance_to_others, image_task
from benchmarks.images.experiments.lab import JUDGE_SEED, LOSS_NETWORK_SEED, Lab
from benchmarks.images.experiments.stylistic import seeing
from generative_core import SRGAN, AdversarialStep
from generative_core.metrics import accuracy, frechet_distance, in_batches, psnr, ssim
from generative_core.metrics.judges import weights_sha256

N_SHOWN = 14
N_BLOCKS = 4
LOSS_NETWORK_UPDATES, LOSS_NETWORK_BATCH = 600, 64


def srgan(lab: Lab, size: Size) -> Sequence[Row]:
    task = image_task(lab)
    models = enlargers(lab, size, task.train, loss_network(lab, task))
    truth, given = task.test[: task.n], shrink(task.test[: task.n])
    truth_labels = task.data.labels("test")[: task.n].to(lab.device)
    made = enlarged(lab, models, given, truth)

    def judge(name: str, role: Role, x: Tensor) -> Row:
        values = {"FID": distance_to_others(task, x), "accuracy": accuracy(task.judge.net, x, truth_labels)}
        return Row(name, role, values | (fidelity(x, truth) if role != "ceiling" else {}))

    return [*(judge(name, ROLES[name], x) for name, x in made.items()), judge("the truth", "ceiling", truth)]


ROLES: dict[str, Role] = {
    "bicubic": "baseline",
    "SRResNet, squared error": "ablation",
    "SRGAN": "ours",
    "features without a critic": "ablation",
}


def enlargers(lab: Lab, size: Size, large: Tensor, features: nn.Module) -> dict[str, SRGAN]:
    """The contenders, from one first stage, trained to make `large` images (n, C, 4 h, 4 w) of small ones."""

    def build(phi: nn.Module | None, *, content: float, adversarial: float) -> SRGAN:
        torch.manual_seed(lab.seed)
        return SRGAN(
            large.shape[1:],
            features=phi,
            content=content,
            adversarial=adversarial,
            channels=size.channels[0],
            blocks=N_BLOCKS,
            critic_channels=size.channels[::-1],
        )

    small = shrink(large)

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
    return models


def enlarged(lab: Lab, models: dict[str, SRGAN], given: Tensor, truth: Tensor) -> dict[str, Tensor]:
    """What each makes of the small images, in [-1, 1], and the picture."""
    made = {"bicubic": F.interpolate(given, scale_factor=4, mode="bicubic")}
    made |= {name: in_batches(model.translate, given) for name, model in models.items()}
    made = {name: x.clamp(-1, 1) for name, x in made.items()}
    shown = [F.interpolate(given[:N_SHOWN], scale_factor=4, mode="nearest"), truth[:N_SHOWN]]
    sides = f"{given.shape[2]} x {given.shape[3]}"
    lab.picture([*shown, *(x[:N_SHOWN] for x in made.values())], f"{sides} pixels; the truth; {'; '.join(made)}")
    return made


def fidelity(x: Tensor, truth: Tensor) -> dict[str, float]:
    return {"PSNR": float(psnr(x, truth).mean()), "SSIM": float(ssim(x, truth).mean())}


def srgan_photos(lab: Lab, size: Size) -> Sequence[Row]:
    """The left halves of three motifs of two photographs to learn from, the right ones to judge; nothing is claimed of
    other photographs."""
    n_train, n = 1_500 if not lab.smoke else 50, size.n_judged // len(PHOTOS) // 2 * 2
    own, fixed = torch.Generator().manual_seed(lab.seed + 5), torch.Generator().manual_seed(JUDGE_SEED)
    train = torch.cat([crops(name, "train", n_train, generator=own) for name in PHOTOS]).to(lab.device)
    # in turn, so that the truth and what it is compared with show the same motifs
    test = torch.stack([crops(name, "test", n, generator=fixed) for name in PHOTOS], dim=1).flatten(0, 1)
    truth, others = test.to(lab.device).chunk(2)
    lab.record("crops of petals, leaves and a tower", n_train=len(train), n_test=len(truth), side=train.shape[2])
    eyes = seeing(lab, JUDGE_SEED, channels=(12, 24, 48), kernel=5)
    models = enlargers(lab, size, train, _Deepest(seeing(lab, LOSS_NETWORK_SEED, channels=(16, 32, 48))))
    made = enlarged(lab, models, shrink(truth), truth)
    blurred = perceived(eyes, made["bicubic"], truth)

    def judge(name: str, role: Role, x: Tensor) -> Row:
        values = {"FID": distance_of_maps(eyes, x, others), "sharpness": laplacian_energy(x) / laplacian_energy(truth)}
        if role != "ceiling":  # the truth is at no distance from itself
            values |= fidelity(x, truth) | {"perceptual": perceived(eyes, x, truth) / blurred}
        return Row(name, role, values)

    return [*(judge(name, ROLES[name], x) for name, x in made.items()), judge("the truth", "ceiling", truth)]


PHOTOS = ("petals", "leaves", "tower")  # the rest of the photographs is out of focus, or sky


class _Deepest(nn.Module):
    """The last maps of a network of several."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)[-1]


@torch.no_grad()
def perceived(net: nn.Module, x: Tensor, truth: Tensor) -> float:
    """Mean over the layers of the squared distance of maps whose channels have length 1 at every place.

    Paper: Zhang et al. 2018, https://arxiv.org/abs/1801.03924, eq. 1, without its learnt weights of channels.
    """
    pairs = zip(net(x), net(truth), strict=True)
    distances = [(F.normalize(a, dim=1) - F.normalize(b, dim=1)).square().sum(1).mean() for a, b in pairs]
    return float(torch.stack(distances).mean())


@torch.no_grad()
def distance_of_maps(net: nn.Module, x: Tensor, others: Tensor) -> float:
    """Fréchet distance of the last maps' means over their places."""
    return frechet_distance(*(net(images)[-1].mean((2, 3)) for images in (others, x)))


def shrink(x: Tensor, *, side: int | None = None) -> Tensor:
    """To a quarter of the side or to another one, bicubically; clipped to [-1, 1].

    The kernel is widened so that nothing is skipped.
    """
    side = side or x.shape[2] // 4
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
    "srgan-photos": Experiment(
        about="SRGAN on crops of photographs",
        paper="https://arxiv.org/abs/1609.04802",
        question="are colours and textures more like the truth to a network, though farther from it by pixels?",
        measures={
            "perceptual": Measure(
                "distance to the truth in the maps of a network that no loss knows, by that of bicubic enlargement",
                "lower",
            ),
            "FID": Measure("Fréchet distance of that network's mean maps to those of other crops", "lower"),
            "PSNR": Measure("peak signal-to-noise ratio to the true crop, dB", "higher"),
            "SSIM": Measure("structural similarity to the true crop", "higher"),
            "sharpness": Measure("Laplacian energy over the truth's; 1 is as sharp, above it is noise", "neither"),
        },
        run=srgan_photos,
        cpu=Size(steps=450, batch_size=16, channels=(32, 16)),
        gpu=Size(steps=40_000, channels=(64, 64, 32), n_judged=4_000),
    ),
}
