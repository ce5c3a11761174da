"""The GAN of volumes, whose critic rests while it is ahead."""

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor, nn

from generative_core import objectives
from generative_core.adversarial.networks import ConvCritic, ConvGenerator, accuracy, start_small
from generative_core.families import AbstractGAN, Terms
from generative_core.nets.conv import batch_norm


@final
class GAN3D(AbstractGAN):
    """DCGAN's game on volumes: min_G max_D E log D(x) + E log(1 - D(G(z))), D taught only while it can be fooled.

    A batch is (x,), volumes (C, D, H, W) of occupancies in [0, 1].  Volumetric transposed convolutions (kernel 4,
    stride 2), batch norm and ReLU in the generator, which ends in a sigmoid; their mirror image with LeakyReLU(0.2) in
    the critic.  `channels` are the generator's maps before each doubling of the sides.  In a round in which the critic
    puts more than `gate` of the batch's events on the right side it has no terms and rests, but for the running
    statistics of its norms; at `gate` = 1 it never does.  Raises ValueError for events that are no volumes or a gate
    outside [0, 1].

    Paper: Wu et al. 2016, https://arxiv.org/abs/1610.07584, sec. 3.1.  Differs: normal noise instead of uniform, a
    dense layer before the first maps, DCGAN's first weights, the non-saturating loss, and the accuracy that decides is
    that of the batch at hand, not of the last.
    """

    critic: ConvCritic

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        latent: int = 200,
        channels: Sequence[int] = (128, 64),
        gate: float = 0.8,
    ) -> None:
        super().__init__()
        if len(event_shape) != 4:
            raise ValueError(f"GAN3D makes volumes (C, D, H, W), got {tuple(event_shape)}; for images use DCGAN")
        if not 0 <= gate <= 1:
            raise ValueError(f"gate is an accuracy in [0, 1], got {gate}; at 1 the critic never rests")
        self.event_shape = tuple(event_shape)
        self.gate = gate
        self.generator = ConvGenerator(event_shape, latent=latent, channels=channels, output_activation=nn.Sigmoid)
        self.critic = ConvCritic(event_shape, channels=tuple(channels)[::-1], norm=batch_norm(event_shape))
        self.apply(start_small)

    def critic_terms(self, drawn: Tensor, *batch: Tensor, generator: torch.Generator | None = None) -> Terms:
        """Cross-entropy, or nothing where the critic is ahead."""
        (x,) = batch
        return gated_cross_entropy(self.critic.logit(x), self.critic.logit(drawn), gate=self.gate)

    def generator_terms(self, drawn: Tensor, *batch: Tensor, generator: torch.Generator | None = None) -> Terms:
        """-log D."""
        return {"adversarial": objectives.bce_generator_loss(self.critic.logit(drawn))}


def gated_cross_entropy(logit_data: Tensor, logit_model: Tensor, *, gate: float) -> Terms:
    """A critic's cross-entropy; no terms where more than `gate` of both sides are on the right one."""
    if accuracy(logit_data, logit_model) > gate:
        return {}
    return {"adversarial": objectives.bce_critic_loss(logit_data, logit_model)}
