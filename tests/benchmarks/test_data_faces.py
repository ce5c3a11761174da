"""Drawn faces: symmetric from the front, turned exactly, and landmarks where they are drawn."""

import math

import torch
from torch.testing import assert_close

from benchmarks.data import faces


def people(n: int = 12) -> torch.Tensor:
    return faces.draw_identities(n, generator=torch.Generator().manual_seed(0))


def test_a_face_from_the_front_is_its_own_mirror_image():
    images = faces.render(people(), torch.zeros(12))
    assert images.shape == (12, 3, 32, 32)
    assert images.abs().max() <= 1
    assert_close(images, images.flip(3), atol=1e-5, rtol=0)


def test_turning_to_the_other_side_is_the_mirror_image():
    yaw = torch.linspace(0.2, 1.3, 12)
    left, right = (faces.render(people(), sign * yaw) for sign in (-1, 1))
    assert_close(left, right.flip(3), atol=1e-4, rtol=0)


def test_from_behind_there_is_only_hair():
    images = faces.render(people(1), torch.full((1,), math.pi))
    middle = images[0, :, 8:24, 14:18].flatten(1)
    assert_close(middle, middle[:, :1].expand_as(middle))


def test_a_face_turned_by_thirty_degrees_shows_its_nose_at_half_the_width_of_the_head():
    place = faces.landmarks(people(), torch.full((12,), math.pi / 6))[:, 2]
    half = faces._half_width(people(), place[:, 1, None, None])[:, 0, 0]
    assert_close(place[:, 0], 0.5 * half)


def test_landmarks_from_the_front_are_symmetric_and_turn_to_the_border():
    front, side = (faces.landmarks(people(), torch.full((12,), yaw)) for yaw in (0.0, math.pi / 2))
    assert_close(front[:, 0], front[:, 1] * torch.tensor([-1.0, 1.0]))
    assert_close(front[:, 2:, 0], torch.zeros(12, 2))
    assert (front[:, 0, 1] < front[:, 2, 1]).all()
    assert (front[:, 2, 1] < front[:, 3, 1]).all()
    assert_close(side[:, 1, 0], side[:, 1, 0].maximum(side[:, 2, 0] - 1))  # it has turned away, and not further
    half = faces._half_width(people(), side[:, 1, 1, None, None])[:, 0, 0]
    assert_close(side[:, 1, 0], half)


def test_eyes_and_mouth_are_drawn_at_their_landmarks():
    identity, yaw = people(), torch.full((12,), 0.4)
    place = ((faces.landmarks(identity, yaw) + 1) * 32).long()  # of 64 pixels
    images = faces.render(identity, yaw, side=64)
    rows = torch.arange(12)
    mouth = images[rows, :, place[:, 3, 1], place[:, 3, 0]]
    assert_close(mouth, (2 * faces._LIPS - 1).expand(12, 3), atol=1e-4, rtol=0)
    iris = images[rows, :, place[:, 1, 1], place[:, 1, 0]]
    assert_close(iris, 2 * faces._between(faces._EYES, identity[:, 4]) - 1, atol=1e-4, rtol=0)


def test_every_trait_can_be_seen():
    base = torch.full((1, 14), 0.5)
    seen = faces.render(base, torch.zeros(1))
    for trait in range(len(faces.TRAITS)):
        other = base.clone()
        other[0, trait] = 1.0
        assert (faces.render(other, torch.zeros(1)) - seen).abs().max() > 0.1, faces.TRAITS[trait]


def test_landmark_maps_mark_one_pixel_each():
    places = torch.tensor([[[-1.0, -1.0], [0.0, 0.0], [0.99, 0.99], [1.0, -0.5]]])
    maps = faces.landmark_maps(places, side=8)
    assert maps.sum((2, 3)).tolist() == [[1.0] * 4]
    assert [maps[0, k].nonzero()[0].tolist() for k in range(4)] == [[0, 0], [4, 4], [7, 7], [2, 7]]


def test_light_leaves_black_black_and_is_the_generators():
    images = faces.render(people(), torch.zeros(12))
    lit, again = (faces.light(images, noise=0, generator=torch.Generator().manual_seed(0)) for _ in range(2))
    assert torch.equal(lit, again)
    assert (lit[images == -1] == -1).all()
    assert (lit - images).flatten(1).abs().amax(1).min() > 0
