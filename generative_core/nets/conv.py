"""Convolutional encoder and decoder: each layer halves or doubles the sides.

Signals (C, T), images (C, H, W) and volumes (C, D, H, W) alike, with sides of any length.
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils import parametrizations

Norm = Callable[[int], nn.Module]
"""Number of channels -> a normalisation layer, such as nn.BatchNorm2d."""

_CONV: dict[int, type[nn.Module]] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
_CONV_TRANSPOSED: dict[int, type[nn.Module]] = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}


def batch_norm(event_shape: Sequence[int]) -> Norm:
    """Batch norm of signals, images or volumes: of maps with the sides of these events."""
    return {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}[len(event_shape) - 1]


class ConvEncoder(nn.Module):
    """x (B, C, *sides), context (B, K) -> (B, out_features): strided convolutions, then a linear layer.

    Every convolution (kernel 4, stride 2) halves the sides, an odd one rounded down.  The context enters as K constant
    channels of the input.  `norm` follows every convolution but the first, as in Radford et al. 2016,
    https://arxiv.org/abs/1511.06434.  Raises ValueError where a side is too short for so many halvings.
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        out_features: int,
        *,
        channels: Sequence[int] = (32, 64),
        context_features: int = 0,
        activation: Callable[[], nn.Module] = nn.ReLU,
        norm: Norm | None = None,
        spectral_norm: bool = False,
    ) -> None:
        super().__init__()
        sides = _halvings(event_shape, len(channels))
        conv = _CONV[len(sides[0])]
        widths = [event_shape[0] + context_features, *channels]
        wrap = parametrizations.spectral_norm if spectral_norm else _unchanged
        layers: list[nn.Module] = []
        for i, (n_in, n_out) in enumerate(pairwise(widths)):
            norms = [norm(n_out)] if norm is not None and i > 0 else []
            conv_layer = conv(n_in, n_out, kernel_size=4, stride=2, padding=1, bias=not norms)
            layers += [wrap(conv_layer), *norms, activation()]
        self.convolutions = nn.Sequential(*layers)
        self.embedding_features = widths[-1] * math.prod(sides[-1])
        self.output = wrap(nn.Linear(self.embedding_features, out_features))

    def forward(self, x: Float[Tensor, "B C *S"], context: Float[Tensor, "B K"] | None = None) -> Float[Tensor, "B F"]:
        return self.output(self.embed(x, context))

    def embed(self, x: Float[Tensor, "B C *S"], context: Float[Tensor, "B K"] | None = None) -> Float[Tensor, "B H"]:
        """The last maps before the linear layer, flattened."""
        return self.convolutions(x if context is None else with_planes(x, context)).flatten(1)


class ConvDecoder(nn.Module):
    """z (B, in_features), context (B, K) -> (B, C, *sides): a linear layer, then transposed convolutions.

    The mirror image of `ConvEncoder`: `channels` are those of the maps before each transposed convolution, which
    doubles the sides, plus one where the encoder rounded down.  The context joins z.  `norm` and the activation follow
    every layer but the last.
    """

    def __init__(
        self,
        in_features: int,
        event_shape: Sequence[int],
        *,
        channels: Sequence[int] = (64, 32),
        context_features: int = 0,
        activation: Callable[[], nn.Module] = nn.ReLU,
        norm: Norm | None = None,
    ) -> None:
        super().__init__()
        sides = _halvings(event_shape, len(channels))[::-1]
        conv = _CONV_TRANSPOSED[len(sides[0])]
        widths = [*channels, event_shape[0]]
        self.first_shape = (widths[0], *sides[0])
        self.input = nn.Linear(in_features + context_features, math.prod(self.first_shape), bias=norm is None)
        layers: list[nn.Module] = []
        for i, ((n_in, n_out), (small, large)) in enumerate(zip(pairwise(widths), pairwise(sides), strict=True)):
            layers += [activation()] if norm is None else [norm(n_in), activation()]
            odd = tuple(b - 2 * a for a, b in zip(small, large, strict=True))
            bias = norm is None or i == len(channels) - 1
            layers.append(conv(n_in, n_out, kernel_size=4, stride=2, padding=1, output_padding=odd, bias=bias))
        self.convolutions = nn.Sequential(*layers)

    def forward(self, z: Float[Tensor, "B Z"], context: Float[Tensor, "B K"] | None = None) -> Float[Tensor, "B C *S"]:
        maps = self.input(z if context is None else torch.cat([z, context], dim=1))
        return self.convolutions(maps.unflatten(1, self.first_shape))  # (B, C0*prod S0) -> (B, C0, *S0) -> (B, C, *S)


def with_planes(x: Float[Tensor, "B C *S"], context: Float[Tensor, "B K"]) -> Float[Tensor, "B C+K *S"]:
    """x with the context behind it, as K constant channels."""
    planes = context.view(*context.shape, *(1 for _ in x.shape[2:])).expand(-1, -1, *x.shape[2:])
    return torch.cat([x, planes], dim=1)


def _halvings(event_shape: Sequence[int], n: int) -> list[tuple[int, ...]]:
    """The sides before, between and after n halvings, rounded down."""
    n_sides = len(event_shape) - 1
    if n_sides not in _CONV:
        raise ValueError(f"convolutions need events (C, T), (C, H, W) or (C, D, H, W), got {tuple(event_shape)}")
    sides = [tuple(side // 2**i for side in event_shape[1:]) for i in range(n + 1)]
    if n == 0 or min(sides[-1]) < 1:
        raise ValueError(
            f"`channels` has one entry for each halving of the sides {tuple(event_shape[1:])}: at least one, at most "
            f"{int(math.log2(min(event_shape[1:])))}; got {n}"
        )
    return sides


def _unchanged(module: nn.Module) -> nn.Module:
    return module
