"""Training on the importance-weighted bound."""

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from generative_core.families import AbstractVariational
from generative_core.variational.latent_variable import AbstractLatentVariable


@final
class IWAE(AbstractVariational):
    """The same p(x) as `model`, scored and trained by its bound with k = `importance_samples` draws an event.

        log p(x) >= E log (1/k sum_i p(x, z_i) / q(z_i | x)), z_i ~ q(z | x)

    The bound is the evidence lower bound of a sharper posterior: draw k, keep one by its weight.  That is what `encode`
    returns.  `model` is any latent-variable model here and shares its parameters with this one, so that
    `MaximumLikelihoodStep(IWAE(vae, importance_samples=50))` trains `vae`.

    Papers: Burda et al. 2016, https://arxiv.org/abs/1509.00519, eq. 8; the posterior: Cremer et al. 2017,
    https://arxiv.org/abs/1704.02916.
    """

    def __init__(self, model: AbstractLatentVariable, *, importance_samples: int = 50) -> None:
        super().__init__()
        if importance_samples < 1:
            raise ValueError(f"importance_samples must be at least 1, got {importance_samples}")
        self.model = model
        self.importance_samples = importance_samples
        self.event_shape = model.event_shape
        self.context_features = model.context_features

    def elbo(
        self,
        x: Float[Tensor, "B *E"],
        context: Float[Tensor, "B K"] | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "B"]:
        """The bound at k draws, nats."""
        return self.model.iw_bound(x, self.importance_samples, context, generator=generator)

    def iw_bound(
        self,
        x: Float[Tensor, "B *E"],
        k: int,
        context: Float[Tensor, "B K"] | None = None,
        *,
        generator: torch.Generator | None = None,
        chunk: int = 2000,
    ) -> Float[Tensor, "B"]:
        """The bound at another number of draws: see `AbstractLatentVariable.iw_bound`."""
        return self.model.iw_bound(x, k, context, generator=generator, chunk=chunk)

    def encode(
        self,
        x: Float[Tensor, "B *E"],
        context: Float[Tensor, "B K"] | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "B Z"]:
        """One of k draws z_i ~ q(z | x), kept with probability proportional to p(x, z_i) / q(z_i | x)."""
        z, log_weight = self.model.weighted_draws(x, self.importance_samples, context, generator=generator)
        kept = torch.multinomial(log_weight.softmax(0).T, 1, generator=generator).squeeze(1)  # (k, B) -> (B,)
        return z[kept, torch.arange(len(x), device=x.device)]

    def decode(self, z: Float[Tensor, "B Z"], context: Float[Tensor, "B K"] | None = None) -> Float[Tensor, "B *E"]:
        """The mean of p(x | z, context)."""
        return self.model.decode(z, context)

    def sample(
        self, n: int, context: Float[Tensor, "n K"] | None = None, *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "n *E"]:
        """n draws z ~ N(0, I), x ~ p(x | z, context)."""
        return self.model.sample(n, context, generator=generator)
