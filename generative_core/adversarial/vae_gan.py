"""The VAE that reconstructs what a critic sees, and whose decoder is a GAN's generator."""

from collections.abc import Sequence
from typing import NamedTuple, final

import torch
from jaxtyping import Float
from torch import Tensor

from generative_core import objectives
from generative_core.adversarial.coder import Coder, decode_three_ways
from generative_core.adversarial.networks import ConvCritic, ConvGenerator, leaky_relu, start_small
from generative_core.families import AbstractTwoPlayer, Terms
from generative_core.nets.conv import ConvEncoder, batch_norm
from generative_core.protocols import ScoreKind
from generative_core.variational.posteriors import DiagonalGaussian


class _Draw(NamedTuple):
    """What a batch is made into: see `Decoded`; and KL(q(z | x) || N(0, I)), (B,) nats."""

    reconstruction: Tensor
    fixed_code: Tensor
    sample: Tensor
    kl: Tensor


@final
class VAEGAN(AbstractTwoPlayer):
    """q(z | x) = N(m(x), diag s(x)^2), x' = G(z), and a critic D that tells x from x' and from G(noise).

        encoder   KL(q(z | x) || N(0, I)) + L,   L = 1/2 E_q ||D_l(x) - D_l(x')||^2, nats
        decoder   gamma L - log D, the mean over x' and G(noise)
        critic    cross-entropy

    D_l is what the critic embeds an event as (`ConvCritic.embed`), so L is a Gaussian likelihood of features.  Each
    part sees its own losses alone: no gradient of D reaches the encoder, and gamma weighs L for the decoder only.  A
    batch is (x,), images in [-1, 1].  Raises ValueError where gamma is not positive.

    Paper: Larsen et al. 2016, https://arxiv.org/abs/1512.09300, algorithm 1.  Differs: reconstructions and
    samples weigh together as much as the data in the critic's loss; the non-saturating loss for the decoder.
    """

    generator: Coder[ConvEncoder]
    critic: ConvCritic

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        gamma: float = 0.01,
        latent: int = 64,
        channels: Sequence[int] = (128, 64),
    ) -> None:
        super().__init__()
        if not gamma > 0:
            raise ValueError(f"gamma weighs the reconstruction for the decoder and must be positive, got {gamma}")
        self.event_shape = tuple(event_shape)
        self.latent_features = latent
        self.gamma = gamma
        narrow_first = tuple(channels)[::-1]
        encoder = ConvEncoder(
            event_shape, 2 * latent, channels=narrow_first, activation=leaky_relu, norm=batch_norm(event_shape)
        )
        self.generator = Coder(encoder, ConvGenerator(event_shape, latent=latent, channels=channels))
        # its other side is half reconstructions, so no ratio to the model's law
        self.critic = ConvCritic(
            event_shape, channels=narrow_first, norm=batch_norm(event_shape), score_kind=ScoreKind.CRITIC_VALUE
        )
        self.apply(start_small)

    def posterior(self, x: Float[Tensor, "B *E"]) -> DiagonalGaussian:
        """q(z | x)."""
        return DiagonalGaussian.from_raw(self.generator.encoder(x))

    def encode(self, x: Float[Tensor, "B *E"]) -> Float[Tensor, "B Z"]:
        """The mean of q(z | x)."""
        return self.posterior(x).loc

    def decode(self, z: Float[Tensor, "B Z"]) -> Float[Tensor, "B *E"]:
        """G(z)."""
        return self.generator.decoder(z)

    def reconstruct(self, x: Float[Tensor, "B *E"]) -> Float[Tensor, "B *E"]:
        """G(m(x))."""
        return self.decode(self.encode(x))

    def sample(
        self, n: int, context: Float[Tensor, "n *K"] | None = None, *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "n *E"]:
        """n draws G(z); `generator` is the random one.  Raises ValueError on a context: there is none."""
        return self.generator.decoder.sample(n, context, generator=generator)

    def draw(self, *batch: Tensor, generator: torch.Generator | None = None) -> _Draw:
        """Reconstructions of one z ~ q an event, as many samples, and the KL."""
        (x,) = batch
        posterior = self.posterior(x)
        z, _ = posterior.draw(generator=generator)
        noise = self.generator.decoder.sample_latent(len(x), generator=generator)
        # the terms hold gamma L: the encoder, which is to see L, gets its gradient over gamma
        z = z.detach() + (z - z.detach()) / self.gamma
        return _Draw(*decode_three_ways(self.generator.decoder, z, noise), posterior.kl_terms().sum(1))

    def critic_terms(self, drawn: _Draw, *batch: Tensor, generator: torch.Generator | None = None) -> Terms:
        """Cross-entropy."""
        (x,) = batch
        _, reconstruction, sample, _ = drawn
        made = torch.cat([reconstruction, sample])
        return {"adversarial": objectives.bce_critic_loss(self.critic.logit(x), self.critic.logit(made))}

    def generator_terms(self, drawn: _Draw, *batch: Tensor, generator: torch.Generator | None = None) -> Terms:
        """The KL, gamma times the reconstruction, and -log D."""
        (x,) = batch
        reconstruction, fixed_code, sample, kl = drawn
        # one batch, so that batch norm cannot hide a difference of means
        seen_x, seen_reconstruction = self.critic.embed(torch.cat([x, reconstruction])).chunk(2)
        distance = 0.5 * (seen_x - seen_reconstruction).square().sum(1)  # (B,) nats
        return {
            "prior": kl.mean(),
            "reconstruction": self.gamma * distance.mean(),
            "adversarial": objectives.bce_generator_loss(self.critic.logit(torch.cat([fixed_code, sample]))),
        }
