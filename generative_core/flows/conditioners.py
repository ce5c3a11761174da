"""The nets inside coupling layers: what is kept, and the context, in; parameters for what moves, out.

The last layer starts at zero, so that every coupling starts as the identity.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from generative_core.nets.mlp import MLP

NetFactory = Callable[[int, int], nn.Module]
"""(n_in, n_out) -> the net of one coupling."""


@final
class MLPConditioner(nn.Module):
    """(B, n_in), context (B, K) -> (B, n_out): a multilayer perceptron on [x, context]."""

    def __init__(
        self,
        n_in: int,
        n_out: int,
        *,
        hidden: Sequence[int],
        context_features: int = 0,
        activation: Callable[[], nn.Module] = nn.ReLU,
    ) -> None:
        super().__init__()
        self.net = MLP(n_in + context_features, n_out, hidden=hidden, activation=activation)
        _zero(self.net.layers[-1])

    def forward(
        self, x: Float[Tensor, "B n_in"], context: Float[Tensor, "B K"] | None = None
    ) -> Float[Tensor, "B n_out"]:
        return self.net(x if context is None else torch.cat([x, context], dim=1))


@final
class ConvConditioner(nn.Module):
    """(B, n_in, H, W), context (B, K) -> (B, n_out, H, W): a 3x3 convolution, residual blocks, a 3x3 convolution.

    A block is a 3x3 and a 1x1 convolution from width to width; `hidden` holds a width for the first layer and one more
    for each block, all equal.  The context is added to every hidden layer as a bias a channel.  Raises ValueError on
    unequal widths.
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        *,
        hidden: Sequence[int],
        context_features: int = 0,
        activation: Callable[[], nn.Module] = nn.ReLU,
    ) -> None:
        super().__init__()
        if len(set(hidden)) != 1:
            raise ValueError(f"the residual blocks of a coupling need equal widths, at least one, got {tuple(hidden)}")
        width = hidden[0]
        self.first = nn.Conv2d(n_in, width, 3, padding=1)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                activation(), nn.Conv2d(n_before, width, 3, padding=1), activation(), nn.Conv2d(width, width, 1)
            )
            for n_before, _ in pairwise(hidden)
        )
        self.last = nn.Sequential(activation(), _zero(nn.Conv2d(width, n_out, 3, padding=1)))
        # no bias of its own: the convolutions have one
        self.context = nn.Linear(context_features, len(hidden) * width, bias=False) if context_features else None

    def forward(
        self, x: Float[Tensor, "B n_in H W"], context: Float[Tensor, "B K"] | None = None
    ) -> Float[Tensor, "B n_out H W"]:
        h = self.first(x)
        if self.context is None:
            for block in self.blocks:
                h = h + block(h)
            return self.last(h)
        biases = self.context(context)[:, :, None, None].chunk(1 + len(self.blocks), dim=1)  # each (B, width, 1, 1)
        h = h + biases[0]
        for block, bias in zip(self.blocks, biases[1:], strict=True):
            h = h + block(h) + bias
        return self.last(h)


def _zero(layer: nn.Module) -> nn.Module:
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer
