"""The generative adversarial network on vectors (or flattened images), from multilayer perceptrons."""

import math
from collections.abc import Callable, Sequence
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from generative_core.adversarial.critic import MLPCritic
from generative_core.families import AbstractGenerator
from generative_core.nets.mlp import MLP


@final
class MLPGenerator(AbstractGenerator):
    """x = output_activation(MLP(z)), z ~ N(0, I), shaped to `event_shape`."""

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        latent: int = 64,
        hidden: Sequence[int] = (256, 256),
        activation: Callable[[], nn.Module] = nn.ReLU,
        output_activation: Callable[[], nn.Module] = nn.Identity,
    ) -> None:
        super().__init__()
        self.event_shape = tuple(event_shape)
        self.latent_features = latent
        self.net = MLP(latent, math.prod(self.event_shape), hidden=hidden, activation=activation)
        self.output_activation = output_activation()

    def forward(self, z: Float[Tensor, "n Z"], context: Float[Tensor, "n *K"] | None = None) -> Float[Tensor, "n *E"]:
        """One event for each latent.  Raises ValueError on a context: this model is unconditional."""
        if context is not None:
            raise ValueError("MLPGenerator is unconditional: call it without context")
        return self.output_activation(self.net(z)).unflatten(1, self.event_shape)  # (n, prod E) -> (n, *E)


@final
class GAN(nn.Module):
    """min_G max_D E_data log D(x) + E_z log(1 - D(G(z))).

    At the optimum D = 1/2 everywhere and the value is -log 4.  Train it with `AdversarialStep`.  For images in [-1, 1]
    pass `output_activation=nn.Tanh`.  The critic does not normalise: both sides share the data's own scale.

    Paper: Goodfellow et al. 2014, https://arxiv.org/abs/1406.2661.  Differs: normal instead of uniform noise; LeakyReLU
    instead of maxout in the critic.
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        latent: int = 64,
        hidden: Sequence[int] = (256, 256),
        output_activation: Callable[[], nn.Module] = nn.Identity,
    ) -> None:
        super().__init__()
        self.event_shape = tuple(event_shape)
        self.generator = MLPGenerator(event_shape, latent=latent, hidden=hidden, output_activation=output_activation)
        self.critic = MLPCritic(event_shape, hidden=hidden, activation=_leaky_relu, normalise=False)

    def sample(
        self, n: int, context: Float[Tensor, "n *K"] | None = None, *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "n *E"]:
        """n draws from the generator; `generator` is the random one."""
        return self.generator.sample(n, context, generator=generator)


def _leaky_relu() -> nn.Module:
    return nn.LeakyReLU(0.2)
