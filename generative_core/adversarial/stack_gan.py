"""The stack of GANs that draws a caption: coarse first, refined by the next."""

import copy
from collections.abc import Sequence
from typing import final

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from generative_core import objectives
from generative_core.adversarial.networks import leaky_relu, start_small
from generative_core.families import AbstractCritic, AbstractGAN, AbstractGenerator, Terms
from generative_core.nets.conv import ConvDecoder, ConvEncoder, with_planes
from generative_core.nets.resnet import ResidualBlock
from generative_core.protocols import ScoreKind


@final
class StackGAN(AbstractGAN):
    """One stage: x = G(z, c), or x = G(below(z, t), c) on top of a stage that is trained, with c drawn about the text.

        c ~ N(mu(t), diag sigma(t)^2)                                                  conditioning augmentation
        critic:     -log D(x, t) - m log(1 - D(x, t')) - (1 - m) log(1 - D(G, t))      t' of another row of the batch
        generator:  -log D(G, t) + kl KL(N(mu(t), diag sigma(t)^2) || N(0, I)) / conditions

    A batch is (x, t): images (C, H, W) in [-1, 1] and embeddings of their captions (B, K), such as bags of words.
    `below` is the stage of half the sides; this one keeps a copy of it, which stays as it is, and enlarges what it
    draws.  `mismatch` is m, the share of real images with wrong captions among what the critic is to refuse; 0 leaves
    them out.  A row whose neighbour has the same caption makes no wrong pair.  Raises ValueError where the sides are
    not twice those of `below`, or `mismatch` is outside [0, 1).

    Paper: Zhang et al. 2017, https://arxiv.org/abs/1612.03242, sec. 3; the wrong captions: Reed et al. 2016,
    https://arxiv.org/abs/1605.05396, sec. 4.2.  Differs: no batch norm in the critic, smaller networks, and any number
    of stages.
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        text_features: int,
        below: "StackGAN | None" = None,
        latent: int = 64,
        conditions: int = 16,
        channels: Sequence[int] = (128, 64),
        blocks: int = 2,
        mismatch: float = 0.5,
        kl: float = 1.0,
    ) -> None:
        super().__init__()
        self.event_shape = tuple(event_shape)
        self.text_features = text_features
        if below is not None:
            colours, *sides = below.event_shape
            if (colours, *(2 * side for side in sides)) != self.event_shape or any(side % 2 for side in sides):
                raise ValueError(
                    f"a stage doubles the sides of the one below, which are even, and keeps its colours: on "
                    f"{below.event_shape} stands no stage of {self.event_shape}"
                )
            if below.text_features != text_features:
                raise ValueError(
                    f"both stages read the same captions: the one below has text_features={below.text_features}, got "
                    f"{text_features}"
                )
        if not 0 <= mismatch < 1:
            raise ValueError(f"mismatch is a share in [0, 1), got {mismatch}; 0 leaves wrong captions out")
        self.mismatch, self.kl = mismatch, kl
        self.generator: _First | _Next
        if below is None:
            self.generator = _First(self.event_shape, text_features, latent, conditions, channels)
        else:
            self.generator = _Next(self.event_shape, text_features, below.generator, conditions, channels, blocks)
        self.critic = _MatchCritic(self.event_shape, text_features, conditions, tuple(channels)[::-1])

    def critic_terms(self, drawn: Tensor, *batch: Tensor, generator: torch.Generator | None = None) -> Terms:
        """Real images with their captions against drawings with theirs and real images with others'."""
        x, text = batch
        terms = {
            "matching": F.softplus(-self.critic.logit(x, text)).mean(),
            "drawn": (1 - self.mismatch) * F.softplus(self.critic.logit(drawn, text)).mean(),
        }
        if self.mismatch > 0:
            other = text.roll(1, 0)
            differs = (other != text).any(1).float()
            refused = F.softplus(self.critic.logit(x, other)) * differs
            terms["mismatched"] = self.mismatch * refused.sum() / differs.sum().clamp(min=1)
        return terms

    def generator_terms(self, drawn: Tensor, *batch: Tensor, generator: torch.Generator | None = None) -> Terms:
        """-log D, and the divergence that keeps captions near one another."""
        _, text = batch
        return {
            "adversarial": objectives.bce_generator_loss(self.critic.logit(drawn, text)),
            "kl": self.kl * self.generator.augmentation.kl(text).mean(),
        }


