"""Squares out of images and back."""

import pytest
import torch
from torch.testing import assert_close

from generative_core.nets.crop import crop, paste, peaks


def images() -> torch.Tensor:
    return torch.arange(2 * 3 * 6 * 7, dtype=torch.float32).view(2, 3, 6, 7)


def test_peaks_are_rows_and_columns():
    maps = torch.zeros(2, 3, 5, 4)
    maps[0, 0, 4, 1] = maps[1, 2, 0, 3] = 1
    assert peaks(maps)[0, 0].tolist() == [4, 1]
    assert peaks(maps)[1, 2].tolist() == [0, 3]


def test_a_crop_has_its_middle_at_the_place_and_stays_inside():
    x = images()
    patches = crop(x, torch.tensor([[2, 3], [5, 6]]), 4)
    assert torch.equal(patches[0], x[0, :, 0:4, 1:5])
    assert torch.equal(patches[1], x[1, :, 2:6, 3:7])


def test_pasting_puts_back_what_was_cropped_and_leaves_the_rest():
    x, centre = images(), torch.tensor([[0, 0], [3, 4]])
    assert torch.equal(paste(x, crop(x, centre, 3), centre), x)
    changed = paste(x, torch.zeros(2, 3, 3, 3), centre)
    assert torch.equal(changed[0, :, :3, :3], torch.zeros(3, 3, 3))
    assert (changed != x).sum() <= 2 * 27
    assert_close(crop(changed, centre, 3), torch.zeros(2, 3, 3, 3))


def test_gradients_go_to_the_patch_inside_and_to_the_image_outside():
    x, patch = images().requires_grad_(), torch.zeros(2, 3, 3, 3, requires_grad=True)
    paste(x, patch, torch.tensor([[1, 1], [1, 1]])).sum().backward()
    assert torch.equal(patch.grad, torch.ones(2, 3, 3, 3))
    assert x.grad.sum() == x.numel() - patch.numel()


def test_a_square_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="6 x 7"):
        crop(images(), torch.zeros(2, 2, dtype=torch.long), 7)


def test_the_peak_of_an_empty_map_is_its_corner():
    assert peaks(torch.zeros(1, 1, 5, 4)).tolist() == [[[0, 0]]]
