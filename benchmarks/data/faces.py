"""Drawn faces, symmetric from the front and turned to any side: the identity is the parameters, known exactly.

Coordinates are x and y from the middle of the image, to the right and downwards, in [-1, 1].
"""

import math

import torch
from torch import Tensor

TRAITS = (
    *("width of the head", "distance of the eyes", "size of the eyes", "height of the eyes", "tone of the eyes"),
    *("distance of the brows", "thickness of the brows", "length of the nose", "width of the nose"),
    *("width of the mouth", "height of the mouth", "tone of the skin", "tone of the hair", "height of the hair"),
)
"""An identity is one number in [0, 1] for each."""
LANDMARKS = ("left eye", "right eye", "nose", "mouth")
"""Left and right in the image."""
_MIDDLE, _HALF_HEIGHT = 0.05, 0.85
_SKIN = torch.tensor([[0.36, 0.22, 0.14], [0.98, 0.82, 0.7]])
_HAIR = torch.tensor([[0.08, 0.06, 0.05], [0.9, 0.72, 0.35]])
_EYES = torch.tensor([[0.1, 0.35, 0.15], [0.25, 0.5, 0.95]])
_LIPS = torch.tensor([0.75, 0.2, 0.25])


def draw_identities(n: int, *, generator: torch.Generator) -> Tensor:
    """(n, 14) of `TRAITS`."""
    return torch.rand(n, len(TRAITS), generator=generator)


def render(identity: Tensor, yaw: Tensor, *, side: int = 32) -> Tensor:
    """(n, 3, side, side) in [-1, 1]: the face on an upright cylinder as wide as the head, turned by `yaw` (n,) radians.

    A point at x on the front goes to w sin(asin(x / w) + yaw), with w half the width of the head at its height: to the
    right for yaw > 0.  The back of the head is hair, what is beside it black.
    """
    centres = (torch.arange(side) + 0.5) * 2 / side - 1
    y, x = torch.meshgrid(centres, centres, indexing="ij")
    x, y = x.expand(len(identity), -1, -1), y.expand(len(identity), -1, -1)
    half = _half_width(identity, y)
    longitude = (x / half.clamp_min(1e-6)).clamp(-1, 1).asin() - yaw[:, None, None]
    front = _front(identity, half * longitude.sin(), y, side)
    is_back = (longitude.abs() > math.pi / 2)[:, None]
    head = torch.where(is_back, _hair(identity)[:, :, None, None], front)
    radius = ((x / _width(identity)).square() + ((y - _MIDDLE) / _HALF_HEIGHT).square()).sqrt()
    return 2 * head * _cover(radius, _HALF_HEIGHT, side)[:, None] - 1


def landmarks(identity: Tensor, yaw: Tensor) -> Tensor:
    """(n, 4, 2) x and y of `LANDMARKS`; one that has turned away is at the border of the head."""
    eye_x, eye_y = _eyes(identity)
    zero = torch.zeros_like(eye_x)
    x = torch.cat([-eye_x, eye_x, zero, zero], dim=1)
    y = torch.cat([eye_y, eye_y, _nose_bottom(identity), _mouth_y(identity)], dim=1)
    half = _half_width(identity, y[..., None])[..., 0]
    longitude = (x / half).clamp(-1, 1).asin() + yaw[:, None]
    return torch.stack([half * longitude.clamp(-math.pi / 2, math.pi / 2).sin(), y], dim=2)


def landmark_maps(places: Tensor, *, side: int = 32) -> Tensor:
    """(n, 4, side, side): 1 in the pixel of each landmark, else 0."""
    pixel = ((places + 1) / 2 * side).long().clamp(0, side - 1)
    maps = torch.zeros(*places.shape[:2], side * side)
    maps.scatter_(2, (pixel[..., 1] * side + pixel[..., 0])[..., None], 1.0)
    return maps.unflatten(2, (side, side))


def light(images: Tensor, *, strength: float = 0.3, noise: float = 0.05, generator: torch.Generator) -> Tensor:
    """Images as photographed: brighter to one side, by a slope that is drawn, and noisy; in [-1, 1]."""
    n, side = len(images), images.shape[3]
    slope = strength * (2 * torch.rand(n, 1, 1, 1, generator=generator) - 1)
    centres = (torch.arange(side) + 0.5) * 2 / side - 1
    lit = (images + 1) * (1 + slope * centres) - 1
    return (lit + noise * torch.randn(images.shape, generator=generator)).clamp(-1, 1)


