"""What experiments measure of things that are known: the perfect one scores perfectly, a degenerate one never wins."""

import pytest
import torch
from torch.testing import assert_close

from benchmarks.data import faces, sticks
from benchmarks.data.glyphs import COLOURS, LETTERS, draw_glyphs
from benchmarks.data.melodies import Melodies, draw_melodies
from benchmarks.data.recolour import KINDS, read_kind, recolour
from benchmarks.data.scenes import all_words, draw_scenes
from benchmarks.data.toys import RING
from benchmarks.data.voxels import KINDS as SHAPES
from benchmarks.data.voxels import draw_voxels
from benchmarks.images.experiments import (
    arithmetic,
    attribute_edits,
    captions,
    chains,
    dance,
    melody,
    modes,
    poses,
    shapes,
    super_resolution,
    volumes,
)
from benchmarks.images.experiments.experiment import Size
from benchmarks.images.experiments.frontal_faces import rank_1
from benchmarks.images.experiments.hybrids import whitened
from benchmarks.images.experiments.lab import Lab
from benchmarks.images.experiments.unpaired import finds_itself
from generative_core.metrics import Judge, psnr


@pytest.fixture
def lab() -> Lab:
    return Lab(seed=0, device=torch.device("cpu"), size=Size(steps=1, n_judged=400))


