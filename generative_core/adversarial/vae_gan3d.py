"""Shapes from images: the GAN of volumes with an encoder of pictures before its generator."""

from collections.abc import Sequence
from typing import NamedTuple, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from generative_core import objectives
from generative_core.adversarial.coder import Coder
from generative_core.adversarial.gan3d import gated_cross_entropy
from generative_core.adversarial.networks import ConvCritic, ConvGenerator, leaky_relu, start_small
from generative_core.families import AbstractTwoPlayer, Terms
from generative_core.nets.conv import ConvEncoder, batch_norm
from generative_core.translation.translator import require_weights
from generative_core.variational.posteriors import DiagonalGaussian


class _Draw(NamedTuple):
    """What a batch is made into."""

    rebuilt: Tensor
    """G(z), z ~ q(z | y), (B, *E)."""
    sample: Tensor
    """G(noise), (B, *E)."""
    kl: Tensor
    """KL(q(z | y) || N(0, I)), (B,) nats."""


@final
class VAEGAN3D(AbstractTwoPlayer):
    """q(z | y) = N(m(y), diag s(y)^2) of an image y, shapes x' = G(z), and a critic D of shapes.

        encoder    prior KL(q(z | y) || N(0, I)) + reconstruction E_q ||G(z) - x||^2
        generator  reconstruction E_q ||G(z) - x||^2 - adversarial E log D(G(noise))
        critic     cross-entropy of x and G(noise), taught only while it can be fooled: `gate`, as in `GAN3D`

    The norm is the sum over voxels.  A batch is (x, y): volumes (B, C, D, H, W) of occupancies in [0, 1] and an image
    of each (B, C', H', W').  The networks are those of `GAN3D` and strided convolutions from the image, of
    `image_channels`.  `translate` makes a shape of an image, `sample` one of noise.  With `adversarial` = 0 the critic
    rests, and what is left is a VAE from images to shapes.

    Raises ValueError for events that are no volumes, a gate outside [0, 1], negative weights, and, when called, on
    images of another shape.

    Paper: Wu et al. 2016, https://arxiv.org/abs/1610.07584, sec. 3.2, whose weights are 1 of the game, 5 of the KL and
    1e-4 of the reconstruction, at 64 x 64 x 64 voxels.  Differs: the squared norm; other weights by default, for
    volumes of 16 x 16 x 16; and as `GAN3D` does.
    """

    generator: Coder[ConvEncoder]
    critic: ConvCritic

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        source_shape: Sequence[int],
        prior: float = 0.1,
        reconstruction: float = 0.1,
        adversarial: float = 1.0,
        latent: int = 200,
        channels: Sequence[int] = (128, 64),
        image_channels: Sequence[int] = (32, 64, 128),
        gate: float = 0.8,
    ) -> None:
        super().__init__()
        if len(event_shape) != 4:
            raise ValueError(f"VAEGAN3D makes volumes (C, D, H, W), got {tuple(event_shape)}; for images use VAEGAN")
        if not 0 <= gate <= 1:
            raise ValueError(f"gate is an accuracy in [0, 1], got {gate}; at 1 the critic never rests")
        require_weights(prior=prior, reconstruction=reconstruction, adversarial=adversarial)
        self.event_shape = tuple(event_shape)
        self.source_shape = tuple(source_shape)
        self.latent_features = latent
        self.prior = prior
        self.reconstruction = reconstruction
        self.adversarial = adversarial
        self.gate = gate
        encoder = ConvEncoder(
            source_shape, 2 * latent, channels=image_channels, activation=leaky_relu, norm=batch_norm(source_shape)
        )
        decoder = ConvGenerator(event_shape, latent=latent, channels=channels, output_activation=nn.Sigmoid)
        self.generator = Coder(encoder, decoder)
        self.critic = ConvCritic(event_shape, channels=tuple(channels)[::-1], norm=batch_norm(event_shape))
        self.apply(start_small)

    def posterior(self, images: Float[Tensor, "B *S"]) -> DiagonalGaussian:
        """q(z | y).  Raises ValueError on images of another shape than declared."""
        if tuple(images.shape[1:]) != self.source_shape:
            raise ValueError(f"this VAEGAN3D was built for images {self.source_shape}, got {tuple(images.shape[1:])}")
        return DiagonalGaussian.from_raw(self.generator.encoder(images))

    def translate(self, images: Float[Tensor, "B *S"]) -> Float[Tensor, "B *E"]:
        """G(m(y)): the occupancies of one shape for each image."""
        return self.generator.decoder(self.posterior(images).loc)

    def sample(
        self, n: int, context: Float[Tensor, "n *K"] | None = None, *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "n *E"]:
        """n draws G(noise); `generator` is the random one.  Raises ValueError on a context: see `translate`."""
        return self.generator.decoder.sample(n, context, generator=generator)

    def draw(self, *batch: Tensor, generator: torch.Generator | None = None) -> _Draw:
        """A shape of each image, as many of noise, and the KL."""
        _, images = batch
        posterior = self.posterior(images)
        z, _ = posterior.draw(generator=generator)
        # two passes: in one, batch norm would tie the one to the other
        rebuilt, sample = self.generator.decoder(z), self.sample(len(images), generator=generator)
        return _Draw(rebuilt, sample, posterior.kl_terms().sum(1))

    def critic_terms(self, drawn: _Draw, *batch: Tensor, generator: torch.Generator | None = None) -> Terms:
        """Cross-entropy, or nothing where the critic is ahead or nobody listens to it."""
        if self.adversarial == 0:
            return {}
        logits = self.critic.logit(batch[0]), self.critic.logit(drawn.sample)
        return gated_cross_entropy(*logits, gate=self.gate)

    def generator_terms(self, drawn: _Draw, *batch: Tensor, generator: torch.Generator | None = None) -> Terms:
        """The KL, the squared distance to the shapes, and -log D."""
        rebuilt, sample, kl = drawn
        distance = (rebuilt - batch[0]).square().flatten(1).sum(1)
        terms = {"prior": self.prior * kl.mean(), "reconstruction": self.reconstruction * distance.mean()}
        if self.adversarial > 0:
            terms["adversarial"] = self.adversarial * objectives.bce_generator_loss(self.critic.logit(sample))
        return terms