def _front(identity: Tensor, x: Tensor, y: Tensor, side: int) -> Tensor:
    """(n, 3, H, W) in [0, 1]: the colour of the face at these places (n, H, W)."""
    skin, hair, iris = _between(_SKIN, identity[:, 11]), _hair(identity), _between(_EYES, identity[:, 4])
    image = skin[:, :, None, None].expand(-1, -1, *x.shape[1:])

    def paint(colour: Tensor, cover: Tensor) -> None:
        nonlocal image
        image = torch.lerp(image, colour[:, :, None, None].expand_as(image), cover[:, None])

    def ellipse(at_x: Tensor, at_y: Tensor, half_x: Tensor, half_y: Tensor) -> Tensor:
        radius = ((x - at_x[..., None]) / half_x[..., None]).square() + (
            (y - at_y[..., None]) / half_y[..., None]
        ).square()
        return _cover(radius.sqrt(), torch.minimum(half_x, half_y)[..., None], side)

    eye_x, eye_y = _eyes(identity)
    eye = _scaled(identity, 2, 0.09, 0.17)
    brow_y = eye_y - eye - _scaled(identity, 5, 0.05, 0.14)
    nose_bottom, zero = _nose_bottom(identity), torch.zeros_like(eye)
    hairline = -0.75 + 0.35 * identity[:, 13, None, None]
    paint(hair, ((hairline - y) * side / 2 + 0.5).clamp(0, 1))
    white = torch.ones_like(skin)
    for sign in (-1, 1):
        paint(hair, ellipse(sign * eye_x, brow_y, 1.3 * eye, _scaled(identity, 6, 0.025, 0.07)))
        paint(white, ellipse(sign * eye_x, eye_y, 1.2 * eye, 0.75 * eye))
        paint(iris, ellipse(sign * eye_x, eye_y, 0.6 * eye, 0.65 * eye))
    length = _scaled(identity, 7, 0.15, 0.3)
    paint(0.7 * skin, ellipse(zero, nose_bottom - 0.5 * length, _scaled(identity, 8, 0.05, 0.13), 0.5 * length))
    lips = _LIPS.expand(len(identity), 3)
    paint(lips, ellipse(zero, _mouth_y(identity), _scaled(identity, 9, 0.15, 0.32), torch.full_like(zero, 0.06)))
    return image


def _cover(radius: Tensor, size: Tensor | float, side: int) -> Tensor:
    """Share of a pixel inside an ellipse: `radius` is 1 on its border, `size` its smaller half axis."""
    return ((1 - radius) * size * side / 2 + 0.5).clamp(0, 1)


def _scaled(identity: Tensor, trait: int, low: float, high: float) -> Tensor:
    """(n, 1): a trait in its own unit."""
    return low + (high - low) * identity[:, trait, None]


def _eyes(identity: Tensor) -> tuple[Tensor, Tensor]:
    return _scaled(identity, 1, 0.2, 0.34), _scaled(identity, 3, -0.22, -0.05)


def _nose_bottom(identity: Tensor) -> Tensor:
    return _scaled(identity, 3, -0.05, 0.05) + _scaled(identity, 7, 0.15, 0.3)


def _mouth_y(identity: Tensor) -> Tensor:
    return _scaled(identity, 10, 0.45, 0.58)


def _width(identity: Tensor) -> Tensor:
    """(n, 1, 1): half the width of the head."""
    return _scaled(identity, 0, 0.55, 0.8)[..., None]


def _half_width(identity: Tensor, y: Tensor) -> Tensor:
    return _width(identity) * (1 - ((y - _MIDDLE) / _HALF_HEIGHT).square()).clamp_min(0).sqrt()


def _hair(identity: Tensor) -> Tensor:
    return _between(_HAIR, identity[:, 12])


def _between(ends: Tensor, share: Tensor) -> Tensor:
    return torch.lerp(ends[0], ends[1], share[:, None])