def random(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_grammar_keeps_every_rule_and_a_held_note_or_bar_does_not():
    real = draw_melodies(100, bars=4, generator=random())
    perfect = melody.measure(real, set())
    rules = ("on chord", "whole bars", "in scale", "on grid", "in reach")
    assert [perfect[rule] for rule in rules] == [1.0] * 5
    held = Melodies(torch.full_like(real.pitches, 12), real.chords)
    repeated = Melodies(real.pitches[:1, :1].expand_as(real.pitches), real.chords)
    for degenerate in (held, repeated):
        found = melody.measure(degenerate, set())
        assert found["on chord"] < 0.6
        assert found["whole bars"] < 0.6


def test_real_scenes_show_what_their_captions_say_and_one_scene_does_not():
    scenes = draw_scenes(all_words(), generator=random())
    assert captions.read(scenes.images, scenes.words) == dict.fromkeys(captions.read(*scenes), 1.0)
    mean = scenes.images.mean(0).expand_as(scenes.images)
    for degenerate in (scenes.images[:1].expand_as(scenes.images), mean, torch.full_like(mean, -1)):
        assert captions.read(degenerate, scenes.words)["all"] < 0.1


def test_real_voxels_are_one_symmetric_piece_and_copies_are_told():
    kinds = torch.arange(240) % len(SHAPES)
    train = draw_voxels(kinds, held_out=False, generator=random()).volumes
    test, others = (draw_voxels(kinds, held_out=True, generator=random(seed)).volumes for seed in (1, 2))
    known = set(volumes._as_bytes(train))
    real = volumes.measure(others, test, known)
    assert (real["largest piece"], real["asymmetry"], real["copies"]) == (1.0, 0.0, 0.0)
    assert real["coverage"] > 0.9
    assert volumes.measure(train, test, known)["copies"] == 1.0
    for degenerate in (torch.zeros_like(test), torch.ones_like(test), test[:1].expand_as(test)):
        assert volumes.measure(degenerate, test, known)["coverage"] < 0.5 * real["coverage"]


def test_letters_are_of_the_colour_that_was_asked_for():
    letter = torch.arange(80) % len(LETTERS)
    colour = torch.arange(80) // 10 % len(COLOURS)
    light = (draw_glyphs(letter, colour=colour, generator=random()).images + 1).flatten(2).sum(2)
    read = torch.nn.functional.cosine_similarity(light[:, None], COLOURS[None], dim=2).argmax(1)
    assert torch.equal(read, colour)
    plain, bold = (
        draw_glyphs(letter, colour=colour, is_bold=torch.full((80,), weight), scale=torch.full((80,), 0.8),
                    slant=torch.zeros(80), generator=random()).images
        for weight in (0, 1)
    )  # fmt: skip
    assert (bold.sum((1, 2, 3)) > plain.sum((1, 2, 3))).all()


def test_a_true_translation_has_its_kind_and_the_mean_one_has_not():
    x = 2 * torch.rand(100, 1, 28, 28, generator=random()) - 1
    labels = torch.arange(100) % 10
    y = recolour(x, labels)
    assert torch.equal(read_kind(y), KINDS[labels])
    mean = y.mean(0).expand_as(y)
    assert (read_kind(mean) == KINDS[labels]).double().mean() < 0.7
    assert finds_itself(y, y).all()
    assert finds_itself(0.6 * y + 0.4 * mean, y).all()
    assert finds_itself(mean, y).sum() <= 1
    assert not finds_itself(y.roll(1, 0), y).any()


def peak_joints(maps: torch.Tensor) -> torch.Tensor:
    """(n, 14, 32, 32) -> (n, 14, 2): the highest pixel's middle."""
    at = maps.flatten(2).argmax(2)
    return torch.stack([at % 32 + 0.5, at // 32 + 0.5], dim=2) / 32


class Template(torch.nn.Module):
    """Reads off the joints of the nearest image that it knows."""

    def __init__(self, images: torch.Tensor, joints: torch.Tensor) -> None:
        super().__init__()
        self.images, self.joints = images, joints

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.joints[torch.cdist(x.flatten(1), self.images.flatten(1)).argmin(1)].flatten(1)


def test_figures_are_where_their_joints_are_and_the_mean_of_two_is_not():
    figures = poses.draw_figures(40, generator=random())
    assert (peak_joints(figures.source[:, 3:]) - figures.joints).abs().max() <= 0.5 / 32 + 1e-4
    reader = Template(figures.target, figures.joints)
    assert poses.joint_error(reader, figures.target, figures.joints) == 0.0
    mean = (figures.target + figures.target.roll(1, 0)) / 2
    assert poses.joint_error(reader, mean, figures.joints) > 0.5
    assert poses.masked_psnr(figures.target + 1e-3, figures.target, figures.mask) > 60
    assert poses.masked_psnr(mean, figures.target, figures.mask) < 30


def test_a_true_video_does_not_flicker_and_a_still_one_is_no_video():
    shown = dance.draw_dance(40, 48, generator=random(), train_generator=random(1))
    assert dance.flicker(shown.truth, shown.truth) == 0.0
    assert_close(dance.video(shown.look, shown.true_joints), shown.truth)
    still = shown.frames.mean(0).expand_as(shown.truth)
    assert_close(dance.flicker(still, shown.truth), float(shown.truth.diff(dim=0).abs().mean()))
    mask = sticks.pose_mask(shown.true_joints)
    near = dance.video(shown.look, dance.estimated(shown.true_joints, random(2)))
    assert poses.masked_psnr(near, shown.truth, mask) > poses.masked_psnr(still, shown.truth, mask)


def test_people_are_found_by_their_own_faces_and_not_by_the_mean_one():
    identity = faces.draw_identities(100, generator=random())
    frontal = faces.render(identity, torch.zeros(100))
    assert rank_1(identity, identity) == 1.0
    assert rank_1(frontal.flatten(1), frontal.flatten(1)) == 1.0
    mean = frontal.mean(0).expand_as(frontal)
    assert rank_1(mean.flatten(1), frontal.flatten(1)) <= 0.01
    assert (mean - mean.flip(3)).abs().mean() < 1e-5  # symmetric, and nobody
    assert psnr(mean, frontal).mean() < 30


def test_the_ring_has_its_modes_and_one_gaussian_or_one_mode_has_not(lab):
    plane = modes.Plane(lab, RING)
    real = plane.ceiling()
    assert real["modes"] == 8
    assert real["on_modes"] > 0.97
    assert plane.gaussian()["modes"] == 0
    centre = torch.tensor(RING.centres[:1]).expand(2_000, -1)
    assert plane.measure("one mode", centre)["modes"] == 1
    a_few_strays = torch.cat([centre, torch.tensor(RING.centres)])
    assert plane.measure("strays", a_few_strays)["modes"] == 1


def test_whitened_codes_have_the_moments_of_the_prior():
    code = torch.randn(500, 3, generator=random()) @ torch.tensor([[9.0, 1, 0], [0, 0.1, 2], [0, 0, 1]]) + 5
    white = whitened(code)
    assert_close(white.mean(0), torch.zeros(3), atol=1e-4, rtol=0)
    assert_close(white.T.cov(), torch.eye(3), atol=1e-3, rtol=0)


def test_mixing_is_nothing_for_a_chain_that_stays_and_most_for_one_that_visits_all():
    stays = torch.arange(10)[None].expand(20, -1)
    assert chains.mixing(stays) == {"entropy": 0.0, "changes": 0.0}
    visits = (torch.arange(20)[:, None] + torch.arange(10)) % 10
    found = chains.mixing(visits)
    assert_close(found["entropy"], 2.302585, atol=1e-5, rtol=0)
    assert found["changes"] == 1.0


def test_the_kernel_estimate_of_gaussian_samples_is_their_density():
    x = torch.linspace(-2, 2, 9)
    found = chains.log_density(torch.randn(20_000, generator=random()), x).exp()
    assert_close(found, torch.distributions.Normal(0.0, 1.0).log_prob(x).exp(), atol=0.02, rtol=0)


def test_the_shape_itself_is_all_its_own_and_the_nearest_image_is_one_in_another_light():
    kinds = torch.arange(48) % len(SHAPES)
    solid = draw_voxels(kinds, generator=random()).volumes
    assert (shapes.overlap(solid, solid) == 1).all()
    assert_close(shapes.overlap(solid[:1], torch.ones_like(solid[:1]))[0], solid[0].mean())
    assert shapes.sound(solid) == {"largest piece": 1.0, "asymmetry": 0.0}
    images = torch.rand(48, 1, 6, 6, generator=random())
    order = torch.randperm(48, generator=random())
    assert torch.equal(shapes.nearest(0.3 * images[order] + 0.2, images), order)


class Known(torch.nn.Module):
    """A judge that knows the letters it is made of, and takes any other image for the first of them."""

    def __init__(self, *known: tuple[torch.Tensor, torch.Tensor]) -> None:
        super().__init__()
        self.kinds = {
            image.numpy().tobytes(): int(kind)
            for images, kinds in known
            for image, kind in zip(images, kinds, strict=True)
        }

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        kinds = torch.tensor([self.kinds.get(image.numpy().tobytes(), 0) for image in x])
        return torch.nn.functional.one_hot(kinds, 2 * len(LETTERS)).float()


def test_letters_drawn_anew_are_edited_and_those_left_as_they_are_keep_all_and_change_nothing():
    n = 60
    letters = draw_glyphs(torch.arange(n) % len(LETTERS), generator=random())
    edits = attribute_edits.edits_of(letters, n, torch.device("cpu"))
    kind = 2 * letters.letter + letters.is_bold
    other = 2 * letters.letter + edits.is_bold
    known = [(letters.images, kind), *zip(edits.right, (kind, kind, other), strict=True)]
    judge = Judge(Known(*known), "", 1.0, 0.0)
    anew = attribute_edits.edit_measures(judge, edits.right, edits)
    assert (anew["edited"], anew["changed"], anew["kept"], anew["PSNR edited"]) == (1.0, 1.0, 1.0, 60.0)
    left = attribute_edits.edit_measures(judge, [letters.images] * 3, edits)
    assert (left["edited"], left["changed"]) == (0.0, 0.0)
    assert left["kept"] > 0.9  # a slant is read off against the letter that was asked for


def test_arithmetic_of_the_attributes_themselves_is_exact():
    every = torch.cartesian_prod(torch.arange(len(LETTERS)), torch.arange(len(COLOURS)), torch.arange(2))
    letter, colour, bold = every.T
    letters = draw_glyphs(letter, colour=colour, is_bold=bold, generator=random())
    codes = attribute_edits._attributes(letters)
    n = 40
    recoloured, reweighted = arithmetic.directions(codes, letters, letters, n)
    next_colour = letters._replace(colour=(colour + 1) % len(COLOURS))
    assert_close(codes[:n] + recoloured, attribute_edits._attributes(next_colour)[:n])
    assert_close(codes[:n] + reweighted, attribute_edits._attributes(letters._replace(is_bold=1 - bold))[:n])
    anywhere = arithmetic.elsewhere(recoloured, generator=random())
    assert_close(anywhere.norm(dim=1), recoloured.norm(dim=1))
    assert torch.nn.functional.cosine_similarity(anywhere, recoloured).abs().mean() < 0.5


def test_an_image_is_at_no_distance_from_itself_and_a_louder_map_counts_as_the_same():
    images = torch.rand(20, 3, 8, 8, generator=random())
    assert super_resolution.perceived(lambda x: [x, 3 * x], images, images) == 0
    assert super_resolution.perceived(lambda x: [x], images, 0.5 * images) < 1e-6
    assert super_resolution.perceived(lambda x: [x], images, images.flip(0)) > 0.01
