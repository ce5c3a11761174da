"""Items in scenes: where they are, how large, and of which colour, is as stated."""

import torch
from torch.testing import assert_close

from benchmarks.data.pasted import clutter, paste_on_clutter


def white_items(n: int) -> torch.Tensor:
    return torch.ones(n, 1, 28, 28)


def test_the_item_has_the_stated_place_and_size():
    scenes = paste_on_clutter(white_items(50), generator=torch.Generator().manual_seed(0))
    area = scenes.mask.flatten(1).mean(1)
    assert_close(area, scenes.scale**2, atol=0.02, rtol=0)
    axis = (torch.arange(28) + 0.5) / 14 - 1
    x = (scenes.mask.sum(2) * axis).sum((1, 2)) / scenes.mask.sum((1, 2, 3))
    y = (scenes.mask.sum(3) * axis).sum((1, 2)) / scenes.mask.sum((1, 2, 3))
    assert_close(torch.stack([x, y], dim=1), scenes.centre, atol=0.02, rtol=0)


def test_the_item_has_the_stated_colour_and_hides_the_clutter():
    scenes = paste_on_clutter(white_items(20), generator=torch.Generator().manual_seed(0))
    expected = (2 * scenes.colour - 1)[:, :, None, None].expand_as(scenes.images)
    covered = (scenes.mask > 0.999).expand_as(scenes.images)
    assert_close(scenes.images[covered], expected[covered], atol=3e-3, rtol=0)


def test_black_items_are_transparent_so_that_the_scene_is_clutter():
    images = paste_on_clutter(-white_items(8), generator=torch.Generator().manual_seed(0)).images
    assert images.max() <= 0.2
    assert images.flatten(1).std(1).min() > 0.01


def test_clutter_is_boxes_in_its_range_and_the_generators():
    x, again, other = (clutter(6, (12, 10), generator=torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert x.shape == (6, 3, 12, 10)
    assert -1 <= x.min() < x.max() <= 0.2
    assert torch.equal(x, again)
    assert not torch.equal(x, other)
    assert all(image.flatten(1).T.unique(dim=0).shape[0] <= 7 for image in x)
