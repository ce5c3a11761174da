"""Two coupled games that find the relation between two domains."""

from collections.abc import Sequence
from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from generative_core import objectives
from generative_core.adversarial.networks import ConvCritic, leaky_relu
from generative_core.families import Drawn, Terms
from generative_core.nets.conv import ConvDecoder, ConvEncoder
from generative_core.translation.translator import require_weights
from generative_core.translation.unpaired import AbstractUnpairedTranslator


@final
class DiscoGAN(AbstractUnpairedTranslator):
    """Two non-saturating games, D_Y against G: X -> Y and D_X against F: Y -> X, with both reconstructions

        reconstruction_x E ||F(G(x)) - x||^2 + reconstruction_y E ||G(F(y)) - y||^2,

    each the mean over the elements.  With both weights 0 it is two independent GANs, with reconstruction_y = 0 the
    one-sided form that the paper compares with: many x may then become one y.  Generators are plain encoders and
    decoders through a code of `latent` numbers, with no way for the pixels around it, and end in tanh.  A batch is
    (x, y), images in [-1, 1] without pairs.  `channels` are those of the maps after each halving of the sides.  Raises
    ValueError for negative weights and, when called, on sources of another shape.

    Paper: Kim et al. 2017, https://arxiv.org/abs/1703.05192, sec. 2.  Differs: the reconstructions have weights, since
    a mean over the elements is small beside a logarithm.
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        source_shape: Sequence[int] | None = None,
        reconstruction_x: float = 1.0,
        reconstruction_y: float = 1.0,
        latent: int = 100,
        channels: Sequence[int] = (64, 128),
    ) -> None:
        super().__init__()
        self.event_shape = tuple(event_shape)
        self.source_shape = tuple(source_shape) if source_shape is not None else self.event_shape
        require_weights(reconstruction_x=reconstruction_x, reconstruction_y=reconstruction_y)
        self.reconstruction_x = reconstruction_x
        self.reconstruction_y = reconstruction_y
        x, y = self.source_shape, self.event_shape
        self.generator = nn.ModuleDict(
            {
                "to_y": _encoder_decoder(x, y, latent=latent, channels=channels),
                "to_x": _encoder_decoder(y, x, latent=latent, channels=channels),
            }
        )
        self.critic = nn.ModuleDict(
            {
                "y": ConvCritic(y, channels=channels, norm=nn.BatchNorm2d),
                "x": ConvCritic(x, channels=channels, norm=nn.BatchNorm2d),
            }
        )

    def critic_terms(self, drawn: Drawn, *batch: Tensor, generator: torch.Generator | None = None) -> Terms:
        """Cross-entropy of each critic."""
        x, y = batch
        made_y, made_x = drawn
        return {
            "adversarial_y": objectives.bce_critic_loss(self._logit("y", y), self._logit("y", made_y)),
            "adversarial_x": objectives.bce_critic_loss(self._logit("x", x), self._logit("x", made_x)),
        }

    def generator_terms(self, drawn: Drawn, *batch: Tensor, generator: torch.Generator | None = None) -> Terms:
        """-log D of both critics, and the reconstructions."""
        x, y = batch
        made_y, made_x = drawn
        terms = {
            "adversarial_y": objectives.bce_generator_loss(self._logit("y", made_y)),
            "adversarial_x": objectives.bce_generator_loss(self._logit("x", made_x)),
        }
        if self.reconstruction_x > 0:
            terms["reconstruction_x"] = self.reconstruction_x * F.mse_loss(self.translate_back(made_y), x)
        if self.reconstruction_y > 0:
            terms["reconstruction_y"] = self.reconstruction_y * F.mse_loss(self.translate(made_x), y)
        return terms

    def _logit(self, domain: str, images: Tensor) -> Tensor:
        critic = self.critic[domain]
        assert isinstance(critic, ConvCritic)
        return critic.logit(images)


def _encoder_decoder(
    from_shape: Sequence[int], to_shape: Sequence[int], *, latent: int, channels: Sequence[int]
) -> nn.Module:
    return nn.Sequential(
        ConvEncoder(from_shape, latent, channels=channels, activation=leaky_relu, norm=nn.BatchNorm2d),
        nn.ReLU(),
        ConvDecoder(latent, to_shape, channels=tuple(channels)[::-1], norm=nn.BatchNorm2d),
        nn.Tanh(),
    )
