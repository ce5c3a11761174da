"""Networks that are used and not trained."""

import copy
from collections.abc import Sequence
from typing import Any, Generic, TypeVar, final

import torch
from torch import nn

Net = TypeVar("Net", bound=nn.Module)


@final
class Frozen(nn.Module, Generic[Net]):
    """A copy of a network that nothing trains: no gradients of its weights, in evaluation mode whatever the model's.

    Differentiable in its input.  `net` is the copy, saved with the model that holds this.
    """

    net: Net

    def __init__(self, net: Net) -> None:
        super().__init__()
        self.net = copy.deepcopy(net).eval().requires_grad_(False)

    def train(self, mode: bool = True) -> "Frozen[Net]":
        """Nothing changes: batch statistics must not move."""
        return super().train(False)

    def forward(self, *inputs: Any, **options: Any) -> Any:
        """What the network makes of it."""
        return self.net(*inputs, **options)

    @torch.no_grad()
    def probe(self, event_shape: Sequence[int]) -> Any:
        """What it makes of one event of zeros, where its weights are: to check shapes when a model is built."""
        weights = (tensor for tensor in (*self.parameters(), *self.buffers()) if tensor.is_floating_point())
        like = next(weights, torch.zeros(()))
        return self.net(like.new_zeros(1, *event_shape))
