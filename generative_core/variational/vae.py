"""The variational autoencoder: a Gaussian latent, a learned decoder, and an encoder that inverts it in one pass."""

from collections.abc import Callable, Sequence
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from generative_core.autoregressive.conditionals import Conditional
from generative_core.variational.latent_variable import AbstractLatentVariable
from generative_core.variational.likelihoods import GaussianLikelihood, require_mean
from generative_core.variational.networks import encode, mlp_decoder, mlp_encoder
from generative_core.variational.posteriors import DiagonalGaussian


@final
class VAE(AbstractLatentVariable):
    """z ~ N(0, I), x ~ p(x | z), q(z | x) = N(m(x), diag s(x)^2).

        log p(x) >= E_q[log p(x | z)] - KL(q(z | x) || N(0, I)), the KL in closed form

    `likelihood` is the law of the event's elements given the decoder's output: `Bernoulli()` for events of 0 and 1,
    `DiscretisedLogisticMixture(...)` for grey or colour levels, and by default a `GaussianLikelihood` with a learned
    scale for real numbers.  Images on levels are no real numbers in this sense: dequantise them first.

    The networks are MLPs with `hidden` units, in reverse order in the decoder, or are passed in: `encoder` maps
    x (B, *E) to (B, 2 latent), the means and log scales of z; `decoder` maps z (B, latent) to (B, E0 * P, *E[1:]), P
    parameters of the likelihood an element.  With `context_features` both take the context (B, K) as their second
    argument.  The defaults are sized for binary MNIST.

    Raises ValueError, when called, on an event or a context that was not declared, and on networks with other outputs.

    Papers: Kingma & Welling 2014, https://arxiv.org/abs/1312.6114, eq. 3 and 10; Rezende et al. 2014,
    https://arxiv.org/abs/1401.4082; conditional: Sohn et al. 2015 (NeurIPS), but the prior does not see the context.
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        latent: int = 50,
        likelihood: Conditional | None = None,
        context_features: int = 0,
        hidden: Sequence[int] = (500, 500),
        activation: Callable[[], nn.Module] = nn.Softplus,
        encoder: nn.Module | None = None,
        decoder: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.event_shape = tuple(event_shape)
        self.latent_features = latent
        self.context_features = context_features
        self.likelihood = GaussianLikelihood() if likelihood is None else likelihood
        require_mean(self.likelihood)
        self.encoder = encoder or mlp_encoder(self, 2 * latent, hidden, activation)
        self.decoder = decoder or mlp_decoder(self, self.likelihood.n_parameters, hidden, activation)

    def posterior(self, x: Float[Tensor, "B *E"], context: Float[Tensor, "B K"] | None = None) -> DiagonalGaussian:
        """q(z | x, context)."""
        return DiagonalGaussian.from_raw(encode(self, self.encoder, x, context, 2 * self.latent_features))

    def elbo(
        self,
        x: Float[Tensor, "B *E"],
        context: Float[Tensor, "B K"] | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "B"]:
        """E_q[log p(x | z)] at one draw, minus the KL in closed form; nats."""
        posterior = self.posterior(x, context)
        z, _ = posterior.draw(generator=generator)
        return self.log_likelihood(x, z, context) - posterior.kl_terms().sum(1)
