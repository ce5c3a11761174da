"""The motion of one person on another: stick figures, of which the true video of the transfer can be drawn."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from benchmarks.data import sticks
from benchmarks.images.experiments.experiment import Experiment, Measure, Row, Size
from benchmarks.images.experiments.lab import JUDGE_SEED, Lab
from benchmarks.images.experiments.poses import masked_psnr
from generative_core import EverybodyDanceNow, normalise_poses
from generative_core.nets.crop import crop, peaks
from generative_core.nets.unet import UNet

SIDE = 32
SHAPE = (3, SIDE, SIDE)
N_POSES = len(sticks.JOINTS)
N_TRAIN_FRAMES = 400
POSE_NOISE = 0.018  # std of a joint's estimated place, over the side: half a pixel
HEAD_SIDE = 12
SHORT = 0.75  # the second person's height over the first's

MEASURES = {
    "PSNR": Measure("peak signal-to-noise ratio to the true video, over the figure and around it, dB", "higher"),
    "flicker": Measure("mean error of the difference of two frames in a row, grey values in [-1, 1]", "lower"),
    "drift": Measure("PSNR of the last quarter of the video less that of the first quarter, dB", "higher"),
    "head_L1": Measure("mean absolute error in a square about the head, grey values in [-1, 1]", "lower"),
}


class Dance(NamedTuple):
    """Videos of one appearance on a short body, and the poses of a tall one."""

    look: sticks.Appearance
    frames: Tensor
    """(N, 3, H, W), to learn from."""
    joints: Tensor
    """(N, 14, 2) of these frames."""
    truth: Tensor
    """(T, 3, H, W): the short body in the motion of the tall one."""
    true_joints: Tensor
    tall_joints: Tensor
    """(T, 14, 2)."""


def draw_dance(n_frames: int, n_test: int, *, generator: torch.Generator, train_generator: torch.Generator) -> Dance:
    """The appearance and the motion to be shown come from `generator`, the motions to learn from the other one."""
    look = sticks.draw_appearances(1, generator=generator)
    motion = sticks.dance(n_test, generator=generator)
    n_train_dances = 4
    angles = [sticks.dance(n_frames // n_train_dances, generator=train_generator) for _ in range(n_train_dances)]

    def joints(angles: Tensor, height: float) -> Tensor:
        return sticks.joints_of(sticks.scale_body(sticks.usual_body(len(angles)), height), angles)

    learned, true = joints(torch.cat(angles), SHORT), joints(motion, SHORT)
    return Dance(look, video(look, learned), learned, video(look, true), true, joints(motion, 1.0))


def video(look: sticks.Appearance, joints: Tensor) -> Tensor:
    """(T, 3, H, W): one appearance in each of these poses."""
    return sticks.render(
        sticks.Appearance(*(part.expand(len(joints), *part.shape[1:]) for part in look)), joints, side=SIDE
    )


def everybody_dance_now(lab: Lab, size: Size) -> Sequence[Row]:
    random, train_random = (torch.Generator().manual_seed(seed) for seed in (JUDGE_SEED, lab.seed))
    dance = draw_dance(N_TRAIN_FRAMES, min(size.n_judged, 240), generator=random, train_generator=train_random)
    fitted = normalise_poses(dance.tall_joints, dance.joints, ankles=sticks.ANKLES, head=sticks.HEAD)
    # one draw of the detector's errors: all contenders see the same poses
    fitted, tall = estimated(fitted, random), estimated(dance.tall_joints, random)
    maps, raw_maps, true_maps = (
        sticks.pose_maps(joints, side=SIDE).to(lab.device) for joints in (fitted, tall, dance.true_joints)
    )
    model = _train(lab, size, dance, "Everybody Dance Now", sees_before=True)
    blind = _train(lab, size, dance, "frame by frame", sees_before=False)
    with torch.no_grad():
        videos = {
            "ours": model.animate(maps),
            "unrefined": model.animate(maps, refine_heads=False),
            "raw": model.animate(raw_maps),
            "exact": model.animate(true_maps),
            "blind": blind.animate(maps),
        }
    known = estimated(dance.joints, train_random)
    nearest = torch.cdist(fitted.flatten(1), known.flatten(1)).argmin(1)
    truth = dance.truth.to(lab.device)
    still = dance.frames.mean(0).expand_as(dance.truth)
    lab.picture(
        [x[:12] for x in (truth, videos["ours"], videos["blind"], videos["raw"], dance.frames[nearest])],
        "the true video; Everybody Dance Now; frame by frame; without normalisation of the poses; nearest frames",
    )
    judged = _judge(truth, dance, lab)
    return [
        Row("Everybody Dance Now", "ours", judged(videos["ours"])),
        Row("frame by frame, the one before out of sight", "ablation", judged(videos["blind"])),
        Row("without the network of the head", "ablation", judged(videos["unrefined"])),
        Row("without normalisation of the poses", "ablation", judged(videos["raw"])),
        Row("without errors of the poses", "ablation", judged(videos["exact"])),
        Row("frame of the nearest pose", "baseline", judged(dance.frames[nearest].to(lab.device))),
        Row("the mean frame, standing still", "baseline", judged(still.to(lab.device))),
        Row("the figure itself, drawn in the same poses", "ceiling", judged(video(dance.look, fitted).to(lab.device))),
    ]


def estimated(joints: Tensor, random: torch.Generator) -> Tensor:
    """Joints as a detector would find them: each a little off, in every frame anew."""
    return joints + POSE_NOISE * torch.randn(joints.shape, generator=random)


def _train(lab: Lab, size: Size, dance: Dance, name: str, *, sees_before: bool) -> EverybodyDanceNow:
    torch.manual_seed(lab.seed)
    channels = tuple(size.channels)[::-1]
    net: nn.Module = UNet(N_POSES + 3, 3, channels=(*channels, channels[-1]), norm=nn.InstanceNorm2d)
    model = EverybodyDanceNow(
        SHAPE,
        pose_channels=N_POSES,
        head_map=sticks.HEAD,
        head_side=HEAD_SIDE,
        channels=channels[:2],
        critic_channels=channels,
        generator=nn.Sequential(*([] if sees_before else [_PosesAlone()]), net, nn.Tanh()),
    ).to(lab.device)
    lab.train(name, lab.game(model), _pairs(lab, size, dance))
    return model


class _PosesAlone(nn.Module):
    """(B, K + 3, H, W) with zeros in the place of the frame before."""

    def forward(self, source: Tensor) -> Tensor:
        return torch.cat([source[:, :-3], torch.zeros_like(source[:, -3:])], dim=1)


def flicker(video: Tensor, truth: Tensor) -> float:
    """Mean absolute error of the differences of frames in a row: zero also for a constant error of every frame."""
    return float((video.diff(dim=0) - truth.diff(dim=0)).abs().mean())


def _judge(truth: Tensor, dance: Dance, lab: Lab) -> Callable[[Tensor], dict[str, float]]:
    mask = sticks.pose_mask(dance.true_joints, side=SIDE).to(lab.device)
    centre = peaks(sticks.pose_maps(dance.true_joints, side=SIDE))[:, sticks.HEAD].to(lab.device)

    def judge(video: Tensor) -> dict[str, float]:
        quarter = max(len(video) // 4, 1)
        first, last = (
            masked_psnr(video[part], truth[part], mask[part]) for part in (slice(quarter), slice(-quarter, None))
        )
        heads, true_heads = (crop(x, centre, HEAD_SIDE) for x in (video, truth))
        return {
            "PSNR": masked_psnr(video, truth, mask),
            "flicker": flicker(video, truth),
            "drift": last - first,
            "head_L1": float((heads - true_heads).abs().mean()),
        }

    return judge


def _pairs(lab: Lab, size: Size, dance: Dance) -> Iterator[tuple[Tensor, ...]]:
    """Two frames in a row; the dances that the frames are of join three times in all, which is let be."""
    random = torch.Generator().manual_seed(lab.seed)
    n = size.batch_size // 2  # as many frames as a batch of single ones
    while True:
        rows = torch.randint(len(dance.frames) - 1, (n, 1), generator=random) + torch.arange(2)  # (n, 2)
        maps = sticks.pose_maps(estimated(dance.joints[rows].flatten(0, 1), random), side=SIDE).unflatten(0, (n, 2))
        yield dance.frames[rows].to(lab.device), maps.to(lab.device)


DANCE: dict[str, Experiment] = {
    "everybody-dance-now": Experiment(
        about="Everybody Dance Now, the motion of a tall figure on a short one",
        paper="https://arxiv.org/abs/1808.07371",
        question="do the frame before, a network for the head and normalised poses each bring the true video nearer?",
        measures=MEASURES,
        run=everybody_dance_now,
        cpu=Size(steps=1_100, batch_size=16, n_judged=240),
        gpu=Size(steps=20_000, channels=(256, 128, 64), n_judged=240),
    ),
}
