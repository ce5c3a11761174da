"""People in other poses: stick figures, of which any appearance can be drawn in any pose."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from benchmarks.data import sticks
from benchmarks.images.experiments.experiment import Experiment, Measure, Row, Size
from benchmarks.images.experiments.image_pairs import laplacian_energy
from benchmarks.images.experiments.lab import JUDGE_SEED, Lab
from benchmarks.images.experiments.regression import train_reader
from generative_core import PG2
from generative_core.metrics import in_batches
from generative_core.nets.conv import ConvEncoder

SIDE = 32
SHAPE = (3, SIDE, SIDE)

MEASURES = {
    "masked_PSNR": Measure("peak signal-to-noise ratio over the pixels of the figure and around it, dB", "higher"),
    "joint_error": Measure("distance of the joints that a network reads off from the asked ones, pixels", "lower"),
    "sharpness": Measure("Laplacian energy over the truth's; 1 is as sharp, above it is noise", "neither"),
}


class Figures(NamedTuple):
    """One appearance each, in two poses."""

    target: Tensor
    source: Tensor
    """The image in the first pose, and the maps of the second behind it."""
    mask: Tensor
    joints: Tensor
    """Of the second pose, over the side."""


def draw_figures(n: int, *, generator: torch.Generator) -> Figures:
    look = sticks.draw_appearances(n, generator=generator)
    body = sticks.usual_body(n)
    first, second = (sticks.joints_of(body, sticks.draw_angles(n, generator=generator)) for _ in range(2))
    source = torch.cat([sticks.render(look, first, side=SIDE), sticks.pose_maps(second, side=SIDE)], dim=1)
    return Figures(sticks.render(look, second, side=SIDE), source, sticks.pose_mask(second, side=SIDE), second)


def pg2(lab: Lab, size: Size) -> Sequence[Row]:
    torch.manual_seed(lab.seed)
    channels = tuple(size.channels)[::-1]
    model = PG2(
        SHAPE, pose_channels=len(sticks.JOINTS), channels=(*channels, channels[-1]), critic_channels=channels
    ).to(lab.device)
    lab.train("PG2", lab.game(model), _figure_batches(lab, size))
    figures = draw_figures(size.n_judged, generator=torch.Generator().manual_seed(JUDGE_SEED))
    target, source, mask, joints = (part.to(lab.device) for part in figures)
    reader = joint_reader(lab)
    with torch.no_grad():
        stages = [model.stages(part) for part in source.split(200)]
    coarse, refined = (torch.cat(parts).clamp(-1, 1) for parts in zip(*stages, strict=True))
    copied = source[:, :3]
    lab.picture(
        [x[:12] for x in (copied, coarse, refined, target)],
        "a figure; stage I in the pose of the last row; stage II; the truth",
    )

    def judged(x: Tensor) -> dict[str, float]:
        return {
            "masked_PSNR": masked_psnr(x, target, mask),
            "joint_error": joint_error(reader, x, joints),
            "sharpness": laplacian_energy(x) / laplacian_energy(target),
        }

    return [
        Row("PG2, both stages", "ours", judged(refined)),
        Row("stage I alone", "ablation", judged(coarse)),
        Row("the input copied", "baseline", judged(copied)),
        Row("the truth", "ceiling", {k: v for k, v in judged(target).items() if k != "masked_PSNR"}),
    ]


def _figure_batches(lab: Lab, size: Size) -> Iterator[tuple[Tensor, ...]]:
    random = torch.Generator().manual_seed(lab.seed)
    while True:
        target, source, mask, _ = draw_figures(size.batch_size, generator=random)
        yield target.to(lab.device), source.to(lab.device), mask.to(lab.device)


def joint_reader(lab: Lab) -> nn.Module:
    """A network (n, 3, 32, 32) -> (n, 28), x and y of each joint over the side, that knows rendered figures alone."""

    def batches() -> Iterator[tuple[Tensor, ...]]:
        random = torch.Generator().manual_seed(JUDGE_SEED + 1)
        while True:
            figures = draw_figures(64, generator=random)
            yield figures.joints.flatten(1).to(lab.device), figures.target.to(lab.device)

    torch.manual_seed(JUDGE_SEED)
    net = ConvEncoder(SHAPE, 2 * len(sticks.JOINTS), channels=(32, 64, 64), norm=nn.BatchNorm2d)
    return train_reader(lab, "reader of joints", net, batches(), n_steps=1_000, seed=JUDGE_SEED)


@torch.no_grad()
def joint_error(reader: nn.Module, images: Tensor, joints: Tensor) -> float:
    """Mean distance of the joints that are read off from `joints` (n, 14, 2), pixels."""
    read = in_batches(reader, images).unflatten(1, (-1, 2))
    return float((read - joints).norm(dim=2).mean()) * SIDE


def masked_psnr(x: Tensor, target: Tensor, mask: Tensor) -> float:
    """Peak signal-to-noise ratio over the pixels inside the masks, dB, of all images at once."""
    square = ((x - target).square() * mask).sum() / (mask.sum() * x.shape[1])
    return float(10 * (4 / square).log10())


POSES: dict[str, Experiment] = {
    "pg2": Experiment(
        about="PG2, a stick figure in another pose",
        paper="https://arxiv.org/abs/1705.09368",
        question="does a second stage in a game sharpen what regression makes of a figure in another pose?",
        measures=MEASURES,
        run=pg2,
        cpu=Size(steps=1_000, batch_size=32, n_judged=500),
        gpu=Size(steps=40_000, channels=(256, 128, 64), n_judged=2_000),
    ),
}
