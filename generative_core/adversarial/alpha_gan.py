"""The autoencoder between two critics: one of images, one of codes."""

from collections.abc import Sequence
from typing import NamedTuple, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from generative_core import objectives
from generative_core.adversarial.coder import Coder, decode_three_ways
from generative_core.adversarial.critic import MLPCritic
from generative_core.adversarial.networks import ConvCritic, ConvGenerator, leaky_relu
from generative_core.families import AbstractCritic, AbstractGenerator, AbstractTwoPlayer, Terms
from generative_core.nets.conv import ConvEncoder, batch_norm
from generative_core.protocols import ScoreKind


class _Draw(NamedTuple):
    """What a batch is made into: see `Decoded`; and its codes and as much noise, (B, Z)."""

    reconstruction: Tensor
    fixed_code: Tensor
    sample: Tensor
    code: Tensor
    noise: Tensor


class _Critics(nn.Module):
    """The other player: an image critic and a code critic."""

    def __init__(self, image: AbstractCritic, code: AbstractCritic) -> None:
        super().__init__()
        self.image = image
        self.code = code


@final
class AlphaGAN(AbstractTwoPlayer):
    """z = E(x), x' = G(z); D tells x from x' and G(noise), C tells noise from z.

        encoder     reconstruction |x - x'| + log(1 - C(z)) - log C(z)
        generator   reconstruction |x - x'| + log(1 - D) - log D, the mean over x' and G(noise)
        D, C        cross-entropy

    |.| is the mean over an event's elements.  log(1 - D) - log D is minus the logit, which stands for the log of a
    density ratio: D takes the place of the likelihood and C of the KL to the prior, so that q(z | x) may be any law, at
    the optimum with sum over x of q(z | x) = N(0, I).  The encoder here is deterministic; no gradient of D reaches it.

    A batch is (x,), images in [-1, 1].  `encoder` (B, *E) -> (B, latent), `decoder` and `critic` take the place of the
    convolutional players: MLPs for vectors.  Raises ValueError where the decoder takes other codes.

    Paper: Rosca et al. 2017, https://arxiv.org/abs/1706.04987, algorithm 1.  Differs: the mean in the place of the sum
    of x' and G(noise) in the losses of D and of the generator.
    """

    generator: Coder[nn.Module]
    critic: _Critics

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        reconstruction: float = 10.0,
        latent: int = 64,
        channels: Sequence[int] = (128, 64),
        code_hidden: Sequence[int] = (256, 256),
        encoder: nn.Module | None = None,
        decoder: AbstractGenerator | None = None,
        critic: AbstractCritic | None = None,
    ) -> None:
        super().__init__()
        self.event_shape = tuple(event_shape)
        self.latent_features = latent
        self.reconstruction = reconstruction
        narrow_first = tuple(channels)[::-1]
        if decoder is not None and decoder.latent_features != latent:
            raise ValueError(f"the decoder takes {decoder.latent_features} numbers: pass that as latent, not {latent}")
        norm = batch_norm(event_shape) if len(event_shape) > 1 else None
        if encoder is None:
            encoder = ConvEncoder(event_shape, latent, channels=narrow_first, activation=leaky_relu, norm=norm)
        if decoder is None:
            decoder = ConvGenerator(event_shape, latent=latent, channels=channels)
        if critic is None:
            critic = ConvCritic(event_shape, channels=narrow_first, norm=norm, score_kind=ScoreKind.CRITIC_VALUE)
        self.generator = Coder(encoder, decoder)
        code_critic = MLPCritic((latent,), hidden=code_hidden, activation=leaky_relu, normalise=False)
        self.critic = _Critics(critic, code_critic)

    def encode(self, x: Float[Tensor, "B *E"]) -> Float[Tensor, "B Z"]:
        """E(x)."""
        return self.generator.encoder(x)

    def decode(self, z: Float[Tensor, "B Z"]) -> Float[Tensor, "B *E"]:
        """G(z)."""
        return self.generator.decoder(z)

    def reconstruct(self, x: Float[Tensor, "B *E"]) -> Float[Tensor, "B *E"]:
        """G(E(x))."""
        return self.decode(self.encode(x))

    def sample(
        self, n: int, context: Float[Tensor, "n *K"] | None = None, *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "n *E"]:
        """n draws G(z); `generator` is the random one.  Raises ValueError on a context: there is none."""
        return self.generator.decoder.sample(n, context, generator=generator)

    def draw(self, *batch: Tensor, generator: torch.Generator | None = None) -> _Draw:
        """Codes, reconstructions, and as many samples."""
        (x,) = batch
        code = self.encode(x)
        noise = self.generator.decoder.sample_latent(len(x), generator=generator)
        return _Draw(*decode_three_ways(self.generator.decoder, code, noise), code, noise)

    def critic_terms(self, drawn: _Draw, *batch: Tensor, generator: torch.Generator | None = None) -> Terms:
        """The cross-entropies of the two critics."""
        (x,) = batch
        _, reconstruction, sample, code, noise = drawn
        logit_made = self.critic.image.logit(torch.cat([reconstruction, sample]))
        return {
            "image": objectives.bce_critic_loss(self.critic.image.logit(x), logit_made),
            "code": objectives.bce_critic_loss(self.critic.code.logit(noise), self.critic.code.logit(code)),
        }

    def generator_terms(self, drawn: _Draw, *batch: Tensor, generator: torch.Generator | None = None) -> Terms:
        """The reconstruction, and minus both logits."""
        (x,) = batch
        reconstruction, fixed_code, sample, code, _ = drawn
        return {
            "reconstruction": self.reconstruction * (x - reconstruction).abs().mean(),
            "image": -self.critic.image.logit(torch.cat([fixed_code, sample])).mean(),
            "code": -self.critic.code.logit(code).mean(),
        }
