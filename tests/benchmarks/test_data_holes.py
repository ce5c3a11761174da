"""Holes and watermarks: where they are is known, and so is what fills them."""

import pytest
import torch
from torch.testing import assert_close

from benchmarks.data.holes import Damaged, fill_biharmonic, fill_nearest, punch, square_holes, watermark


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def ramp(n: int, side: int = 28) -> torch.Tensor:
    """Images that are plane functions of the place, (n, 2, side, side)."""
    slopes = torch.randn(n, 2, 2, generator=seeded(1))
    axis = torch.linspace(-0.5, 0.5, side)
    return slopes[:, :, :1, None] * axis[:, None] + slopes[:, :, 1:, None] * axis


def test_holes_are_squares_inside_the_border_and_go_everywhere():
    mask = square_holes(500, generator=seeded(), hole=12, margin=2)
    assert mask.shape == (500, 1, 28, 28)
    assert (mask.sum((1, 2, 3)) == 144).all()
    assert ((mask.sum(3) == 12) | (mask.sum(3) == 0)).all()
    assert not mask[:, :, :2].any()
    assert not mask[:, :, :, -2:].any()
    assert mask.mean(0)[0, 2:-2, 2:-2].min() > 0
    assert torch.equal(mask, square_holes(500, generator=seeded(), hole=12, margin=2))
    with pytest.raises(ValueError, match="does not fit"):
        square_holes(1, generator=seeded(), hole=25)


def test_a_hole_hides_all_that_was_in_it_and_nothing_else():
    x, mask = torch.rand(5, 1, 28, 28, generator=seeded()) - 2, square_holes(5, generator=seeded())
    damaged = punch(x, mask, fill=0.25)
    assert (damaged.images[mask > 0] == 0.25).all()
    assert torch.equal(damaged.images[mask == 0], x[mask == 0])
    assert torch.equal(punch(x + mask, mask, fill=0.25).images, damaged.images)


def test_a_watermark_changes_its_mask_alone_and_towards_white():
    x = 2 * torch.rand(200, 1, 28, 28, generator=seeded()) - 1
    damaged = watermark(x, generator=seeded(2), opacity=0.6)
    outside = damaged.mask == 0
    assert torch.equal(damaged.images[outside], x[outside])
    change = (damaged.images - x) / (1 - x).clamp(min=1e-3)  # a
    assert change.min() > -1e-5
    assert 0.5 < change[x < 0.9].max() <= 0.6 + 1e-4
    assert 0.1 < damaged.mask.mean() < 0.6
    assert damaged.mask.mean(0).min() > 0  # no pixel is always safe
    again = watermark(x, generator=seeded(2), opacity=0.6)
    assert torch.equal(again.images, damaged.images)
    assert not torch.equal(watermark(x, generator=seeded(3)).mask, damaged.mask)


def test_nearest_filling_copies_the_nearest_pixel():
    x = torch.arange(7.0).expand(1, 1, 7, 7).clone()
    mask = torch.zeros(1, 1, 7, 7)
    mask[..., 2:5, 1:3] = 1
    mask[..., 3, 3] = 0
    filled = fill_nearest(punch(x, mask, fill=-5.0))
    assert torch.equal(filled[mask == 0], x[mask == 0])
    assert filled[0, 0, 3, 1] == 0  # the column to the left is nearest
    assert filled[0, 0, 3, 2] == 3  # and here the one to the right


def test_biharmonic_filling_continues_planes_exactly():
    x = ramp(4)
    mask = square_holes(4, generator=seeded(), margin=2)
    filled = fill_biharmonic(punch(x, mask, fill=9.0))
    assert_close(filled, x, rtol=0, atol=1e-5)
    whole = Damaged(x, torch.zeros_like(mask))
    assert torch.equal(fill_biharmonic(whole), x)
