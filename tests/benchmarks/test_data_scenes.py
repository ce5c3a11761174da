"""Scenes: the parser reads what the renderer wrote, and says how far it is off."""

import pytest
import torch
from torch.testing import assert_close

from benchmarks.data.scenes import (
    SLOTS,
    VOCABULARY,
    all_words,
    bag_of_words,
    caption,
    draw_scenes,
    is_held_out,
    parse,
)


def some(seed: int = 0):
    return draw_scenes(all_words(), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("seed", [0, 1])
def test_every_scene_is_read_back_to_the_word(seed):
    scenes = some(seed)
    found = parse(scenes.images)
    assert torch.equal(found.words, scenes.words)
    assert_close(found.overlap, torch.ones(216))


def test_scenes_are_the_seeds_alone():
    assert torch.equal(some().images, some().images)
    assert not torch.equal(some().images, some(1).images)
    assert some().images.shape == (216, 3, 32, 32)
    assert some().images.abs().max() <= 1


def test_a_square_has_the_area_of_its_sides():
    scenes = some()
    lit = (scenes.images.amax(1) > 0).sum((1, 2))
    is_square = scenes.words[:, 2] == SLOTS[2].index("square")
    side = torch.where(scenes.words[:, 0] == 0, 9, 13)
    assert torch.equal(lit[is_square], (side**2)[is_square])
    assert (lit[~is_square] < (side**2)[~is_square]).all()


def test_what_is_changed_is_read_as_changed():
    scenes = some()
    found = parse(scenes.images.flip(3)).words  # left and right change places, nothing else
    expected = scenes.words.clone()
    expected[:, 4] = 2 - expected[:, 4]
    assert torch.equal(found[:, :4], expected[:, :4])
    is_side = expected[:, 4] != 1
    assert torch.equal(found[is_side], expected[is_side])


def test_noise_lowers_the_overlap_and_black_shows_nothing():
    scenes = some()
    generator = torch.Generator().manual_seed(0)
    noisy = torch.where(torch.rand(216, 1, 32, 32, generator=generator) < 0.1, 1.0, scenes.images)
    assert (parse(noisy).overlap < 0.8).all()
    assert (parse(torch.full((2, 3, 32, 32), -1.0)).words == -1).all()


def test_a_caption_and_its_bag_name_the_same_words():
    words = all_words()
    assert caption(words[0]) == "a small red circle at the top left"
    for row, bag in zip(words, bag_of_words(words), strict=True):
        named = {word for word, is_in in zip(VOCABULARY, bag.tolist(), strict=True) if is_in}
        assert named == set(caption(row).split()) - {"a", "at", "the"}


def test_a_quarter_is_held_out_and_every_word_trains():
    words = all_words()
    held_out = is_held_out(words)
    assert 0.2 < held_out.float().mean() < 0.3
    assert (bag_of_words(words[~held_out]).sum(0) > 0).all()
    assert (bag_of_words(words[held_out]).sum(0) > 0).all()
