"""Voxels: what is said of a shape is so."""

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import label
from torch.nn.functional import pad
from torch.testing import assert_close

from benchmarks.data.voxels import KINDS, SIDE, all_outlines, draw_voxels, is_held_out, photograph, project


def some(kind: str | None = None, n: int = 64, seed: int = 0):
    kinds = torch.arange(n) % len(KINDS) if kind is None else torch.full((n,), KINDS.index(kind))
    return draw_voxels(kinds, generator=torch.Generator().manual_seed(seed))


def test_shapes_are_zero_and_one_and_the_seeds_alone():
    first, again, other = some(), some(), some(seed=1)
    assert first.volumes.shape == (64, 1, SIDE, SIDE, SIDE)
    assert set(first.volumes.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(first.volumes, again.volumes)
    assert not torch.equal(first.volumes, other.volumes)


@pytest.mark.parametrize("kind", KINDS)
def test_every_shape_is_one_piece_stands_and_is_its_own_mirror_image(kind):
    volumes = some(kind).volumes[:, 0]
    assert {label(volume.numpy())[1] for volume in volumes} == {1}
    assert torch.equal(volumes, volumes.flip(3))
    assert not torch.equal(volumes, volumes.flip(1))
    if kind != "ellipsoid":  # which may touch the floor between the middles of two voxels
        assert volumes[:, 0].any(dim=(1, 2)).all()


def test_the_volume_of_a_box_is_the_product_of_its_sides():
    volumes, _, sizes = some("box")
    assert_close(volumes.sum((1, 2, 3, 4)), (2 * sizes.half_width * 2 * sizes.half_depth * sizes.height).float())


@pytest.mark.parametrize(("kind", "share"), [("cylinder", math.pi / 4), ("ellipsoid", math.pi / 6), ("pyramid", 1 / 3)])
def test_solids_fill_their_share_of_the_box_around_them(kind, share):
    volumes, _, sizes = some(kind, 400)
    around = 2 * sizes.half_width * 2 * sizes.half_depth * sizes.height
    assert_close((volumes.sum((1, 2, 3, 4)) / around).mean().item(), share, rtol=0.03, atol=0)


def test_the_volume_of_a_chair_is_that_of_its_boards_and_legs():
    volumes, _, sizes = some("chair")
    width, depth, thick = 2 * sizes.half_width, 2 * sizes.half_depth, sizes.thickness
    rest = (sizes.height - sizes.seat - thick) * width * thick  # above the seat
    expected = 4 * thick**2 * sizes.seat + width * depth * thick + rest
    assert_close(volumes.sum((1, 2, 3, 4)), expected.float())


def test_a_chair_that_faces_back_has_its_rest_at_the_front():
    volumes, _, sizes = some("chair")
    top = volumes[:, 0][torch.arange(64), sizes.height - 1].any(2)  # (n, depth)
    first = top.float().argmax(1)
    front = SIDE // 2 + sizes.shift - sizes.half_depth
    assert torch.equal(first == front, sizes.faces_back.bool())


def test_no_held_out_shape_is_one_of_the_others():
    def shapes(held_out: bool) -> set[bytes]:
        kinds = torch.arange(4_000) % len(KINDS)
        drawn = draw_voxels(kinds, held_out=held_out, generator=torch.Generator().manual_seed(0))
        assert (is_held_out(torch.stack(drawn.sizes[:4], dim=1)) == held_out).all()
        return {volume.numpy().tobytes() for volume in drawn.volumes.bool()}

    assert not shapes(True) & shapes(False)


def test_a_quarter_is_held_out_and_every_number_trains():
    outlines = all_outlines()
    held_out = is_held_out(outlines)
    assert 0.2 < held_out.float().mean() < 0.3
    for part in (outlines[held_out], outlines[~held_out]):
        assert [len(column.unique()) for column in part.T] == [4, 3, 6, 3]


def test_the_view_shows_the_nearer_lighter_and_all_of_it():
    volumes = torch.zeros(3, 1, SIDE, SIDE, SIDE)
    volumes[0, 0, 0, 0, 0] = 1  # the lower left front corner
    volumes[1, 0, 0, SIDE - 1, 0] = 1  # behind it
    images = project(volumes)
    assert images.shape == (3, 1, 3 * SIDE, 3 * SIDE)
    assert (images[2] == -1).all()
    assert images[0].max() > images[1].max() > -1
    rows, columns = np.nonzero(images[0, 0].numpy() > -1)
    assert (rows.max(), columns.min()) == (3 * SIDE - 1, 0)
    assert (images[0] > -1).sum() == (images[1] > -1).sum() == 9  # 2 x 2 in front, and the edges of two faces


def test_a_photograph_is_the_view_moved_by_up_to_three_pixels_in_one_light_before_dark_clouds():
    volumes = some(n=16).volumes
    views, photos = project(volumes), photograph(volumes, generator=torch.Generator().manual_seed(2))
    assert photos.shape == views.shape
    assert -1 <= photos.min() < photos.max() <= 1
    for view, image in zip(pad(views, [3] * 4, value=-1.0)[:, 0], photos[:, 0], strict=True):
        fits = 0
        for window in view.unfold(0, 48, 1).unfold(1, 48, 1).flatten(0, 1):
            is_shape = window > -1
            light = ((image + 1) / (window + 1))[is_shape]
            is_one_light = 0.5 <= light.mean() <= 1 and light.max() - light.min() < 1e-4
            fits += is_one_light and bool((image[~is_shape] <= 0).all())
        assert fits == 1
