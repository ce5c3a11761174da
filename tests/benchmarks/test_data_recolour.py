"""The known map between grey and coloured images: its ends, and that the colour can be read back."""

import torch
from torch.testing import assert_close

from benchmarks.data.glyphs import COLOURS
from benchmarks.data.recolour import KINDS, on_clutter, read_kind, recolour


def test_black_becomes_white_paper_and_white_the_kinds_colour():
    labels = torch.arange(10)
    assert_close(recolour(-torch.ones(10, 1, 2, 2), labels), torch.ones(10, 3, 2, 2))
    full = recolour(torch.ones(10, 1, 2, 2), labels)
    assert_close((full[:, :, 0, 0] + 1) / 2, COLOURS[KINDS])


def test_the_map_can_be_undone():
    x = 2 * torch.rand(10, 1, 4, 4, generator=torch.Generator().manual_seed(0)) - 1
    y = recolour(x, torch.arange(10))
    darkest = COLOURS[KINDS].min(1).values.view(10, 1, 1, 1)
    ink = (1 - (y.amin(1, keepdim=True) + 1) / 2) / (1 - darkest)
    assert_close(2 * ink - 1, x, atol=1e-5, rtol=0)


def test_the_kind_is_read_from_the_colour_at_any_strength():
    x = 2 * torch.rand(10, 1, 8, 8, generator=torch.Generator().manual_seed(0)) - 1
    labels = torch.arange(10)
    assert torch.equal(read_kind(recolour(x, labels)), KINDS[labels])
    assert torch.equal(read_kind(recolour(0.2 * (x + 1) - 1, labels)), KINDS[labels])


def test_what_is_shown_stays_brighter_than_the_clutter_and_the_seed_decides():
    x = -torch.ones(50, 1, 8, 8)
    x[:, :, 2:6, 2:6] = 1
    first, again = (on_clutter(x, generator=torch.Generator().manual_seed(0)) for _ in range(2))
    assert torch.equal(first, again)
    assert first.abs().max() <= 1
    assert first[:, :, 2:6, 2:6].min() >= 0  # colours from a half upwards
    assert first[:, :, :2].max() <= 0  # clouds up to a half
    assert first[:, :, 0, 0].std(0).min() > 0.1
