"""The convolutional players that most games here are played by."""

from collections.abc import Callable, Sequence
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from generative_core.families import AbstractCritic, AbstractGenerator
from generative_core.nets.conv import ConvDecoder, ConvEncoder, Norm, batch_norm
from generative_core.protocols import ScoreKind
from generative_core.variational.networks import require_context


@final
class ConvGenerator(AbstractGenerator):
    """x = output_activation(ConvDecoder([z, context])), z ~ N(0, I): signals, images and volumes.

    `channels` are those of the maps before each doubling of the sides, each followed by `norm`,
    which is batch norm unless another is given, where `has_norm`.
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        latent: int = 64,
        context_features: int = 0,
        channels: Sequence[int] = (128, 64),
        has_norm: bool = True,
        norm: Norm | None = None,
        activation: Callable[[], nn.Module] = nn.ReLU,
        output_activation: Callable[[], nn.Module] = nn.Tanh,
    ) -> None:
        super().__init__()
        self.event_shape = tuple(event_shape)
        self.latent_features = latent
        self.context_features = context_features
        self.decoder = ConvDecoder(
            latent,
            event_shape,
            channels=channels,
            context_features=context_features,
            activation=activation,
            norm=(norm or batch_norm(event_shape)) if has_norm else None,
        )
        self.output_activation = output_activation()

    def forward(self, z: Float[Tensor, "n Z"], context: Float[Tensor, "n K"] | None = None) -> Float[Tensor, "n *E"]:
        """One event for each latent.  Raises ValueError on another shape of the context than declared."""
        require_context(self, len(z), context)
        return self.output_activation(self.decoder(z, context))


@final
class ConvCritic(AbstractCritic):
    """logit(x, context) = w . embed(x, context) + b, with `embed` the flattened last maps of strided convolutions.

    The context enters as constant channels of the input.  `score_kind` is the meaning of the trained logit: LOG_RATIO
    under binary cross-entropy, CRITIC_VALUE under other losses.
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        context_features: int = 0,
        channels: Sequence[int] = (64, 128),
        norm: Norm | None = None,
        spectral_norm: bool = False,
        score_kind: ScoreKind = ScoreKind.LOG_RATIO,
    ) -> None:
        super().__init__()
        self.event_shape = tuple(event_shape)
        self.context_features = context_features
        self.score_kind = score_kind
        self.encoder = ConvEncoder(
            event_shape,
            1,
            channels=channels,
            context_features=context_features,
            activation=leaky_relu,
            norm=norm,
            spectral_norm=spectral_norm,
        )

    @property
    def embedding_features(self) -> int:
        """Width of `embed`."""
        return self.encoder.embedding_features

    def embed(self, x: Float[Tensor, "B *E"], context: Float[Tensor, "B K"] | None = None) -> Float[Tensor, "B F"]:
        """What the critic sees in an event: for feature matching, probes and inversion."""
        require_context(self, len(x), context)
        return self.encoder.embed(x, context)

    def logit(self, x: Float[Tensor, "B *E"], context: Float[Tensor, "B K"] | None = None) -> Float[Tensor, "B"]:
        """> 0: looks like the data.  Raises ValueError on another shape of the context than declared."""
        return self.encoder.output(self.embed(x, context)).squeeze(1)


def leaky_relu() -> nn.Module:
    return nn.LeakyReLU(0.2)


def start_small(module: nn.Module) -> None:
    """N(0, 0.02^2) weights of convolutions and linear layers, N(1, 0.02^2) scales of norms; for `nn.Module.apply`.

    Paper: Radford et al. 2016, https://arxiv.org/abs/1511.06434, sec. 4.
    """
    if isinstance(module, nn.modules.conv._ConvNd | nn.Linear):
        nn.init.normal_(module.weight, std=0.02)
    elif isinstance(module, nn.modules.batchnorm._BatchNorm) and module.affine:
        nn.init.normal_(module.weight, mean=1.0, std=0.02)


@torch.no_grad()
def accuracy(logit_data: Tensor, logit_model: Tensor) -> float:
    """Share of events that a critic puts on the right side, the mean of the two sides."""
    return float((logit_data > 0).float().mean() + (logit_model <= 0).float().mean()) / 2
