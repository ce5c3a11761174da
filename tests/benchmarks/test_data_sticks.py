"""Stick figures: bones keep their lengths, feet the floor, and what is drawn is where it is said to be."""

import math

import torch
from torch.testing import assert_close

from benchmarks.data import sticks

BONES = {"shin": (0, 1), "thigh": (1, 2), "arm": (7, 8), "forearm": (6, 7), "head": (12, 13)}


def figures(n: int = 20) -> tuple[sticks.Body, torch.Tensor, torch.Tensor]:
    angles = sticks.draw_angles(n, generator=torch.Generator().manual_seed(0))
    body = sticks.usual_body(n)
    return body, angles, sticks.joints_of(body, angles)


def test_bones_keep_their_lengths_in_every_pose():
    body, _, joints = figures()
    for bone, (a, b) in BONES.items():
        assert_close((joints[:, a] - joints[:, b]).norm(dim=1), getattr(body, bone))
    middle = joints[:, 2:4].mean(1)
    assert_close((joints[:, 12] - middle).norm(dim=1), body.torso)
    assert_close(middle[:, 0], torch.full((20,), 0.5))


def test_the_lower_ankle_is_on_the_floor():
    _, _, joints = figures()
    assert_close(joints[:, sticks.ANKLES, 1].amax(1), torch.full((20,), sticks.FLOOR))


def test_a_figure_that_stands_is_known():
    joints = sticks.joints_of(sticks.usual_body(1), torch.zeros(1, 10))[0]
    expected = {"left ankle": (0.55, 0.94), "left hip": (0.55, 0.56), "neck": (0.5, 0.31), "head": (0.5, 0.17)}
    expected |= {"right shoulder": (0.42, 0.31), "right wrist": (0.42, 0.57)}
    for name, place in expected.items():
        assert_close(joints[sticks.JOINTS.index(name)], torch.tensor(place))


def test_an_arm_at_a_right_angle_points_outwards():
    angles = torch.zeros(1, 10)
    angles[0, 2] = angles[0, 4] = math.pi / 2
    joints = sticks.joints_of(sticks.usual_body(1), angles)[0]
    right, left = (joints[sticks.JOINTS.index(f"{side} wrist")] for side in ("right", "left"))
    assert_close(right, torch.tensor([0.5 - 0.34, 0.31]))
    assert_close(left, torch.tensor([0.5 + 0.34, 0.31]))


def test_a_scaled_body_is_the_same_figure_about_the_feet():
    body, angles, joints = figures()
    small = sticks.joints_of(sticks.scale_body(body, 0.5), angles)
    foot = torch.tensor([0.5, sticks.FLOOR])
    assert_close(small - foot, 0.5 * (joints - foot), atol=1e-5, rtol=0)


def test_limbs_are_drawn_in_their_colour_on_the_background():
    generator = torch.Generator().manual_seed(0)
    look = sticks.draw_appearances(5, generator=generator)
    joints = sticks.joints_of(sticks.usual_body(5), torch.zeros(5, 10))
    images = sticks.render(look, joints, side=64)
    assert_close(images[:, :, 0, 0], look.background)
    assert_close(images[:, :, int(64 * 0.45), 32], look.colours[:, 4])  # the middle of the torso
    assert_close(images[:, :, int(64 * 0.24), 32], look.colours[:, 9])  # the head
    assert_close(images[:, :, int(64 * 0.19), 33 - 3], torch.full((5, 3), -1.0))  # an eye
    assert images.abs().max() <= 1
    share = (images != look.background[:, :, None, None]).any(1).float().mean((1, 2))
    assert ((share > 0.08) & (share < 0.35)).all()


def test_the_left_limbs_are_darker():
    colours = (sticks.draw_appearances(9, generator=torch.Generator().manual_seed(0)).colours + 1) / 2
    assert_close(colours[:, 2], 0.6 * colours[:, 0])
    assert_close(colours[:, 8], 0.6 * colours[:, 6])


def test_pose_maps_peak_at_their_joints():
    _, _, joints = figures()
    maps = sticks.pose_maps(joints, side=32)
    assert maps.shape == (20, 14, 32, 32)
    top = maps.flatten(2).argmax(2)
    place = torch.stack([top % 32, top // 32], dim=2) + 0.5
    inside = ((joints > 0.02) & (joints < 0.98)).all(2)
    assert (place / 32 - joints)[inside].abs().max() <= 0.5 / 32 + 1e-6
    assert inside.float().mean() > 0.9


def test_the_mask_covers_the_figure_and_not_much_more():
    _, _, joints = figures()
    look = sticks.draw_appearances(20, generator=torch.Generator().manual_seed(1))
    is_figure = (sticks.render(look, joints) != look.background[:, :, None, None]).any(1, keepdim=True)
    mask = sticks.pose_mask(joints)
    assert mask[is_figure].min() == 1
    assert mask.mean() < 0.5


def test_a_dance_is_smooth_periodic_and_the_generators():
    angles, again = (sticks.dance(60, generator=torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(angles, again)
    assert_close(angles[:36], angles[24:60], atol=1e-4, rtol=0)
    assert angles.diff(dim=0).abs().max() < 1.3
    assert angles.std(0).min() > 0.05
