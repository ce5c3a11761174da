"""The autoencoder: a code and its reconstruction; no density of x, so a plain module with a loss."""

from collections.abc import Callable, Sequence
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from generative_core.autoregressive.conditionals import Conditional
from generative_core.variational.likelihoods import GaussianLikelihood, conditional_mean, require_mean
from generative_core.variational.networks import decode, encode, mlp_decoder, mlp_encoder


@final
class Autoencoder(nn.Module):
    """h = encode(x) with `latent` numbers, x' = decode(h); trained to give x back.

        loss(x) = -log p(x | h), nats

    The loss is named by its `likelihood`: half the squared error ||x - x'||^2 plus a constant under
    `GaussianLikelihood(learned=False)`, the default; the binary cross-entropy under `Bernoulli()`.  With `hidden=()`
    both maps are linear, and at the minimum of the squared error they span the first principal components.

    Networks and context are as in `VAE`, but the encoder returns the code (B, latent).  Codes follow no prior: to draw
    events, use a `VAE`.

    Raises ValueError, when called, on an event or a context that was not declared, and on networks with other outputs.

    Papers: Hinton & Salakhutdinov 2006, https://doi.org/10.1126/science.1127647, not pretrained; for the linear
    case Baldi & Hornik 1989, https://doi.org/10.1016/0893-6080(89)90014-2.
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        latent: int = 30,
        likelihood: Conditional | None = None,
        context_features: int = 0,
        hidden: Sequence[int] = (500, 500),
        activation: Callable[[], nn.Module] = nn.ReLU,
        encoder: nn.Module | None = None,
        decoder: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.event_shape = tuple(event_shape)
        self.latent_features = latent
        self.context_features = context_features
        self.likelihood = GaussianLikelihood(learned=False) if likelihood is None else likelihood
        require_mean(self.likelihood)
        self.encoder = encoder or mlp_encoder(self, latent, hidden, activation)
        self.decoder = decoder or mlp_decoder(self, self.likelihood.n_parameters, hidden, activation)

    def encode(self, x: Float[Tensor, "B *E"], context: Float[Tensor, "B K"] | None = None) -> Float[Tensor, "B Z"]:
        """The code of each event."""
        return encode(self, self.encoder, x, context, self.latent_features)

    def decode(self, z: Float[Tensor, "B Z"], context: Float[Tensor, "B K"] | None = None) -> Float[Tensor, "B *E"]:
        """The mean of p(x | z)."""
        return conditional_mean(self.likelihood, self._law_parameters(z, context))

    def reconstruct(
        self, x: Float[Tensor, "B *E"], context: Float[Tensor, "B K"] | None = None
    ) -> Float[Tensor, "B *E"]:
        """decode(encode(x))."""
        return self.decode(self.encode(x, context), context)

    def loss(
        self,
        x: Float[Tensor, "B *E"],
        context: Float[Tensor, "B K"] | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "B"]:
        """-log p(x | encode(x)), nats; nothing random, so `generator` is not used."""
        parameters = self._law_parameters(self.encode(x, context), context).to(x.dtype)
        return -self.likelihood.log_prob(parameters, x).flatten(1).sum(1)

    def squared_error(
        self, x: Float[Tensor, "B *E"], context: Float[Tensor, "B K"] | None = None
    ) -> Float[Tensor, "B"]:
        """||x - reconstruct(x)||^2, summed over the elements, whatever the loss."""
        return (x - self.reconstruct(x, context)).flatten(1).square().sum(1)

    def _law_parameters(self, z: Tensor, context: Tensor | None) -> Tensor:
        """The likelihood's parameters (B, *E, P)."""
        return decode(self, self.decoder, z, context, self.likelihood.n_parameters)
