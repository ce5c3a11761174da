"""Pairs of images: what each way of losing something does to images of which the answer is known."""

import math

import torch
from torch.testing import assert_close

from benchmarks.data import pairs


def step_image() -> torch.Tensor:
    """Black on the left, white from column 4 on."""
    image = torch.full((1, 1, 8, 8), -1.0)
    image[..., 4:] = 1
    return image


def test_edges_of_a_step_are_the_two_columns_beside_it():
    expected = torch.full((1, 1, 8, 8), -1.0)
    expected[..., 3:5] = 1
    assert torch.equal(pairs.edges(step_image()), expected)
    assert torch.equal(pairs.edges(step_image().mT), expected.mT)
    assert torch.equal(pairs.edges(step_image(), threshold=1.01), torch.full((1, 1, 8, 8), -1.0))  # its gradient is 1


def test_a_flat_image_has_no_edges_and_a_sign_does_not_matter():
    x = torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    assert (pairs.edges(torch.full((2, 1, 8, 8), 0.3)) == -1).all()
    assert torch.equal(pairs.edges(x, threshold=0.1), pairs.edges(-x, threshold=0.1))


def test_shrinking_takes_means_and_undoes_enlarging():
    x = torch.rand(2, 1, 28, 28, generator=torch.Generator().manual_seed(0)) * 2 - 1
    small = pairs.shrink(x)
    assert small.shape == (2, 1, 7, 7)
    assert_close(small.mean(), x.mean())
    assert_close(pairs.shrink(pairs.enlarge(small)), small)


def test_a_hole_is_a_square_at_another_place_for_each_image_and_the_rest_is_kept():
    x = torch.rand(64, 1, 20, 16, generator=torch.Generator().manual_seed(0))
    images, mask = pairs.cut_hole(x, side=5, generator=torch.Generator().manual_seed(1), fill=-0.5)
    assert (mask.sum((1, 2, 3)) == 25).all()
    assert torch.equal(images[mask == 0], x[mask == 0])
    assert (images[mask == 1] == -0.5).all()
    rows, columns = mask.amax(3).flatten(1), mask.amax(2).flatten(1)
    assert (rows.sum(1) == 5).all()
    assert (columns.sum(1) == 5).all()
    assert mask.flatten(1).unique(dim=0).shape[0] > 40
    assert mask[..., 0].any()
    assert mask[..., -1].any()


def test_a_watermark_whitens_what_it_covers_and_keeps_the_rest():
    x = torch.full((4, 1, 28, 28), -1.0)
    images, mask = pairs.watermark(x, opacity=0.5, generator=torch.Generator().manual_seed(0))
    assert_close(images, x + 2 * mask)
    assert_close(mask.amax((1, 2, 3)), torch.full((4,), 0.5))
    assert 0.05 < (mask > 0.25).float().mean() < 0.35


def test_colours_keep_black_turn_white_into_the_colour_and_differ():
    colours = pairs.class_colours(torch.arange(10))
    assert torch.equal(colours.amax(1), torch.ones(10))
    assert torch.cdist(colours, colours).add(torch.eye(10)).min() > 0.2
    grey = torch.tensor([-1.0, 1.0]).view(2, 1, 1, 1)
    x = pairs.colourise(grey, colours[:2])
    assert_close(x[0].flatten(), -torch.ones(3))
    assert_close(x[1].flatten(), 2 * colours[1] - 1)


def test_a_quarter_turn_is_exact_and_opposite_turns_cancel():
    x = torch.rand(2, 1, 9, 9, generator=torch.Generator().manual_seed(0))
    quarter = torch.full((2,), math.pi / 2)
    assert_close(pairs.rotate(x, quarter), torch.rot90(x, 1, (2, 3)), atol=1e-5, rtol=0)
    assert_close(pairs.rotate(pairs.rotate(x, quarter), -quarter), x, atol=1e-5, rtol=0)
    corner = pairs.rotate(x, torch.full((2,), math.pi / 4))[:, :, 0, 0]
    assert_close(corner, torch.full((2, 1), -1.0))
