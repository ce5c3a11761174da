"""Glyphs: an image has the attributes that are said of it."""

import math

import pytest
import torch
from torch.testing import assert_close

from benchmarks.data.glyphs import COLOURS, LETTERS, draw_glyphs


def some(n: int = 20, seed: int = 0, **settings):
    return draw_glyphs(torch.arange(n) % len(LETTERS), generator=torch.Generator().manual_seed(seed), **settings)


def ink(images: torch.Tensor) -> torch.Tensor:
    """(n, 3, H, W) -> (n, H, W), 0 where it is black."""
    return (images + 1).sum(1)


def test_glyphs_are_the_seeds_alone():
    first, again, other = some(), some(), some(seed=1)
    assert first.images.shape == (20, 3, 28, 28)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first.images, other.images)
    assert first.images.min() == -1
    assert first.images.max() <= 1


def test_the_channels_stand_in_the_ratios_of_the_colour():
    glyphs = some()
    channels = (glyphs.images + 1).sum((2, 3))
    assert_close(channels / channels.sum(1, keepdim=True), (COLOURS / COLOURS.sum(1, keepdim=True))[glyphs.colour])


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_turn_by_right_angles_is_that_of_the_array(quarters):
    fixed = {"slant": torch.zeros(20), "scale": torch.full((20,), 0.8)}
    turned = some(**fixed, angle=torch.full((20,), quarters * math.pi / 2))
    assert_close(turned.images, some(**fixed).images.rot90(quarters, (2, 3)), atol=1e-4, rtol=0)


def test_without_a_slant_symmetric_letters_stand_upright_and_a_slant_leans():
    """The letters A and H are their own mirror images; a positive slant moves the upper half to the right."""
    letter = torch.tensor([LETTERS.index("A"), LETTERS.index("H")])
    middle = torch.arange(28) - 13.5

    def lean(slant: float) -> torch.Tensor:
        glyphs = draw_glyphs(letter, generator=torch.Generator().manual_seed(0), slant=torch.full((2,), slant))
        columns = ink(glyphs.images)
        offset = [(half.sum(1) * middle).sum(1) / half.sum((1, 2)) for half in (columns[:, :14], columns[:, 14:])]
        return offset[0] - offset[1]

    assert lean(0.0).abs().max() < 0.4  # the font's own hinting of a fraction of a pixel
    assert lean(1.0).min() > 1
    assert_close(lean(-1.0), -lean(1.0), atol=0.8, rtol=0)


def test_bold_has_more_ink_and_a_greater_scale_too():
    same = {"colour": torch.zeros(20, dtype=torch.int64), "slant": torch.zeros(20), "side": 96}  # no pixel is skipped
    plain, bold, large = (
        ink(some(**same, is_bold=torch.full((20,), b), scale=torch.full((20,), s)).images).sum((1, 2))
        for b, s in ((0, 0.6), (1, 0.6), (0, 0.9))
    )
    assert (bold > 1.1 * plain).all()
    assert_close(large / plain, torch.full((20,), (0.9 / 0.6) ** 2), rtol=0.06, atol=0)
