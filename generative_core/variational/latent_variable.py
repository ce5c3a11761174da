"""What the VAEs here share: z ~ N(0, I), x ~ p(x | z), and the importance-weighted bound on log p(x)."""

import math
from abc import abstractmethod
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from generative_core.autoregressive.conditionals import Conditional
from generative_core.densities import standard_normal_log_prob
from generative_core.families import AbstractVariational
from generative_core.variational.likelihoods import conditional_mean
from generative_core.variational.networks import decode
from generative_core.variational.posteriors import Posterior


class AbstractLatentVariable(AbstractVariational):
    """p(x) = integral of N(z; 0, I) p(x | z) dz, with q(z | x) to estimate it.  Required: `posterior` and `elbo`."""

    latent_features: int
    context_features: int
    decoder: nn.Module
    """z (B, Z) [, context (B, K)] -> (B, E0 * P, *E[1:]): the P parameters of the likelihood side by side."""
    likelihood: Conditional

    @abstractmethod
    def posterior(self, x: Float[Tensor, "B *E"], context: Float[Tensor, "B K"] | None = None) -> Posterior:
        """q(z | x, context) for each event.  Raises ValueError where x or context is not as declared."""

    @final
    def encode(
        self,
        x: Float[Tensor, "B *E"],
        context: Float[Tensor, "B K"] | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "B Z"]:
        """One draw z ~ q(z | x, context)."""
        return self.posterior(x, context).draw(generator=generator)[0]

    @final
    def decode(self, z: Float[Tensor, "B Z"], context: Float[Tensor, "B K"] | None = None) -> Float[Tensor, "B *E"]:
        """The mean of p(x | z, context)."""
        return conditional_mean(self.likelihood, self._law_parameters(z, context))

    @final
    def reconstruct(
        self,
        x: Float[Tensor, "B *E"],
        context: Float[Tensor, "B K"] | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "B *E"]:
        """The mean of p(x | z) at one draw z ~ q(z | x)."""
        return self.decode(self.encode(x, context, generator=generator), context)

    @final
    def sample_latent(self, n: int, *, generator: torch.Generator | None = None) -> Float[Tensor, "n Z"]:
        """z ~ N(0, I), on the device and in the dtype of the parameters."""
        like = next(self.parameters())
        return torch.randn(n, self.latent_features, generator=generator, device=like.device, dtype=like.dtype)

    @final
    def sample(
        self, n: int, context: Float[Tensor, "n K"] | None = None, *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "n *E"]:
        """n draws z ~ N(0, I), x ~ p(x | z, context).  The means, often shown, are `decode(sample_latent(n))`."""
        parameters = self._law_parameters(self.sample_latent(n, generator=generator), context)
        return self.likelihood.sample(parameters, generator=generator)

    @final
    def log_likelihood(
        self, x: Float[Tensor, "B *E"], z: Float[Tensor, "B Z"], context: Float[Tensor, "B K"] | None = None
    ) -> Float[Tensor, "B"]:
        """log p(x | z, context), nats; in x's dtype, also where the decoder computes in a shorter one."""
        parameters = self._law_parameters(z, context).to(x.dtype)
        return self.likelihood.log_prob(parameters, x).flatten(1).sum(1)

    @final
    def weighted_draws(
        self,
        x: Float[Tensor, "B *E"],
        k: int,
        context: Float[Tensor, "B K"] | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> tuple[Float[Tensor, "k B Z"], Float[Tensor, "k B"]]:
        """k draws z_i ~ q(z | x) an event, and log p(x, z_i) - log q(z_i | x), nats."""
        return self._weighted_draws(self.posterior(x, context), x, k, context, generator)

    @final
    def iw_bound(
        self,
        x: Float[Tensor, "B *E"],
        k: int,
        context: Float[Tensor, "B K"] | None = None,
        *,
        generator: torch.Generator | None = None,
        chunk: int = 2000,
    ) -> Float[Tensor, "B"]:
        """A k-draw estimate of E log (1/k sum_i p(x, z_i) / q(z_i | x)) <= log p(x), nats, with z_i ~ q(z | x).

        Its mean rises with k: the evidence lower bound at k = 1, log p(x) as k goes to infinity.  For every k its exp
        is an unbiased estimate of p(x).  Each event is encoded once; no more than `chunk` latents are decoded at a
        time, so that without gradients memory does not grow with k.

        Paper: Burda et al. 2016, https://arxiv.org/abs/1509.00519, eq. 8.
        """
        if k < 1 or chunk < 1:
            raise ValueError(
                f"k, the draws an event, and chunk, the draws at a time, must be positive; got {k}, {chunk}"
            )
        contexts = [None] * len(x.split(chunk)) if context is None else context.split(chunk)
        bounds = [
            self._iw_bound(part, k, part_context, generator, max(1, chunk // max(1, len(part))))
            for part, part_context in zip(x.split(chunk), contexts, strict=True)
        ]
        return torch.cat(bounds)

    def _iw_bound(
        self, x: Tensor, k: int, context: Tensor | None, generator: torch.Generator | None, k_at_a_time: int
    ) -> Tensor:
        posterior = self.posterior(x, context)
        sums = []  # of the weights of some draws, as logarithms (B,)
        for start in range(0, k, k_at_a_time):
            n = min(k_at_a_time, k - start)
            _, log_weight = self._weighted_draws(posterior, x, n, context, generator)
            sums.append(log_weight.logsumexp(0))
        return torch.stack(sums).logsumexp(0) - math.log(k)

    def _weighted_draws(
        self, posterior: Posterior, x: Tensor, k: int, context: Tensor | None, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor]:
        z, log_q = posterior.repeat(k).draw(generator=generator)  # (k*B, Z), row i*B + b for draw i of event b
        x_k = x.repeat(k, *(1 for _ in self.event_shape))
        context_k = None if context is None else context.repeat(k, 1)
        log_joint = self.log_likelihood(x_k, z, context_k) + standard_normal_log_prob(z).sum(1)
        log_weight = log_joint - log_q.sum(1)
        return z.unflatten(0, (k, len(x))), log_weight.unflatten(0, (k, len(x)))

    def _law_parameters(self, z: Tensor, context: Tensor | None) -> Tensor:
        """The likelihood's parameters (B, *E, P)."""
        return decode(self, self.decoder, z, context, self.likelihood.n_parameters)
