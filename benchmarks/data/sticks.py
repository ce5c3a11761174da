"""Articulated stick figures: any appearance in any pose, so every transfer of one to the other has a known truth.

Positions are x and y over the side of the image, in [0, 1] from left and top.  A figure faces the viewer: its right is
on the left of the image.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

JOINTS = (
    *("right ankle", "right knee", "right hip", "left hip", "left knee", "left ankle"),
    *("right wrist", "right elbow", "right shoulder", "left shoulder", "left elbow", "left wrist"),
    *("neck", "head"),
)
HEAD = JOINTS.index("head")
ANKLES = (0, 5)
LIMBS = ((0, 1), (1, 2), (5, 4), (4, 3), (14, 12), (6, 7), (7, 8), (11, 10), (10, 9), (12, 13))
"""Pairs of joints from the back to the front; 14 is the middle of the hips."""
ANGLES = (
    *("lean", "head", "right arm", "right forearm", "left arm", "left forearm"),
    *("right thigh", "right shin", "left thigh", "left shin"),
)
"""Radians.  Lean and head to the right of the image; limbs from hanging down, outwards, a forearm's and a shin's
relative to what it hangs on."""
FLOOR = 0.94
_EYE_RADIUS = 0.018
_SHADE_OF_LEFT = 0.6  # how bright the left limbs are, beside the right ones


class Body(NamedTuple):
    """Proportions of n bodies, each (n,), over the side of the image."""

    torso: Tensor
    head: Tensor
    arm: Tensor
    forearm: Tensor
    thigh: Tensor
    shin: Tensor
    shoulders: Tensor
    """Half of the width."""
    hips: Tensor
    """Half of the width."""


class Appearance(NamedTuple):
    """What n figures look like."""

    colours: Tensor
    """(n, 10, 3) of `LIMBS`, in [-1, 1]."""
    widths: Tensor
    """(n, 10) half the width of each limb, over the side of the image."""
    background: Tensor
    """(n, 3) in [-1, 1]."""


def usual_body(n: int) -> Body:
    """The same body n times, 0.77 high."""
    lengths = (0.25, 0.14, 0.13, 0.13, 0.19, 0.19, 0.08, 0.05)
    return Body(*(torch.full((n,), length) for length in lengths))


def scale_body(body: Body, factor: Tensor | float) -> Body:
    """All lengths times a factor."""
    return Body(*(length * factor for length in body))


def draw_appearances(n: int, *, generator: torch.Generator) -> Appearance:
    """Colours of shirt, trousers, skin and shoes, the left limbs darker, and widths, on a dark background."""

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator)

    shirt, trousers, skin, shoes = (0.25 + 0.75 * uniform(4, n, 3)).unbind()
    parts = [shoes, trousers, shoes, trousers, shirt, skin, shirt, skin, shirt, skin]
    is_left = torch.tensor([limb in (2, 3, 7, 8) for limb in range(len(LIMBS))])
    shade = torch.where(is_left, _SHADE_OF_LEFT, 1.0)
    colours = 2 * shade[:, None] * torch.stack(parts, dim=1) - 1
    usual = torch.tensor([0.025, 0.032, 0.025, 0.032, 0.07, 0.022, 0.026, 0.022, 0.026, 0.05])
    return Appearance(colours, usual * (0.8 + 0.5 * uniform(n, 1)), 0.4 * uniform(n, 3) - 1)


def draw_angles(n: int, *, generator: torch.Generator) -> Tensor:
    """(n, 10) `ANGLES` of people who stand and wave."""
    low = torch.tensor([-0.2, -0.3, 0.1, -0.2, 0.1, -0.2, 0.0, -0.6, 0.0, -0.6])
    high = torch.tensor([0.2, 0.3, 2.6, 1.8, 2.6, 1.8, 0.7, 0.0, 0.7, 0.0])
    return low + (high - low) * torch.rand(n, len(ANGLES), generator=generator)


def dance(n_frames: int, *, period: int = 24, generator: torch.Generator) -> Tensor:
    """(n_frames, 10) `ANGLES` over time: each of them swings at one to three times the beat, from a drawn phase."""
    ends = torch.stack([draw_angles(16, generator=generator).quantile(q, dim=0) for q in (0.1, 0.9)])
    beats = torch.randint(1, 4, (len(ANGLES),), generator=generator)
    phase = 2 * math.pi * torch.rand(len(ANGLES), generator=generator)
    time = torch.arange(n_frames)[:, None] / period
    return ends[0] + (ends[1] - ends[0]) * (0.5 + 0.5 * (2 * math.pi * beats * time + phase).sin())


def joints_of(body: Body, angles: Tensor, x: Tensor | float = 0.5) -> Tensor:
    """(n, 14, 2) of `JOINTS`: the middle of the hips at x, the lower ankle on the floor."""
    lean, head, *limbs = angles.unbind(1)
    r_arm, r_forearm, l_arm, l_forearm, r_thigh, r_shin, l_thigh, l_shin = limbs

    def hanging(angle: Tensor, length: Tensor) -> Tensor:
        return length[:, None] * torch.stack([angle.sin(), angle.cos()], dim=1)

    hips = torch.stack([torch.as_tensor(x).expand(len(angles)), torch.zeros(len(angles))], dim=1)
    neck = hips - hanging(-lean, body.torso)
    across = torch.stack([lean.cos(), lean.sin()], dim=1)  # from the right of the figure to its left
    points: dict[str, Tensor] = {"neck": neck, "head": neck - hanging(-lean - head, body.head)}
    sides = (("right", -1, r_arm, r_forearm, r_thigh, r_shin), ("left", 1, l_arm, l_forearm, l_thigh, l_shin))
    for side, sign, arm, forearm, thigh, shin in sides:
        shoulder = neck + sign * body.shoulders[:, None] * across
        elbow = shoulder + hanging(sign * arm, body.arm)
        hip = hips + sign * body.hips[:, None] * across
        knee = hip + hanging(sign * thigh, body.thigh)
        points |= {
            f"{side} shoulder": shoulder,
            f"{side} elbow": elbow,
            f"{side} wrist": elbow + hanging(sign * (arm + forearm), body.forearm),
            f"{side} hip": hip,
            f"{side} knee": knee,
            f"{side} ankle": knee + hanging(sign * (thigh + shin), body.shin),
        }
    joints = torch.stack([points[name] for name in JOINTS], dim=1)
    lowest = joints[:, ANKLES, 1].amax(1)
    joints[:, :, 1] += (FLOOR - lowest)[:, None]
    return joints


def render(appearance: Appearance, joints: Tensor, *, side: int = 32) -> Tensor:
    """(n, 3, side, side) in [-1, 1]: each limb a line with round ends, its border as wide as a pixel; black eyes."""
    distance = _distances(joints, side)  # (n, 10, side, side)
    cover = ((appearance.widths[:, :, None, None] - distance) * side + 0.5).clamp(0, 1)
    images = appearance.background[:, :, None, None].expand(-1, -1, side, side)
    for limb in range(len(LIMBS)):
        images = torch.lerp(images, appearance.colours[:, limb, :, None, None], cover[:, limb, None])
    x, y = _pixel_centres(side)
    for eye in eyes_of(joints).unbind(1):
        distance = (x - eye[:, 0, None, None]).square() + (y - eye[:, 1, None, None]).square()
        cover = ((_EYE_RADIUS - distance.sqrt()) * side + 0.5).clamp(0, 1)
        images = torch.lerp(images, torch.full_like(images, -1), cover[:, None])
    return images


def eyes_of(joints: Tensor) -> Tensor:
    """(n, 2, 2): on either side of the head, a little below its joint."""
    neck, head = joints[:, JOINTS.index("neck")], joints[:, HEAD]
    up = head - neck
    across = torch.stack([-up[:, 1], up[:, 0]], dim=1)
    middle = head - 0.15 * up
    return torch.stack([middle - 0.2 * across, middle + 0.2 * across], dim=1)


def pose_maps(joints: Tensor, *, side: int = 32, std: float = 0.04) -> Tensor:
    """(n, 14, side, side) in [0, 1]: a Gaussian hill on each joint, 1 at its top; `std` over the side of the image."""
    x, y = _pixel_centres(side)
    square = (x - joints[:, :, 0, None, None]).square() + (y - joints[:, :, 1, None, None]).square()
    return (-square / (2 * std**2)).exp()


def pose_mask(joints: Tensor, *, side: int = 32, reach: float = 0.1) -> Tensor:
    """(n, 1, side, side), 1 within `reach` of a limb's middle line, else 0: the figure without knowing its widths."""
    return (_distances(joints, side).amin(1, keepdim=True) < reach).to(joints.dtype)


def _distances(joints: Tensor, side: int) -> Tensor:
    """(n, 10, side, side): of each pixel's middle from each limb's line."""
    points = torch.cat([joints, joints[:, 2:4].mean(1, keepdim=True)], dim=1)  # the middle of the hips behind them
    start, end = (points[:, [limb[k] for limb in LIMBS], :, None, None] for k in range(2))
    x, y = _pixel_centres(side)
    along_x, along_y = (end - start).unbind(2)  # (n, 10, 1, 1)
    off_x, off_y = x - start[:, :, 0], y - start[:, :, 1]
    share = (off_x * along_x + off_y * along_y) / (along_x.square() + along_y.square()).clamp_min(1e-12)
    share = share.clamp(0, 1)
    return ((off_x - share * along_x).square() + (off_y - share * along_y).square()).sqrt()


def _pixel_centres(side: int) -> tuple[Tensor, Tensor]:
    """x (1, side) and y (side, 1)."""
    centres = (torch.arange(side) + 0.5) / side
    return centres[None, :], centres[:, None]
