"""The GAN that is told what to make."""

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor

from generative_core import objectives
from generative_core.adversarial.networks import ConvCritic, ConvGenerator, start_small
from generative_core.families import AbstractGAN, Terms
from generative_core.nets.conv import batch_norm


@final
class ConditionalGAN(AbstractGAN):
    """min_G max_D E log D(x | y) + E log(1 - D(G(z | y) | y)): both players read the context y.

    A batch is (x, context) with context (B, K), such as one-hot classes.  It joins the noise in the generator and
    enters the critic as constant channels of the image.

    Paper: Mirza & Osindero 2014, https://arxiv.org/abs/1411.1784.  Differs: DCGAN's convolutional players, where the
    paper has maxout perceptrons.
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        context_features: int,
        latent: int = 100,
        channels: Sequence[int] = (128, 64),
    ) -> None:
        super().__init__()
        self.event_shape = tuple(event_shape)
        self.context_features = context_features
        self.generator = ConvGenerator(event_shape, latent=latent, context_features=context_features, channels=channels)
        self.critic = ConvCritic(
            event_shape,
            context_features=context_features,
            channels=tuple(channels)[::-1],
            norm=batch_norm(event_shape),
        )
        self.apply(start_small)

    def critic_terms(self, drawn: Tensor, *batch: Tensor, generator: torch.Generator | None = None) -> Terms:
        """Cross-entropy, both sides with the same contexts."""
        x, context = batch
        logits = self.critic.logit(x, context), self.critic.logit(drawn, context)
        return {"adversarial": objectives.bce_critic_loss(*logits)}

    def generator_terms(self, drawn: Tensor, *batch: Tensor, generator: torch.Generator | None = None) -> Terms:
        """-log D."""
        _, context = batch
        return {"adversarial": objectives.bce_generator_loss(self.critic.logit(drawn, context))}
