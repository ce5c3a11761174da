"""Solids and furniture of 16 x 16 x 16 voxels: kind, size, volume and symmetry of each are known."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

SIDE = 16
KINDS = ("box", "ellipsoid", "cylinder", "pyramid", "chair", "armchair", "table", "pedestal table")


class Sizes(NamedTuple):
    """Measures of n shapes in voxels, each (n,) int64."""

    half_width: Tensor
    """To the left and to the right of the middle: every shape is its own mirror image."""
    half_depth: Tensor
    height: Tensor
    shift: Tensor
    """Of the middle, towards the back."""
    thickness: Tensor
    """Of boards and legs."""
    seat: Tensor
    """Height of what is under a chair's seat."""
    faces_back: Tensor
    """0 or 1: a chair's back rest is at the back or, turned round, at the front."""


class Voxels(NamedTuple):
    """n shapes and what they are."""

    volumes: Tensor
    """(n, 1, 16, 16, 16) of 0 and 1: up from the floor, from front to back, from left to right."""
    kind: Tensor
    """(n,) index into `KINDS`."""
    sizes: Sizes


def all_outlines() -> Tensor:
    """(216, 4): every half width, half depth, height and shift that is drawn."""
    return torch.cartesian_prod(torch.arange(4, 8), torch.arange(4, 7), torch.arange(11, 17), torch.arange(-1, 2))


