"""The Wasserstein GAN whose critic is kept 1-Lipschitz by a penalty on its gradient."""

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor

from generative_core import objectives
from generative_core.adversarial.networks import ConvCritic, ConvGenerator
from generative_core.families import AbstractCritic, AbstractGAN, AbstractGenerator, Terms
from generative_core.protocols import ScoreKind


@final
class WGANGP(AbstractGAN):
    """min_G max_f E_data f(x) - E_model f(x) - penalty * E (||grad f|| - 1)^2 at random mixes of the two sides.

    A batch is (x,).  The critic has no batch norm: the penalty is an event's own.  Train with
    `AdversarialStep(model, lr=1e-4, critic_steps=5, betas=(0.0, 0.9))`, the paper's Adam.  `generator` and `critic`
    take the place of the convolutional players: `MLPGenerator` and `MLPCritic` for vectors; the critic's `score_kind`
    becomes CRITIC_VALUE.

    Paper: Gulrajani et al. 2017, https://arxiv.org/abs/1704.00028, algorithm 1.
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        penalty: float = 10.0,
        latent: int = 128,
        channels: Sequence[int] = (128, 64),
        generator: AbstractGenerator | None = None,
        critic: AbstractCritic | None = None,
    ) -> None:
        super().__init__()
        self.event_shape = tuple(event_shape)
        self.penalty = penalty
        if generator is None:
            generator = ConvGenerator(event_shape, latent=latent, channels=channels)
        if critic is None:
            critic = ConvCritic(event_shape, channels=tuple(channels)[::-1])
        self.generator, self.critic = generator, critic
        self.critic.score_kind = ScoreKind.CRITIC_VALUE

    def critic_terms(self, drawn: Tensor, *batch: Tensor, generator: torch.Generator | None = None) -> Terms:
        """Minus the estimate of the distance, and the penalty."""
        (x,) = batch
        terms = {"adversarial": objectives.wasserstein_critic_loss(self.critic.logit(x), self.critic.logit(drawn))}
        if self.penalty > 0:
            penalty = objectives.gradient_penalty(self.critic.logit, x, drawn, generator=generator)
            terms["gradient_penalty"] = self.penalty * penalty
        return terms

    def generator_terms(self, drawn: Tensor, *batch: Tensor, generator: torch.Generator | None = None) -> Terms:
        """-f."""
        return {"adversarial": objectives.wasserstein_generator_loss(self.critic.logit(drawn))}
