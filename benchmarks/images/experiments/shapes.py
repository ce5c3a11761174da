"""Shapes from pictures: one view of a solid, in any light and before any background, and the whole of it."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.data.voxels import photograph, project
from benchmarks.images.experiments.experiment import Experiment, Measure, Role, Row, Size
from benchmarks.images.experiments.lab import JUDGE_SEED, Lab
from benchmarks.images.experiments.volumes import EVENT_SHAPE, asymmetry, draw_shapes, largest_piece
from generative_core import VAEGAN3D
from generative_core.metrics import density_coverage, in_batches

N_SHOWN = 12
LATENT = 64


class Seen(NamedTuple):
    """n shapes and a picture of each, on the lab's device."""

    shapes: Tensor
    """(n, 1, 16, 16, 16) of 0 and 1."""
    images: Tensor
    """(n, 1, 48, 48) in [-1, 1]."""


def draw_seen(lab: Lab, n: int, *, seed: int, held_out: bool) -> Seen:
    shapes, _ = draw_shapes(lab, n, seed=seed, held_out=held_out)
    return Seen(shapes, photograph(shapes, generator=torch.Generator().manual_seed(seed + 1)))


def vae_gan_3d(lab: Lab, size: Size) -> Sequence[Row]:
    train = draw_seen(lab, 200 if lab.smoke else 10_000, seed=lab.seed, held_out=False)
    n = size.n_judged
    test = draw_seen(lab, n, seed=JUDGE_SEED, held_out=True)
    others, _ = draw_shapes(lab, n, seed=JUDGE_SEED + 1, held_out=True)
    lab.record("photographed shapes", n_train=len(train.shapes), n_test=n)
    made: dict[str, tuple[Role, Tensor]] = {}
    drawn: dict[str, Tensor] = {}
    contenders: list[tuple[str, Role, dict[str, float]]] = [
        ("3D-VAE-GAN", "ours", {}),
        ("without the critic", "ablation", {"adversarial": 0.0}),
        ("without the prior", "ablation", {"prior": 0.0}),
    ]
    for name, role, weights in contenders:
        torch.manual_seed(lab.seed)
        model = VAEGAN3D(
            EVENT_SHAPE,
            source_shape=test.images.shape[1:],
            latent=LATENT,
            channels=size.channels,
            image_channels=(*size.channels[::-1], size.channels[0]),
            **weights,
        ).to(lab.device)
        trained = lab.train(name, lab.game(model), lab.batches(*train))
        assert isinstance(trained, VAEGAN3D)
        made[name] = role, in_batches(trained.translate, test.images)
        with torch.no_grad():
            drawn[name] = trained.sample(n, generator=lab.random(7))
    made["the shape of the nearest training image"] = "baseline", train.shapes[nearest(test.images, train.images)]
    made["the mean training shape"] = "baseline", train.shapes.mean(0).expand_as(test.shapes)
    lab.picture(
        [
            test.images[:N_SHOWN],
            *(project(x[:N_SHOWN]) for x in (test.shapes, *(shapes for _, shapes in made.values()))),
            project(drawn["3D-VAE-GAN"][:N_SHOWN]),
        ],
        f"images; their shapes; {'; '.join(made)}; drawn by 3D-VAE-GAN without an image",
    )
    rows = []
    for name, (role, shapes) in made.items():
        values = {"IoU": float(overlap(shapes, test.shapes).mean())} | sound(shapes)
        rows.append(Row(name, role, values | (known_law(drawn[name], test.shapes) if name in drawn else {})))
    return [*rows, Row("real shapes", "ceiling", sound(others) | known_law(others, test.shapes))]


def nearest(x: Tensor, known: Tensor) -> Tensor:
    """For each of x (n, ...) the row of `known` that is nearest in its pixels, each image of mean 0 and variance 1, so
    that the light does not count."""
    x, known = (F.layer_norm(part.flatten(1), [part[0].numel()]) for part in (x, known))
    return torch.cat([torch.cdist(rows, known).argmin(1) for rows in x.split(256)])


def overlap(volumes: Tensor, truth: Tensor) -> Tensor:
    """Intersection over union of volumes (n, 1, D, H, W), occupied above 1/2, (n,)."""
    a, b = volumes > 0.5, truth > 0.5
    both, either = (part.flatten(1).sum(1) for part in (a & b, a | b))
    return both / either.clamp(min=1)


def sound(volumes: Tensor) -> dict[str, float]:
    """Whether they hang together and are their own mirror images, as all real shapes are."""
    solid = volumes > 0.5
    pieces = [largest_piece(volume) for volume in solid[:, 0].cpu().numpy()]
    return {"largest piece": float(np.mean(pieces)), "asymmetry": float(asymmetry(solid).mean())}


def known_law(drawn: Tensor, real: Tensor) -> dict[str, float]:
    """Whether as many draws of noise are where real shapes are."""
    near = density_coverage(real.flatten(1), (drawn > 0.5).float().flatten(1))
    return {"coverage": near.coverage, "density": near.density}


SHAPES: dict[str, Experiment] = {
    "vae-gan-3d": Experiment(
        about="3D-VAE-GAN, a picture -> the shape",
        paper="https://arxiv.org/abs/1610.07584",
        question="does one generator both draw shapes from noise and make the shape that an image shows?",
        measures={
            "IoU": Measure("intersection over union with the shape of the image, of sizes not trained on", "higher"),
            "largest piece": Measure("share of its occupied voxels in the largest connected piece", "higher"),
            "asymmetry": Measure("1 - intersection over union with its own mirror image", "lower"),
            "coverage": Measure("share of the test shapes with a draw of noise in their neighbourhood", "higher"),
            "density": Measure("draws of noise in the neighbourhoods of test shapes, 1 for equal laws", "higher"),
        },
        run=vae_gan_3d,
        cpu=Size(steps=700, batch_size=32, channels=(64, 32), n_judged=500),
        gpu=Size(steps=20_000, batch_size=100, channels=(256, 128), n_judged=5_000),
    ),
}
