"""One normal law: the baseline of every density model on continuous events."""

import math
from collections.abc import Sequence
from typing import Literal, final

import torch
from jaxtyping import Float
from torch import Tensor

from generative_core.families import AbstractTractable
from generative_core.mixtures import normal
from generative_core.mixtures.events import fitted_rows, refuse_context, require_fitted, training_rows


@final
class Gaussian(AbstractTractable):
    """p(x) = N(x; m, S) with m and S the data's mean and covariance (divided by N: maximum likelihood).

    `covariance` is "full", "diag" or "spherical".  Where eigenvalues (variances) of S are below `min_variance`, in x's
    unit squared, they are raised to it: the maximum likelihood among such covariances, finite on constant or collinear
    data, whose log-density then depends on that number.  Events of any shape are flattened.

    The parameters are buffers that `fit` fills: `means` (1, D) and `scale`, (1, D, D) lower triangular with
    S = L L^T, or (1, D) or (1, 1) standard deviations.  Before that every density is a RuntimeError.
    """

    means: Tensor
    scale: Tensor
    is_fitted: Tensor

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        covariance: Literal["full", "diag", "spherical"] = "full",
        min_variance: float = 1e-6,
    ) -> None:
        super().__init__()
        check_min_variance(min_variance)
        self.event_shape = tuple(event_shape)
        self.covariance: normal.Covariance = covariance
        self.min_variance = min_variance
        n_dims = math.prod(self.event_shape)
        self.register_buffer("means", torch.zeros(1, n_dims))
        self.register_buffer("scale", normal.unit_scale(covariance, 1, n_dims))
        self.register_buffer("is_fitted", torch.tensor(False))

    @torch.no_grad()
    def fit(self, x: Float[Tensor, "N *E"]) -> "Gaussian":
        """Maximum likelihood, in closed form.  Raises ValueError on events of another shape or not finite."""
        rows = training_rows(self, x)
        _, means, scale = normal.fit_components(rows, rows.new_ones(len(rows), 1), self.covariance, self.min_variance)
        self.means.copy_(means)
        self.scale.copy_(scale)
        self.is_fitted.fill_(True)
        return self

    def log_prob(self, x: Float[Tensor, "B *E"], context: Float[Tensor, "B *K"] | None = None) -> Float[Tensor, "B"]:
        """log N(x; m, S), nats."""
        refuse_context(self, context)
        return normal.log_normal(fitted_rows(self, x), self.means, self.scale).squeeze(1)

    @torch.no_grad()
    def sample(
        self, n: int, context: Float[Tensor, "n *K"] | None = None, *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "n *E"]:
        """n exact draws."""
        refuse_context(self, context)
        require_fitted(self)
        noise = torch.randn(
            n, self.means.shape[1], generator=generator, device=self.means.device, dtype=self.means.dtype
        )
        k = torch.zeros(n, dtype=torch.int64, device=noise.device)
        return normal.colour(noise, k, self.means, self.scale).unflatten(1, self.event_shape)  # (n, D) -> (n, *E)


def check_min_variance(min_variance: float) -> None:
    """Raises ValueError where it is not positive."""
    if not 0 < min_variance < math.inf:
        raise ValueError(
            f"min_variance must be positive, got {min_variance}: constant or collinear data have a likelihood without "
            "bound; take a variance that is small in the unit of x"
        )
