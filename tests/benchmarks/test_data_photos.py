"""Crops of photographs: from where they say, and never from both sides of a split."""

import pytest
import torch
from torch.testing import assert_close

from benchmarks.data.photos import REGIONS, crops, photo


def test_photographs_are_colours_between_minus_one_and_one():
    for name in ("china.jpg", "flower.jpg"):
        image = photo(name)
        assert image.shape == (3, 427, 640)
        assert image.min() == -1
        assert image.max() == 1


@pytest.mark.parametrize("name", REGIONS)
def test_the_halves_are_within_the_photograph_and_apart(name):
    train, test = REGIONS[name]["train"], REGIONS[name]["test"]
    for region in (train, test):
        assert 0 <= region.top < region.bottom <= 427
        assert 0 <= region.left < region.right <= 640
    assert train.photo != test.photo or train.right <= test.left


def test_a_crop_is_a_part_of_its_region():
    (crop,) = crops("petals", "test", 1, generator=torch.Generator().manual_seed(0), side=24, shrink=1)
    region = REGIONS["petals"]["test"]
    part = photo("flower.jpg")[:, region.top : region.bottom, region.left : region.right]
    windows = part.unfold(1, 24, 1).unfold(2, 24, 1)  # (3, places, places, 24, 24)
    assert (windows == crop[:, None, None]).all(dim=(0, 3, 4)).any()


def test_shrinking_takes_means_and_the_seed_decides_the_place():
    generator = torch.Generator().manual_seed(0)
    whole = crops("petals", "train", 1, generator=generator, side=56, shrink=2)  # the whole width
    assert whole.shape == (1, 3, 56, 56)
    first, again = (crops("petals", "train", 5, generator=torch.Generator().manual_seed(1)) for _ in range(2))
    assert torch.equal(first, again)
    assert_close(whole.mean((0, 2, 3)), first.mean((0, 2, 3)), atol=0.2, rtol=0)


def test_petals_are_orange_and_leaves_are_not():
    petals, leaves = (
        crops(name, "train", 20, generator=torch.Generator().manual_seed(0)) for name in ("petals", "leaves")
    )
    assert (petals[:, 0] - petals[:, 2]).mean() > 0.5
    assert (leaves[:, 0] - leaves[:, 2]).mean().abs() < 0.5


def test_too_large_a_crop_is_refused():
    with pytest.raises(ValueError, match="too few"):
        crops("leaves", "train", 1, generator=torch.Generator(), side=80)
