"""Scenes of one coloured shape and their captions: an exact parser reads back what an image shows."""

import itertools
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

SIDE = 32
SIZES = ("small", "large")
COLOURS = ("red", "green", "blue", "yellow")
SHAPES = ("circle", "square", "triangle")
ROWS = ("top", "middle", "bottom")
COLUMNS = ("left", "centre", "right")
SLOTS = (SIZES, COLOURS, SHAPES, ROWS, COLUMNS)
VOCABULARY = tuple(itertools.chain(*SLOTS))

_RGB = torch.tensor([[1.0, 0.2, 0.2], [0.2, 0.9, 0.3], [0.3, 0.4, 1.0], [1.0, 0.9, 0.2]])
_RADII = (4, 6)
_CENTRES = (7, 16, 24)
_JITTER = 1  # pixels that a shape may stand off the centre of its place


class Scenes(NamedTuple):
    """n images and their captions."""

    images: Tensor
    """(n, 3, 32, 32) in [-1, 1], the shape in its colour on black."""
    words: Tensor
    """(n, 5) index into each of `SLOTS`: size, colour, shape, row, column."""


class Parsed(NamedTuple):
    """What images show."""

    words: Tensor
    """(n, 5) as in `Scenes`; -1 throughout for an image with nothing in it."""
    overlap: Tensor
    """(n,) intersection over union with the best of all shapes in all places, 1 for the renderer's own."""


def all_words() -> Tensor:
    """Every caption there is, (216, 5)."""
    return torch.tensor(list(itertools.product(*(range(len(slot)) for slot in SLOTS))))


def is_held_out(words: Tensor) -> Tensor:
    """(n, 5) -> (n,): a quarter of the combinations of colour, shape and place, in which every word still trains."""
    return words[:, 1:].sum(1) % 4 == 0


def caption(words: Tensor) -> str:
    """(5,) -> "a small red circle at the top left"."""
    size, colour, shape, row, column = (slot[i] for slot, i in zip(SLOTS, words.tolist(), strict=True))
    return f"a {size} {colour} {shape} at the {row} {column}"


def bag_of_words(words: Tensor) -> Tensor:
    """(n, 5) -> (n, 15) of 0 and 1, a place for each of `VOCABULARY`."""
    return torch.cat([F.one_hot(words[:, i], len(slot)) for i, slot in enumerate(SLOTS)], dim=1).float()


def draw_scenes(words: Tensor, *, generator: torch.Generator) -> Scenes:
    """An image for each caption (n, 5), its shape up to a pixel off the centre of its place."""
    size, colour, shape, row, column = words.unbind(1)
    off = torch.randint(-_JITTER, _JITTER + 1, (2, len(words)), generator=generator)
    centres = torch.tensor(_CENTRES)
    masks = _masks(size, shape, centres[row] + off[0], centres[column] + off[1])
    return Scenes(2 * masks[:, None] * _RGB[colour][:, :, None, None] - 1, words)


def parse(images: Tensor) -> Parsed:
    """Reads images (n, 3, 32, 32) in [-1, 1]: the best overlap of what is lit with each shape at each place."""
    light = (images + 1) / 2
    lit = (light.amax(1, keepdim=True) > 0.5).float()  # (n, 1, H, W)
    kinds = torch.tensor(list(itertools.product(range(len(SIZES)), range(len(SHAPES)))), device=images.device)
    reach = max(_RADII) + 1
    middle = torch.full((len(kinds),), SIDE // 2, device=images.device)
    near = slice(SIDE // 2 - reach, SIDE // 2 + reach + 1)
    kernels = _masks(kinds[:, 0], kinds[:, 1], middle, middle)[:, None, near, near]
    both = F.conv2d(lit, kernels, padding=reach)  # (n, kinds, H, W)
    either = lit.sum((1, 2, 3))[:, None, None, None] + kernels.sum((1, 2, 3))[None, :, None, None] - both
    overlap, best = (both / either).flatten(1).max(1)
    kind, row, column = best // SIDE**2, best % SIDE**2 // SIDE, best % SIDE
    colour = F.cosine_similarity((light * lit).sum((2, 3))[:, None], _RGB.to(images)[None], dim=2).argmax(1)
    places = [torch.bucketize(place, torch.tensor([11, 20], device=images.device)) for place in (row, column)]
    words = torch.stack([*kinds[kind].T[:1], colour, kinds[kind][:, 1], *places], dim=1)
    return Parsed(torch.where(lit.any(3).any(2).any(1)[:, None], words, -1), overlap)


def _masks(size: Tensor, shape: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """(n, 32, 32) of 0 and 1, the shapes around pixels (row, column)."""
    place = torch.arange(SIDE, device=size.device)
    down = (place[None, :, None] - row[:, None, None]).float()
    right = (place[None, None, :] - column[:, None, None]).float()
    radius = torch.tensor(_RADII, device=size.device)[size][:, None, None].float()
    circle = down.square() + right.square() <= (radius + 0.3).square()
    square = torch.maximum(down.abs().expand(-1, -1, SIDE), right.abs().expand(-1, SIDE, -1)) <= radius
    triangle = (down <= radius) & (2 * right.abs() <= down + radius)
    return torch.stack([circle, square, triangle])[shape, torch.arange(len(size), device=size.device)].float()
