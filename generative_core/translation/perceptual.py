"""Distances that a fixed network sees: of content, of style, and the roughness of an image."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor


def layers(out: Tensor | Sequence[Tensor]) -> list[Tensor]:
    """What a network of one or of several outputs has made, (B, ...) each, as a list."""
    return [out] if isinstance(out, Tensor) else list(out)


def gram_matrix(maps: Float[Tensor, "B C *S"]) -> Float[Tensor, "B C C"]:
    """phi phi^T / (C prod S) of the maps phi (C, prod S): which channels are active together, and not where.

    Paper: Gatys et al. 2016, https://doi.org/10.1109/CVPR.2016.265, eq. 3; divided as in Johnson et al. 2016,
    https://arxiv.org/abs/1603.08155, eq. 3.
    """
    flat = maps.flatten(2)  # (B, C, prod S)
    return flat @ flat.transpose(1, 2) / (flat.shape[1] * flat.shape[2])


def style_distance(grams: Sequence[Tensor], targets: Sequence[Tensor]) -> Float[Tensor, "B"]:
    """sum_l ||G_l - A_l||_F^2 for an image each (B, C_l, C_l), or one target (1, C_l, C_l) for all."""
    return torch.stack(
        [(a - b).square().flatten(1).sum(1) for a, b in zip(grams, targets, strict=True)],
    ).sum(0)


def content_distance(maps: Float[Tensor, "B *F"], targets: Float[Tensor, "B *F"]) -> Float[Tensor, "B"]:
    """||Phi - Phi'||^2 / (C H W): Johnson et al. 2016, eq. 2."""
    return (maps - targets).square().flatten(1).mean(1)


def total_variation(x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B"]:
    """Mean absolute difference of vertical neighbours plus that of horizontal ones.

    Paper: Rudin et al. 1992, https://doi.org/10.1016/0167-2789(92)90242-F, in its anisotropic form.
    """
    vertical = (x[:, :, 1:] - x[:, :, :-1]).abs().flatten(1).mean(1)
    horizontal = (x[:, :, :, 1:] - x[:, :, :, :-1]).abs().flatten(1).mean(1)
    return vertical + horizontal
