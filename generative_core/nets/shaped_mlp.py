"""The multilayer perceptron between tensors of any shape."""

import math
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from generative_core.nets.mlp import MLP


class ShapedMLP(nn.Module):
    """x (B, *in_shape), context (B, K) -> (B, *out_shape): flatten, join the context, MLP, unflatten."""

    def __init__(
        self,
        in_shape: Sequence[int],
        out_shape: Sequence[int],
        *,
        context_features: int = 0,
        hidden: Sequence[int] = (256, 256),
        activation: Callable[[], nn.Module] = nn.SiLU,
    ) -> None:
        super().__init__()
        self.out_shape = tuple(out_shape)
        self.net = MLP(
            math.prod(in_shape) + context_features, math.prod(self.out_shape), hidden=hidden, activation=activation
        )

    def forward(
        self, x: Float[Tensor, "B *E_in"], context: Float[Tensor, "B K"] | None = None
    ) -> Float[Tensor, "B *E_out"]:
        flat = x.flatten(1)  # (B, *E_in) -> (B, D)
        joined = flat if context is None else torch.cat([flat, context], dim=1)
        return self.net(joined).unflatten(1, self.out_shape)
