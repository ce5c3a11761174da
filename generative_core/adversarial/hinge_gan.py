"""The hinge game with a critic whose every weight is normalised by its largest singular value."""

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor

from generative_core import objectives
from generative_core.adversarial.networks import ConvCritic, ConvGenerator
from generative_core.families import AbstractCritic, AbstractGAN, Terms
from generative_core.protocols import ScoreKind


@final
class HingeGAN(AbstractGAN):
    """Critic: max E_data min(0, f - 1) + E_model min(0, -f - 1).  Generator: max E_model f.

    Each weight of the critic is divided by its largest singular value, by a power iteration; a kernel counts as a
    matrix, as in the paper, which bounds the slope of its convolution only up to a factor.  A `critic` that is given
    brings its own bound, and its `score_kind` becomes CRITIC_VALUE.  A batch is (x,), images in [-1, 1].

    Papers: spectral normalisation, Miyato et al. 2018, https://arxiv.org/abs/1802.05957, eq. 16-17; the hinge, Lim & Ye
    2017, https://arxiv.org/abs/1705.02894.
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        latent: int = 128,
        channels: Sequence[int] = (128, 64),
        critic: AbstractCritic | None = None,
    ) -> None:
        super().__init__()
        self.event_shape = tuple(event_shape)
        self.generator = ConvGenerator(event_shape, latent=latent, channels=channels)
        if critic is None:
            critic = ConvCritic(event_shape, channels=tuple(channels)[::-1], spectral_norm=True)
        self.critic = critic
        self.critic.score_kind = ScoreKind.CRITIC_VALUE

    def critic_terms(self, drawn: Tensor, *batch: Tensor, generator: torch.Generator | None = None) -> Terms:
        """The hinge on both sides."""
        (x,) = batch
        return {"adversarial": objectives.hinge_critic_loss(self.critic.logit(x), self.critic.logit(drawn))}

    def generator_terms(self, drawn: Tensor, *batch: Tensor, generator: torch.Generator | None = None) -> Terms:
        """-f."""
        return {"adversarial": objectives.hinge_generator_loss(self.critic.logit(drawn))}
