"""The generative adversarial network on vectors (or flattened images), from multilayer perceptrons."""

import math
from collections.abc import Callable, Sequence
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from generative_core import objectives
from generative_core.adversarial.critic import MLPCritic
from generative_core.adversarial.networks import leaky_relu
from generative_core.families import AbstractGAN, AbstractGenerator, Terms
from generative_core.nets.mlp import MLP
from generative_core.protocols import ScoreKind


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
class GAN(AbstractGAN):
    """min_G max_D E_data log D(x) + E_z log(1 - D(G(z))).

    At the optimum D = p_data / (p_data + p_model) = 1/2 everywhere and the value is -log 4.  A batch is (x,).  `game`
    holds both losses: `objectives.NON_SATURATING`, `MINIMAX`, `HINGE`, `LEAST_SQUARES` or `WASSERSTEIN`; `r1` weighs
    `objectives.r1_penalty`, without which the players circle around the optimum.  For images in [-1, 1] pass
    `output_activation=nn.Tanh`.  The critic does not normalise: both sides share the data's own scale.

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
        game: objectives.Game = objectives.NON_SATURATING,
        r1: float = 0.0,
    ) -> None:
        super().__init__()
        self.event_shape = tuple(event_shape)
        self.game = game
        self.r1 = r1
        self.generator = MLPGenerator(event_shape, latent=latent, hidden=hidden, output_activation=output_activation)
        is_ratio = game.critic is objectives.bce_critic_loss
        self.critic = MLPCritic(
            event_shape,
            hidden=hidden,
            activation=leaky_relu,
            normalise=False,
            score_kind=ScoreKind.LOG_RATIO if is_ratio else ScoreKind.CRITIC_VALUE,
        )

    def critic_terms(self, drawn: Tensor, *batch: Tensor, generator: torch.Generator | None = None) -> Terms:
        """The loss of the game, and the penalty at the data."""
        (x,) = batch
        terms = {"adversarial": self.game.critic(self.critic.logit(x), self.critic.logit(drawn))}
        if self.r1 > 0:
            terms["r1"] = self.r1 * objectives.r1_penalty(self.critic.logit, x)
        return terms

    def generator_terms(self, drawn: Tensor, *batch: Tensor, generator: torch.Generator | None = None) -> Terms:
        """The loss of the game."""
        return {"adversarial": self.game.generator(self.critic.logit(drawn))}
