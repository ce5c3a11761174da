"""Edits of attributes: a conditional GAN with two encoders."""

from collections.abc import Sequence
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from generative_core.families import AbstractGenerator
from generative_core.latent.encoder import LatentEncoder
from generative_core.nets.conv import ConvEncoder


@final
class IcGAN(nn.Module):
    """z = E_z(x), y = E_y(x); an edit of x is G(z, y') with y' as y but for what is changed.

        loss(x, y) = ||E_z(G(z, y)) - z||^2 + ||E_y(x) - y||^2,   z ~ N(0, I)

    The encoders share nothing: E_z learns from the generator's images, E_y from real ones, and the sum trains both as
    if apart.  `generator` is a conditional GAN's, of which a frozen copy is kept.  A batch is (x, y) with attributes
    y (B, K), for `MaximumLikelihoodStep`.

    Paper: Perarnau et al. 2016, https://arxiv.org/abs/1611.06355, sec. 3, its encoder "IND".
    """

    def __init__(
        self, generator: AbstractGenerator, *, context_features: int, channels: Sequence[int] = (64, 128)
    ) -> None:
        super().__init__()
        self.event_shape = generator.event_shape
        self.context_features = context_features
        self.latent_encoder = LatentEncoder(generator, channels=channels)
        self.attribute_encoder = ConvEncoder(
            generator.event_shape, context_features, channels=channels, norm=nn.BatchNorm2d
        )

    def loss(
        self,
        x: Float[Tensor, "B *E"],
        context: Float[Tensor, "B K"] | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "B"]:
        """The errors of both encoders.  Raises ValueError without the attributes of x."""
        if context is None:
            raise ValueError("IcGAN learns from pairs of events and attributes: give batches (x, context)")
        attribute_error = (self.attribute_encoder(x) - context).square().sum(1)
        return self.latent_encoder.loss(x, context, generator=generator) + attribute_error

    def encode(self, x: Float[Tensor, "B *E"]) -> tuple[Float[Tensor, "B Z"], Float[Tensor, "B K"]]:
        """(E_z(x), E_y(x))."""
        return self.latent_encoder(x), self.attribute_encoder(x)

    def decode(self, z: Float[Tensor, "B Z"], context: Float[Tensor, "B K"]) -> Float[Tensor, "B *E"]:
        """G(z, y)."""
        return self.latent_encoder.generator(z, context)

    def reconstruct(self, x: Float[Tensor, "B *E"]) -> Float[Tensor, "B *E"]:
        """G(E_z(x), E_y(x))."""
        return self.decode(*self.encode(x))

    def edit(self, x: Float[Tensor, "B *E"], context: Float[Tensor, "B K"]) -> Float[Tensor, "B *E"]:
        """x with the attributes `context`: G(E_z(x), context)."""
        return self.decode(self.latent_encoder(x), context)
