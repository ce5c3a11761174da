"""The GAN that draws what a list of attributes says, with an enlarging residual generator."""

from collections.abc import Sequence
from typing import final

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from generative_core import objectives
from generative_core.adversarial.networks import leaky_relu
from generative_core.families import AbstractCritic, AbstractGAN, AbstractGenerator, Terms
from generative_core.nets.conv import ConvEncoder
from generative_core.nets.resnet import SRResNet


@final
class AttributeGAN(AbstractGAN):
    """x = G(z, a): the critic judges whether x is real and, in a second head, which attributes it shows.

        critic:     BCE(real, drawn) + attribute_weight E sum_k -log P(a_k | x) + penalty E (||grad logit|| - 1)^2
        generator:  -log D(G(z, a))  + attribute_weight E sum_k -log P(a_k | G(z, a))

    A batch is (x, a): images (C, H, W) in [-1, 1], sides divisible by 4, and attributes (B, K) of 0 and 1, such as
    one-hot classes side by side.  The generator is a super-resolution network that enlarges dense maps of a quarter of
    the sides by pixel shuffle; the penalty is DRAGAN's, around the data, and 0 leaves it out.  The second head learns
    from the data alone.  Raises ValueError for other sides, and for attributes that are missing or too few.

    Paper: Jin et al. 2017, https://arxiv.org/abs/1708.05509, sec. 3.  Differs: strided convolutions without residual
    blocks in the critic, and the attributes of a drawing are those of the batch.
    """

    critic: "_TwoHeads"

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        n_attributes: int,
        latent: int = 128,
        channels: int = 64,
        blocks: int = 16,
        critic_channels: Sequence[int] = (64, 128),
        attribute_weight: float = 1.0,
        penalty: float = 0.5,
    ) -> None:
        super().__init__()
        self.event_shape = tuple(event_shape)
        if len(self.event_shape) != 3 or self.event_shape[1] % 4 or self.event_shape[2] % 4:
            raise ValueError(f"AttributeGAN makes images (C, H, W) with sides divisible by 4, got {self.event_shape}")
        self.attribute_weight = attribute_weight
        self.penalty = penalty
        self.generator = _EnlargingGenerator(self.event_shape, n_attributes, latent, channels, blocks)
        self.critic = _TwoHeads(self.event_shape, n_attributes, critic_channels)

    def critic_terms(self, drawn: Tensor, *batch: Tensor, generator: torch.Generator | None = None) -> Terms:
        """Cross-entropy of both heads, and the penalty."""
        x, attributes = batch
        logit, attribute_logits = self.critic.heads(x)
        terms = {
            "adversarial": objectives.bce_critic_loss(logit, self.critic.logit(drawn)),
            "attributes": self.attribute_weight * attribute_loss(attribute_logits, attributes),
        }
        if self.penalty > 0:
            terms["dragan"] = self.penalty * objectives.dragan_penalty(self.critic.logit, x, generator=generator)
        return terms

    def generator_terms(self, drawn: Tensor, *batch: Tensor, generator: torch.Generator | None = None) -> Terms:
        """-log D, and the attributes that were asked for."""
        _, attributes = batch
        logit, attribute_logits = self.critic.heads(drawn)
        return {
            "adversarial": objectives.bce_generator_loss(logit),
            "attributes": self.attribute_weight * attribute_loss(attribute_logits, attributes),
        }


def attribute_loss(logits: Float[Tensor, "B K"], attributes: Float[Tensor, "B K"]) -> Float[Tensor, ""]:
    """E sum_k -log P(a_k), nats, each attribute a coin of its own; K log 2 where nothing is known."""
    return F.binary_cross_entropy_with_logits(logits, attributes, reduction="none").sum(1).mean()


class _EnlargingGenerator(AbstractGenerator):
    """tanh(SRResNet(dense(z, attributes))), from a quarter of the sides."""

    def __init__(
        self, event_shape: tuple[int, ...], n_attributes: int, latent: int, channels: int, blocks: int
    ) -> None:
        super().__init__()
        self.event_shape = event_shape
        self.latent_features = latent
        self.n_attributes = n_attributes
        self.first_shape = (channels, event_shape[1] // 4, event_shape[2] // 4)
        n_first = channels * self.first_shape[1] * self.first_shape[2]
        dense = nn.Linear(latent + n_attributes, n_first, bias=False)
        self.input = nn.Sequential(dense, nn.BatchNorm1d(n_first), nn.ReLU())
        self.enlarge = SRResNet(channels, event_shape[0], scale=4, channels=channels, blocks=blocks)

    def forward(self, z: Float[Tensor, "n Z"], context: Float[Tensor, "n K"] | None = None) -> Float[Tensor, "n C H W"]:
        """One image for each latent and its attributes."""
        got = None if context is None else tuple(context.shape[1:])
        if context is None or got != (self.n_attributes,):
            raise ValueError(
                f"AttributeGAN draws attributes: give some (n, {self.n_attributes}) as the context; got {got}"
            )
        maps = self.input(torch.cat([z, context], dim=1)).unflatten(1, self.first_shape)  # (n, C h w) -> (n, C, h, w)
        return self.enlarge(maps).tanh()


class _TwoHeads(AbstractCritic):
    """One body of strided convolutions, no norm, with a head for D and one for the attributes."""

    def __init__(self, event_shape: tuple[int, ...], n_attributes: int, channels: Sequence[int]) -> None:
        super().__init__()
        self.event_shape = event_shape
        self.body = ConvEncoder(event_shape, 1 + n_attributes, channels=channels, activation=leaky_relu)

    def heads(self, x: Float[Tensor, "B C H W"]) -> tuple[Float[Tensor, "B"], Float[Tensor, "B K"]]:
        """(logit, logits of the attributes)."""
        both = self.body(x)
        return both[:, 0], both[:, 1:]

    def logit(self, x: Float[Tensor, "B C H W"], context: Tensor | None = None) -> Float[Tensor, "B"]:
        """> 0: looks like the data; the attributes are no input."""
        return self.heads(x)[0]