class Augmentation(nn.Module):
    """t (B, K) -> N(mu(t), diag sigma(t)^2) over conditions (B, C)."""

    def __init__(self, text_features: int, conditions: int) -> None:
        super().__init__()
        self.conditions = conditions
        self.output = nn.Linear(text_features, 2 * conditions)

    def forward(self, text: Float[Tensor, "B K"], noise: Float[Tensor, "B C"]) -> Float[Tensor, "B C"]:
        """mu(t) + sigma(t) noise."""
        mean, log_std = self.output(text).chunk(2, dim=1)
        return mean + log_std.exp() * noise

    def kl(self, text: Float[Tensor, "B K"]) -> Float[Tensor, "B"]:
        """KL(N(mu, diag sigma^2) || N(0, I)), nats a condition: the mean over conditions."""
        mean, log_std = self.output(text).chunk(2, dim=1)
        return 0.5 * (mean.square() + (2 * log_std).exp() - 1 - 2 * log_std).mean(1)


class _First(AbstractGenerator):
    """Transposed convolutions from (z, c)."""

    def __init__(
        self, event_shape: tuple[int, ...], text_features: int, latent: int, conditions: int, channels: Sequence[int]
    ) -> None:
        super().__init__()
        self.event_shape = event_shape
        self.latent_features = latent + conditions  # z, and the noise of c
        self.augmentation = Augmentation(text_features, conditions)
        self.decoder = ConvDecoder(latent + conditions, event_shape, channels=channels, norm=nn.BatchNorm2d)
        self.decoder.apply(start_small)

    def forward(self, z: Float[Tensor, "n Z"], context: Float[Tensor, "n K"] | None = None) -> Float[Tensor, "n C H W"]:
        noise, own = z.split([self.latent_features - self.augmentation.conditions, self.augmentation.conditions], 1)
        return self.decoder(
            torch.cat([noise, self.augmentation(_given(context, self.augmentation.output), own)], dim=1)
        ).tanh()


class _Next(AbstractGenerator):
    """The image of the stage below, halved, beside c, through residual blocks, and doubled twice."""

    def __init__(
        self,
        event_shape: tuple[int, ...],
        text_features: int,
        below: "_First | _Next",
        conditions: int,
        channels: Sequence[int],
        blocks: int,
    ) -> None:
        super().__init__()
        self.event_shape = event_shape
        self.below = copy.deepcopy(below).requires_grad_(False).eval()
        self.latent_features = below.latent_features + conditions
        self.augmentation = Augmentation(text_features, conditions)
        many, few = channels[0], channels[-1]
        self.down = nn.Sequential(
            nn.Conv2d(event_shape[0], few, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(few, many, 4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(many),
            nn.ReLU(),
        )
        self.up = nn.Sequential(
            nn.Conv2d(many + conditions, many, 3, padding=1, bias=False),
            nn.BatchNorm2d(many),
            nn.ReLU(),
            *(ResidualBlock(many, norm=nn.BatchNorm2d) for _ in range(blocks)),
            nn.ConvTranspose2d(many, few, 4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(few),
            nn.ReLU(),
            nn.ConvTranspose2d(few, event_shape[0], 4, stride=2, padding=1),
        )

    def train(self, mode: bool = True) -> "_Next":
        super().train(mode)
        self.below.eval()  # what is below stays as it is, its batch norms too
        return self

    def forward(self, z: Float[Tensor, "n Z"], context: Float[Tensor, "n K"] | None = None) -> Float[Tensor, "n C H W"]:
        noise, own = z.split([self.below.latent_features, self.augmentation.conditions], 1)
        coarse = self.below(noise, context)
        return self.up(
            with_planes(self.down(coarse), self.augmentation(_given(context, self.augmentation.output), own))
        ).tanh()


class _MatchCritic(AbstractCritic):
    """Strided convolutions, then a layer over their maps beside the compressed text at every place."""

    def __init__(
        self, event_shape: tuple[int, ...], text_features: int, conditions: int, channels: Sequence[int]
    ) -> None:
        super().__init__()
        self.event_shape = event_shape
        encoder = ConvEncoder(event_shape, 1, channels=channels, activation=leaky_relu)
        self.convolutions, self.output = encoder.convolutions, encoder.output
        self.score_kind = ScoreKind.CRITIC_VALUE  # half of what it refuses are real images
        self.text = nn.Linear(text_features, conditions)
        self.joint = nn.Sequential(nn.Conv2d(channels[-1] + conditions, channels[-1], 1), leaky_relu())

    def logit(self, x: Float[Tensor, "B C H W"], context: Float[Tensor, "B K"] | None = None) -> Float[Tensor, "B"]:
        """> 0: a real image, and one that this caption tells of."""
        maps = self.joint(with_planes(self.convolutions(x), leaky_relu()(self.text(_given(context, self.text)))))
        return self.output(maps.flatten(1)).squeeze(1)


def _given(text: Tensor | None, linear: nn.Linear) -> Tensor:
    """The text, as the layer that reads it takes it.  Raises ValueError on another or none."""
    got = None if text is None else tuple(text.shape[1:])
    if text is None or got != (linear.in_features,):
        raise ValueError(
            f"StackGAN draws captions: give embeddings (n, {linear.in_features}) as the context; got {got}"
        )
    return text
