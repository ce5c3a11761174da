"""Repair: holes filled and watermarks removed by the context encoder, against fillings that know one image only."""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from benchmarks.data.holes import Damaged, fill_biharmonic, fill_nearest, punch, square_holes, watermark
from benchmarks.images.experiments.experiment import Experiment, Measure, Role, Row, Size
from benchmarks.images.experiments.judging import FID_TO_OTHERS, ImageTask, distance_to_others, image_task
from benchmarks.images.experiments.lab import Lab, fixed_random
from generative_core import ContextEncoder
from generative_core.adversarial.networks import start_small
from generative_core.metrics import accuracy, in_batches
from generative_core.nets.unet import UNet
from generative_core.translation.context_encoder import masked_mean_square

N_SHOWN = 14
N_TEST_HOLES = 10_000
Damage = Callable[[Tensor, torch.Generator], Damaged]
"""(images, random generator) -> the images damaged, and where."""

MEASURES = {
    "PSNR": Measure("peak signal-to-noise ratio over all damaged pixels, dB", "higher"),
    "accuracy": Measure("share that the judge gives the true image's class", "higher"),
    "FID": FID_TO_OTHERS,
}


def holes(x: Tensor, generator: torch.Generator) -> Damaged:
    """A square of 12 x 12 pixels, 18 % of the image, is grey."""
    return punch(x, square_holes(len(x), generator=generator, side=x.shape[2]).to(x.device))


def hidden_squares(x: Tensor) -> Tensor:
    """Masks of the first test images (n, C, H, W), as `holes` has them: the same ones wherever holes are filled."""
    return square_holes(N_TEST_HOLES, generator=fixed_random(6), side=x.shape[2])[: len(x)].to(x.device)


def text(x: Tensor, generator: torch.Generator) -> Damaged:
    return watermark(x, generator=generator)


def inpainting(lab: Lab, size: Size) -> Sequence[Row]:
    task = image_task(lab)
    models = {}
    heavier = "a critic fifty times heavier"
    for name, adversarial in (("context encoder", 0.001), (heavier, 0.05), ("squared error alone", 0.0)):
        torch.manual_seed(lab.seed)
        model = ContextEncoder(task.data.event_shape, channels=size.channels[::-1], adversarial=adversarial)
        models[name] = train(lab, task, name, model, holes)
    x = task.test[: task.n]
    damaged = punch(x, hidden_squares(x))
    source = torch.cat(damaged, dim=1)
    made: dict[str, tuple[Role, Tensor]] = {
        "context encoder": ("ours", in_batches(models["context encoder"].translate, source)),
        heavier: ("ours", in_batches(models[heavier].translate, source)),
        "squared error alone": ("ablation", in_batches(models["squared error alone"].translate, source)),
        "the mean training image": ("baseline", torch.where(damaged.mask > 0, task.train.mean(0), x)),
        "nearest pixel": ("baseline", fill_nearest(damaged)),
        "biharmonic": ("baseline", fill_biharmonic(damaged).clamp(-1, 1)),
        "left grey": ("baseline", damaged.images),
    }
    return judge_all(lab, task, damaged, made)


def watermark_removal(lab: Lab, size: Size) -> Sequence[Row]:
    task = image_task(lab)
    settings = {
        "place known": (text, 0.001),
        "place unknown": (place_unknown, 0.001),
        "place known, squared error alone": (text, 0.0),
    }
    models = {}
    for name, (damage, adversarial) in settings.items():
        torch.manual_seed(lab.seed)
        channels = size.channels[::-1]
        net = UNet(task.data.event_shape[0] + 1, task.data.event_shape[0], channels=channels).apply(start_small)
        model = ContextEncoder(task.data.event_shape, channels=channels, net=net, adversarial=adversarial)
        models[name] = train(lab, task, name, model, damage)
    x = task.test[: task.n]
    damaged = Damaged(*(part.to(lab.device) for part in text(x.cpu(), fixed_random(5))))
    source = torch.cat(damaged, dim=1)
    blind = torch.cat([damaged.images, torch.ones_like(damaged.mask)], dim=1)
    alone = "place known, squared error alone"
    made: dict[str, tuple[Role, Tensor]] = {
        "place known": ("ours", in_batches(models["place known"].translate, source)),
        "place unknown": ("ours", in_batches(models["place unknown"].translate, blind)),
        alone: ("ablation", in_batches(models[alone].translate, source)),
        "biharmonic, place known": ("baseline", fill_biharmonic(damaged).clamp(-1, 1)),
        "left as it is": ("baseline", damaged.images),
    }
    return judge_all(lab, task, damaged, made)


def place_unknown(x: Tensor, generator: torch.Generator) -> Damaged:
    """The watermark, with a mask that says: anywhere."""
    damaged = text(x, generator)
    return Damaged(damaged.images, torch.ones_like(damaged.mask))


def train(lab: Lab, task: ImageTask, name: str, model: ContextEncoder, damage: Damage) -> ContextEncoder:
    step = lab.game(model, lr=1e-3, lr_critic=2e-4)
    trained = lab.train(name, step, damaged_batches(lab, task.train, damage))
    assert isinstance(trained, ContextEncoder)
    return trained


def damaged_batches(lab: Lab, x: Tensor, damage: Damage) -> Iterator[tuple[Tensor, Tensor]]:
    """(x, damaged with its mask), the damage drawn anew each time."""
    generator = lab.random(3)
    for (batch,) in lab.batches(x):
        yield batch, torch.cat(damage(batch, generator), dim=1)


def judge_all(lab: Lab, task: ImageTask, damaged: Damaged, made: dict[str, tuple[Role, Tensor]]) -> Sequence[Row]:
    """The rows and the picture."""
    truth, labels = task.test[: task.n], task.data.labels("test")[: task.n].to(lab.device)
    net = task.judge.net
    rows = []
    for name, (role, x) in made.items():
        error = masked_mean_square(x - truth, damaged.mask)
        values = {
            "PSNR": float(10 * (4 / error).log10()),  # of the mean error: some holes are filled without any
            "accuracy": accuracy(net, x, labels),
            "FID": distance_to_others(task, x),
        }
        rows.append(Row(name, role, values))
    ceiling = {"accuracy": accuracy(net, truth, labels), "FID": distance_to_others(task, truth)}
    shown = [truth[:N_SHOWN], damaged.images[:N_SHOWN], *(x[:N_SHOWN] for _, x in made.values())]
    lab.picture(shown, f"the truth; damaged; {'; '.join(made)}")
    return [*rows, Row("undamaged", "ceiling", ceiling)]


REPAIR: dict[str, Experiment] = {
    "inpainting": Experiment(
        about="context encoder: inpainting of holes",
        paper="https://arxiv.org/abs/1604.07379",
        question="does a critic make the filling of a hole look real, and what does that cost in squared error?",
        measures=MEASURES,
        run=inpainting,
        cpu=Size(steps=1_200),
        gpu=Size(steps=40_000, channels=(256, 128, 64), n_judged=5_000),
    ),
    "watermark-removal": Experiment(
        about="context encoder on a U-Net: removal of watermarks, their place known or not",
        paper="https://arxiv.org/abs/1604.07379",
        question="can a watermark be removed where nobody says which pixels it covers?",
        measures=MEASURES,
        run=watermark_removal,
        cpu=Size(steps=800),
        gpu=Size(steps=40_000, channels=(256, 128, 64), n_judged=5_000),
    ),
}
