"""What was done to an image is what is said of it."""

import torch
from torch.testing import assert_close

from benchmarks.data.damage import FADE, MOTH_HOLES, WEAR_LEVELS, scratch, wear


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_wear_fades_by_its_level_and_makes_so_many_holes():
    images = torch.ones(WEAR_LEVELS, 1, 28, 28)
    level = torch.arange(WEAR_LEVELS)
    worn = wear(images, level, generator=seeded())
    assert torch.equal(worn[0], images[0])
    for k in range(1, WEAR_LEVELS):
        rest = worn[k][worn[k] > -1]
        assert_close(rest, torch.full_like(rest, 2 * (1 - FADE * k) - 1))
        n_black = int((worn[k] == -1).sum())
        assert 4 <= n_black <= 4 * MOTH_HOLES * k  # holes of 4 pixels, which may overlap
    assert images.min() == 1  # the given ones are left alone
    assert torch.equal(worn, wear(images, level, generator=seeded()))
    assert not torch.equal(worn, wear(images, level, generator=seeded(1)))


def test_a_scratch_is_where_the_mask_says_and_nowhere_else():
    images = torch.rand(20, 1, 28, 28, generator=seeded()) * 2 - 1
    images[10:] = -1.0
    damaged, mask = scratch(images, generator=seeded(1))
    assert torch.equal(damaged[~mask], images[~mask])
    assert (damaged[10:][mask[10:]] == 1).all()  # white on black
    sizes = mask.sum((1, 2, 3))
    assert sizes.min() > 15
    assert sizes.max() < 60  # about 2 x 19 pixels


def test_a_bright_line_is_scratched_black():
    damaged, mask = scratch(torch.full((3, 1, 28, 28), 0.8), generator=seeded())
    assert (damaged[mask] == -1).all()