def is_held_out(outlines: Tensor) -> Tensor:
    """(n, 4) of `all_outlines` -> (n,): a quarter of them, in which every single number still trains.

    Heights go in pairs: the smallest pyramids of height 11 and 12 fill the same voxels.
    """
    half_width, half_depth, height, shift = outlines.unbind(1)
    return (half_width + half_depth + (height + 1) // 2 + shift) % 4 == 0


def draw_voxels(kind: Tensor, *, held_out: bool | None = None, generator: torch.Generator) -> Voxels:
    """Shapes of these kinds (n,) with random sizes: of outlines that are held out, of the others, or of all.

    No held-out shape is one of the others.
    """
    n = len(kind)

    def whole(low: int, high: int) -> Tensor:
        return torch.randint(low, high + 1, (n,), generator=generator)

    outlines = all_outlines()
    if held_out is not None:
        outlines = outlines[is_held_out(outlines) == held_out]
    outline = outlines[torch.randint(len(outlines), (n,), generator=generator)]
    half_width, half_depth, height, shift = outline.unbind(1)
    sizes = Sizes(half_width, half_depth, height, shift, whole(1, 2), whole(4, 6), whole(0, 1))
    volumes = torch.zeros(n, SIDE, SIDE, SIDE, dtype=torch.bool)
    for i, build in enumerate((_box, _ellipsoid, _cylinder, _pyramid, _chair, _armchair, _table, _pedestal_table)):
        chosen = kind == i
        volumes[chosen] = build(Sizes(*(values[chosen] for values in sizes)))
    return Voxels(volumes[:, None].float(), kind, sizes)


def project(volumes: Tensor) -> Tensor:
    """Volumes (n, 1, 16, 16, 16), occupied above 1/2, as grey images (n, 1, 48, 48) in [-1, 1].

    A parallel view from the right and above, the nearer the lighter; upper faces are lightest, right ones darkest.
    """
    solid = volumes[:, 0] > 0.5  # (n, up, back, right)
    image = torch.full((len(solid), 3 * SIDE, 3 * SIDE), -1.0, device=volumes.device)
    for depth in reversed(range(SIDE)):  # a slice of the depth k stands k pixels up and right of the first
        flat = solid[:, :, depth].flip(1).repeat_interleave(2, 1).repeat_interleave(2, 2)  # (n, 32, 32), upside down
        shade = 0.55 - 0.6 * depth / SIDE
        for up, right, value in ((1, 1, shade - 0.5), (1, 0, shade + 0.4), (0, 1, shade - 0.5), (0, 0, shade)):
            low, left = SIDE - depth - up, depth + right
            window = image[:, max(low, 0) : low + 2 * SIDE, left : left + 2 * SIDE]
            shown = flat[:, max(-low, 0) :, : window.shape[2]]
            window[shown] = value
    return image[:, None]


def photograph(volumes: Tensor, *, generator: torch.Generator) -> Tensor:
    """The view of `project` (n, 1, 48, 48) in [-1, 1], moved by up to 3 pixels both ways, in a light from half to full
    and before clouds that are darker than half and have nothing to do with the shape.

    `generator` is on the CPU.
    """
    view = project(volumes)
    n, _, height, width = view.shape
    windows = F.pad(view, [3] * 4, value=-1.0).unfold(2, height, 1).unfold(3, width, 1)  # (n, 1, 7, 7, H, W)
    down, right = torch.randint(7, (2, n), generator=generator).to(view.device)
    moved = windows[torch.arange(n, device=view.device), :, down, right]
    light = 0.5 + 0.5 * torch.rand(n, 1, 1, 1, generator=generator).to(view.device)
    clouds = F.interpolate(torch.rand(n, 1, 4, 4, generator=generator), size=(height, width), mode="bilinear")
    return torch.where(moved > -1, light * (moved + 1), clouds.to(view.device)) - 1


def _axes(like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Middles of the voxels, to be compared with sizes (n, 1, 1, 1)."""
    middle = torch.arange(SIDE, device=like.device) + 0.5
    return middle[:, None, None], middle[None, :, None], middle[None, None, :]


def _block(up: tuple[Tensor, Tensor], back: tuple[Tensor, Tensor], right: tuple[Tensor, Tensor]) -> Tensor:
    """Boxes (n, 16, 16, 16) from the first to the second bound, (n,) each, of every axis."""
    inside = [
        (axis > low[:, None, None, None]) & (axis < high[:, None, None, None])
        for axis, (low, high) in zip(_axes(up[0]), (up, back, right), strict=True)
    ]
    return inside[0] & inside[1] & inside[2]


def _box(sizes: Sizes) -> Tensor:
    return _block((torch.zeros_like(sizes.height), sizes.height), *_floor(sizes))


def _floor(sizes: Sizes) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Bounds from front to back and from left to right."""
    middle = SIDE // 2 + sizes.shift
    back = middle - sizes.half_depth, middle + sizes.half_depth
    return back, (SIDE // 2 - sizes.half_width, SIDE // 2 + sizes.half_width)


def _offsets(sizes: Sizes) -> tuple[Tensor, Tensor, Tensor]:
    """(u, b, r) of every voxel: the height from 0 to 1, and the offsets from the middle in halves of the sides."""
    up, back, right = _axes(sizes.height)
    height, half_depth, half_width, shift = (
        values[:, None, None, None] for values in (sizes.height, sizes.half_depth, sizes.half_width, sizes.shift)
    )
    return up / height, (back - SIDE // 2 - shift) / half_depth, (right - SIDE // 2) / half_width


def _ellipsoid(sizes: Sizes) -> Tensor:
    up, back, right = _offsets(sizes)
    return (2 * up - 1).square() + back.square() + right.square() < 1


def _cylinder(sizes: Sizes) -> Tensor:
    up, back, right = _offsets(sizes)
    return (back.square() + right.square() < 1) & (up < 1)


def _pyramid(sizes: Sizes) -> Tensor:
    up, back, right = _offsets(sizes)
    return torch.maximum(back.abs(), right.abs()) < 1 - up


def _legs(sizes: Sizes, height: Tensor) -> Tensor:
    zero = torch.zeros_like(height)
    (front, back), (left, right) = _floor(sizes)
    thick = sizes.thickness
    legs = torch.zeros(len(height), SIDE, SIDE, SIDE, dtype=torch.bool, device=height.device)
    for near in ((front, front + thick), (back - thick, back)):
        for side in ((left, left + thick), (right - thick, right)):
            legs |= _block((zero, height), near, side)
    return legs


def _chair(sizes: Sizes) -> Tensor:
    (front, back), width = _floor(sizes)
    seat = _block((sizes.seat, sizes.seat + sizes.thickness), (front, back), width)
    at_front = sizes.faces_back.bool()
    rest = (
        torch.where(at_front, front, back - sizes.thickness),
        torch.where(at_front, front + sizes.thickness, back),
    )
    return _legs(sizes, sizes.seat) | seat | _block((sizes.seat, sizes.height), rest, width)


def _armchair(sizes: Sizes) -> Tensor:
    depth, (left, right) = _floor(sizes)
    arm = sizes.seat, sizes.seat + sizes.thickness + 3
    arms = _block(arm, depth, (left, left + 1)) | _block(arm, depth, (right - 1, right))
    return _chair(sizes) | arms


def _board(sizes: Sizes) -> Tensor:
    return _block((_under(sizes), _under(sizes) + sizes.thickness), *_floor(sizes))


def _under(sizes: Sizes) -> Tensor:
    """Height of what is under a table's board."""
    return sizes.height - 5


def _table(sizes: Sizes) -> Tensor:
    return _board(sizes) | _legs(sizes, _under(sizes))


def _pedestal_table(sizes: Sizes) -> Tensor:
    zero, middle = torch.zeros_like(sizes.height), torch.full_like(sizes.height, SIDE // 2)
    column = _block(
        (zero, _under(sizes)),
        (middle + sizes.shift - sizes.thickness, middle + sizes.shift + sizes.thickness),
        (middle - sizes.thickness, middle + sizes.thickness),
    )
    foot = _block(
        (zero, zero + 1),
        (middle + sizes.shift - sizes.half_depth // 2, middle + sizes.shift + sizes.half_depth // 2),
        (middle - sizes.half_width // 2, middle + sizes.half_width // 2),
    )
    return _board(sizes) | column | foot
