"""The GAN of strided convolutions, on images, signals and volumes."""

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor

from generative_core import objectives
from generative_core.adversarial.networks import ConvCritic, ConvGenerator, start_small
from generative_core.families import AbstractGAN, Terms
from generative_core.nets.conv import batch_norm


@final
class DCGAN(AbstractGAN):
    """The non-saturating game between two convolutional networks: no pooling, no hidden dense layers, batch norm.

    Transposed convolutions and ReLU in the generator, which ends in tanh; strided ones and LeakyReLU(0.2) in the
    critic; weights from N(0, 0.02^2).  A batch is (x,), images in [-1, 1]; the critic sees data and drawings in batches
    of their own, which its batch norm relies on.  `channels` are the generator's maps before each doubling of the
    sides, the critic's are their mirror image.  Train with `AdversarialStep`'s defaults, the paper's Adam(2e-4, 0.5).

    Paper: Radford et al. 2016, https://arxiv.org/abs/1511.06434, sec. 3.
    """

    critic: ConvCritic

    def __init__(self, event_shape: Sequence[int], *, latent: int = 100, channels: Sequence[int] = (128, 64)) -> None:
        super().__init__()
        self.event_shape = tuple(event_shape)
        self.generator = ConvGenerator(event_shape, latent=latent, channels=channels)
        self.critic = ConvCritic(event_shape, channels=tuple(channels)[::-1], norm=batch_norm(event_shape))
        self.apply(start_small)

    def critic_terms(self, drawn: Tensor, *batch: Tensor, generator: torch.Generator | None = None) -> Terms:
        """Cross-entropy."""
        (x,) = batch
        return {"adversarial": objectives.bce_critic_loss(self.critic.logit(x), self.critic.logit(drawn))}

    def generator_terms(self, drawn: Tensor, *batch: Tensor, generator: torch.Generator | None = None) -> Terms:
        """-log D."""
        return {"adversarial": objectives.bce_generator_loss(self.critic.logit(drawn))}
