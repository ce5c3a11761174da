"""Two coupled games that find the relation between two domains."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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
    one-sided form that the paper compares with: many x may then become one y.

    Two settings are the authors' released code's (https://github.com/SKTBrain/DiscoGAN) and not the paper's.
    `feature_matching` weighs, in both domains, the mean over a critic's features of the squared difference of their
    means over data and translations.  During the first `curriculum` rounds the reconstructions have a hundredth of
    their weights.  The code's proportions are feature_matching 9, reconstructions 10 and a curriculum of 10,000 rounds.

    Generators are plain encoders and decoders through a code of `latent` numbers, with no way for the pixels around it,
    and end in tanh; their batch norm remembers the statistics of data, and not of translations on their way back.  A
    batch is (x, y), images in [-1, 1] without pairs.  `channels` are those of the maps after each halving of the sides.
    Raises ValueError for negative weights and rounds and, when called, on sources of another shape.

    Paper: Kim et al. 2017, https://arxiv.org/abs/1703.05192, sec. 2.  Differs: the reconstructions have weights, since
    a mean over the elements is small beside a logarithm; the features are the last maps alone, where the code has more.
    """

    rounds: Tensor

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        source_shape: Sequence[int] | None = None,
        reconstruction_x: float = 1.0,
        reconstruction_y: float = 1.0,
        feature_matching: float = 0.0,
        curriculum: int = 0,
        latent: int = 100,
        channels: Sequence[int] = (64, 128),
    ) -> None:
        super().__init__()
        self.event_shape = tuple(event_shape)
        self.source_shape = tuple(source_shape) if source_shape is not None else self.event_shape
        require_weights(
            reconstruction_x=reconstruction_x, reconstruction_y=reconstruction_y, feature_matching=feature_matching
        )
        if curriculum < 0:
            raise ValueError(f"curriculum is a number of rounds, 0 or more; got {curriculum}")
        self.reconstruction_x = reconstruction_x
        self.reconstruction_y = reconstruction_y
        self.feature_matching = feature_matching
        self.curriculum = curriculum
        self.register_buffer("rounds", torch.zeros((), dtype=torch.int64))
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
        """Cross-entropy of each critic; a call is a round of the curriculum."""
        x, y = batch
        made_y, made_x = drawn
        self.rounds += 1
        return {
            "adversarial_y": objectives.bce_critic_loss(self._critic("y").logit(y), self._critic("y").logit(made_y)),
            "adversarial_x": objectives.bce_critic_loss(self._critic("x").logit(x), self._critic("x").logit(made_x)),
        }

    def generator_terms(self, drawn: Drawn, *batch: Tensor, generator: torch.Generator | None = None) -> Terms:
        """-log D of both critics, their features and the reconstructions."""
        x, y = batch
        made_y, made_x = drawn
        terms = {}
        for domain, real, made in (("y", y, made_y), ("x", x, made_x)):
            critic = self._critic(domain)
            terms[f"adversarial_{domain}"] = objectives.bce_generator_loss(critic.logit(made))
            if self.feature_matching > 0:
                apart = objectives.feature_matching_loss(critic.embed(real), critic.embed(made))
                apart = apart / critic.embedding_features
                terms[f"feature_matching_{domain}"] = self.feature_matching * apart
        is_early = max(int(self.rounds), 1) <= self.curriculum
        share = 0.01 if is_early else 1.0
        with _statistics_kept(self.generator):
            if self.reconstruction_x > 0:
                terms["reconstruction_x"] = share * self.reconstruction_x * F.mse_loss(self.translate_back(made_y), x)
            if self.reconstruction_y > 0:
                terms["reconstruction_y"] = share * self.reconstruction_y * F.mse_loss(self.translate(made_x), y)
        return terms

    def _critic(self, domain: str) -> ConvCritic:
        critic = self.critic[domain]
        assert isinstance(critic, ConvCritic)
        return critic


@contextmanager
def _statistics_kept(module: nn.Module) -> Iterator[None]:
    """Batch norm still normalises by the batch, and its running statistics stay as they are."""
    norms = [part for part in module.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum


def _encoder_decoder(
    from_shape: Sequence[int], to_shape: Sequence[int], *, latent: int, channels: Sequence[int]
) -> nn.Module:
    return nn.Sequential(
        ConvEncoder(from_shape, latent, channels=channels, activation=leaky_relu, norm=nn.BatchNorm2d),
        nn.ReLU(),
        ConvDecoder(latent, to_shape, channels=tuple(channels)[::-1], norm=nn.BatchNorm2d),
        nn.Tanh(),
    )
