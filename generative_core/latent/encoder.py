"""An encoder for a generator that has none."""

from collections.abc import Sequence
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from generative_core.families import AbstractGenerator
from generative_core.nets.conv import ConvEncoder
from generative_core.nets.frozen import Frozen


@final
class LatentEncoder(nn.Module):
    """E(x) with E(G(z, context)) close to z: loss = ||E(G(z, context)) - z||^2, z ~ N(0, I).

    It learns from the generator's own images alone, of which the latents are known.  Train it as any module with a
    loss, `MaximumLikelihoodStep(encoder)`: of a batch (x, context) it takes the contexts and the count, no event.  A
    copy of the generator is kept, frozen and in evaluation mode, and saved with it.

    `encoder` (B, *E) -> (B, latent) takes the place of the convolutional one, whose maps have `channels`.

    Papers: Antipov et al. 2017, https://arxiv.org/abs/1702.01983, sec. 2; Perarnau et al. 2016,
    https://arxiv.org/abs/1611.06355, sec. 3.
    """

    def __init__(
        self,
        generator: AbstractGenerator,
        *,
        channels: Sequence[int] = (64, 128),
        encoder: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.event_shape = generator.event_shape
        self.frozen = Frozen(generator)
        if encoder is None:
            encoder = ConvEncoder(
                generator.event_shape, generator.latent_features, channels=channels, norm=nn.BatchNorm2d
            )
        self.encoder = encoder

    @property
    def generator(self) -> AbstractGenerator:
        """The copy of G."""
        return self.frozen.net

    def forward(self, x: Float[Tensor, "B *E"]) -> Float[Tensor, "B Z"]:
        """z of each event."""
        return self.encoder(x)

    def loss(
        self,
        x: Float[Tensor, "B *E"],
        context: Float[Tensor, "B K"] | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "B"]:
        """||E(G(z, context)) - z||^2 of one fresh z a row; x is only counted."""
        z = self.generator.sample_latent(len(x), generator=generator)
        with torch.no_grad():
            made = self.generator(z, context)
        return (self.encoder(made) - z).square().sum(1)
