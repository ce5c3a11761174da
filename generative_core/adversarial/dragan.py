"""The game whose critic is kept smooth around the data."""

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor

from generative_core import objectives
from generative_core.adversarial.networks import ConvCritic, ConvGenerator
from generative_core.families import AbstractCritic, AbstractGAN, AbstractGenerator, Terms


@final
class DRAGAN(AbstractGAN):
    """The non-saturating game with penalty * E (||grad logit|| - 1)^2 at the data plus noise of half their spread.

    A batch is (x,).  No batch norm in the critic.  `generator` and `critic` take the place of the convolutional
    players.  The penalty is on the logit, as in the authors' code.

    Paper: Kodali et al. 2017, https://arxiv.org/abs/1705.07215.
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        penalty: float = 10.0,
        latent: int = 100,
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

    def critic_terms(self, drawn: Tensor, *batch: Tensor, generator: torch.Generator | None = None) -> Terms:
        """Cross-entropy and the penalty."""
        (x,) = batch
        terms = {"adversarial": objectives.bce_critic_loss(self.critic.logit(x), self.critic.logit(drawn))}
        if self.penalty > 0:
            terms["dragan"] = self.penalty * objectives.dragan_penalty(self.critic.logit, x, generator=generator)
        return terms

    def generator_terms(self, drawn: Tensor, *batch: Tensor, generator: torch.Generator | None = None) -> Terms:
        """-log D."""
        return {"adversarial": objectives.bce_generator_loss(self.critic.logit(drawn))}
