"""The multilayer perceptron that is told the time: what diffusion and flow matching learn vectors with."""

import math
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from generative_core.nets.mlp import MLP


class TimedMLP(nn.Module):
    """z (B, *E), t (B,), context (B, K) -> (B, *E): an MLP that is told cos and sin of 2 pi k t / period, k = 1 to 8.

    Times a whole period apart look the same: the default is for t in [0, 1].
    """

    frequencies: Tensor

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        context_features: int = 0,
        hidden: Sequence[int] = (256, 256, 256),
        activation: Callable[[], nn.Module] = nn.SiLU,
        period: float = 2.0,
    ) -> None:
        super().__init__()
        self.event_shape = tuple(event_shape)
        n_dims = math.prod(self.event_shape)
        self.register_buffer("frequencies", 2 * math.pi / period * torch.arange(1, 9), persistent=False)
        n_in = n_dims + 2 * len(self.frequencies) + context_features
        self.net = MLP(n_in, n_dims, hidden=hidden, activation=activation)

    def forward(
        self, z: Float[Tensor, "B *E"], t: Float[Tensor, "B"], context: Float[Tensor, "B K"] | None = None
    ) -> Float[Tensor, "B *E"]:
        phase = t.unsqueeze(1) * self.frequencies
        parts = [z.flatten(1), phase.cos(), phase.sin()]
        joined = torch.cat(parts if context is None else [*parts, context], dim=1)
        return self.net(joined).unflatten(1, self.event_shape)
