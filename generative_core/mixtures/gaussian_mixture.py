"""The Gaussian mixture by expectation maximisation."""

import math
from collections.abc import Sequence
from typing import final

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from generative_core.families import AbstractTractable
from generative_core.mixtures import normal
from generative_core.mixtures.events import fitted_rows, refuse_context, require_fitted, training_rows
from generative_core.mixtures.gaussian import check_min_variance
from generative_core.mixtures.kmeans import KMeans


@final
class GaussianMixture(AbstractTractable):
    """p(x) = sum_k w_k N(x; m_k, S_k), fitted by EM from a K-means start.

    `covariance`: "full" S_k, one "tied" S, "diag" or "spherical".  Eigenvalues (variances) are at least `min_variance`,
    in x's unit squared; EM maximises the likelihood among such covariances exactly, so the mean log-likelihood in
    `log_likelihood_history` (nats an event, after each M-step) never falls.  It stops where an
    iteration gains less than `tolerance` nats an event.  The best of `n_init` starts is kept.

    Parameters are buffers: `weights` (K,), `means` (K, D) and `scale`: lower triangles, (K, D, D) or tied (1, D, D), or
    standard deviations, (K, D) or (K, 1).  Events of any shape are flattened.

    Paper: Dempster et al. 1977, "Maximum likelihood from incomplete data via the EM algorithm".
    """

    weights: Tensor
    means: Tensor
    scale: Tensor
    is_fitted: Tensor

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        n_components: int = 10,
        covariance: normal.Covariance = "full",
        min_variance: float = 1e-6,
        n_init: int = 1,
        max_iterations: int = 200,
        tolerance: float = 1e-4,
    ) -> None:
        super().__init__()
        check_min_variance(min_variance)
        for name, value in (("n_components", n_components), ("n_init", n_init), ("max_iterations", max_iterations)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        self.event_shape = tuple(event_shape)
        self.n_components = n_components
        self.covariance: normal.Covariance = covariance
        self.min_variance = min_variance
        self.n_init = n_init
        self.max_iterations = max_iterations
        self.tolerance = tolerance
        self.log_likelihood_history: list[float] = []
        n_dims = math.prod(self.event_shape)
        self.register_buffer("weights", torch.full((n_components,), 1 / n_components))
        self.register_buffer("means", torch.zeros(n_components, n_dims))
        self.register_buffer("scale", normal.unit_scale(covariance, n_components, n_dims))
        self.register_buffer("is_fitted", torch.tensor(False))

    @torch.no_grad()
    def fit(
        self,
        x: Float[Tensor, "N *E"],
        *,
        responsibilities: Float[Tensor, "N K"] | None = None,
        generator: torch.Generator | None = None,
    ) -> "GaussianMixture":
        """EM from `responsibilities` (rows sum to one), or from the best of `n_init` K-means drawn from `generator`.

        Raises ValueError on fewer events than components, on another shape, or on values that are not finite.
        """
        rows = training_rows(self, x, at_least=self.n_components)
        if responsibilities is not None:
            starts = [check_responsibilities(responsibilities, len(rows), self.n_components).to(rows)]
        else:
            starts = [hard_responsibilities(rows, self.n_components, generator) for _ in range(self.n_init)]
        runs = [self._maximise(rows, start) for start in starts]
        (weights, means, scale), self.log_likelihood_history = max(runs, key=lambda run: run[1][-1])
        self.weights.copy_(weights)
        self.means.copy_(means)
        self.scale.copy_(scale)
        self.is_fitted.fill_(True)
        return self

    def log_prob(self, x: Float[Tensor, "B *E"], context: Float[Tensor, "B *K"] | None = None) -> Float[Tensor, "B"]:
        """log sum_k w_k N(x; m_k, S_k), nats."""
        refuse_context(self, context)
        return torch.logsumexp(self._log_joint(x), dim=1)

    def responsibilities(self, x: Float[Tensor, "B *E"]) -> Float[Tensor, "B K"]:
        """p(k | x): rows sum to one."""
        return self._log_joint(x).softmax(1)

    @torch.no_grad()
    def sample(
        self, n: int, context: Float[Tensor, "n *K"] | None = None, *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "n *E"]:
        """n exact draws: a component, then a normal draw from it."""
        refuse_context(self, context)
        require_fitted(self)
        k = normal.choose(self.weights.expand(n, -1), generator)
        noise = torch.randn(
            n, self.means.shape[1], generator=generator, device=self.means.device, dtype=self.means.dtype
        )
        return normal.colour(noise, k, self.means, self.scale).unflatten(1, self.event_shape)  # (n, D) -> (n, *E)

    def _log_joint(self, x: Tensor) -> Tensor:
        """log w_k N(x; m_k, S_k), (B, K)."""
        return self.weights.log() + normal.log_normal(fitted_rows(self, x), self.means, self.scale)

    def _maximise(self, rows: Tensor, responsibilities: Tensor) -> tuple[tuple[Tensor, Tensor, Tensor], list[float]]:
        """((weights, means, scale), mean log-likelihood after each M-step)."""
        history: list[float] = []
        while True:
            parameters = normal.fit_components(rows, responsibilities, self.covariance, self.min_variance)
            mean_log_likelihood, responsibilities = _expect(rows, *parameters)
            history.append(mean_log_likelihood)
            converged = len(history) > 1 and history[-1] - history[-2] < self.tolerance
            if converged or len(history) == self.max_iterations:
                return parameters, history


def hard_responsibilities(
    rows: Float64[Tensor, "N D"], n_components: int, generator: torch.Generator | None
) -> Float64[Tensor, "N K"]:
    """One-hot assignments of one run of K-means."""
    clusters = KMeans(rows.shape[1:], n_clusters=n_components).to(rows).fit(rows, generator=generator)
    return torch.nn.functional.one_hot(clusters.assign(rows), n_components).to(rows)


def check_responsibilities(responsibilities: Tensor, n: int, n_components: int) -> Tensor:
    """Raises ValueError where they are not (n, K) probabilities."""
    if tuple(responsibilities.shape) != (n, n_components):
        raise ValueError(f"responsibilities must be {(n, n_components)}, got {tuple(responsibilities.shape)}")
    if (responsibilities < 0).any() or ((responsibilities.sum(1) - 1).abs() > 1e-3).any():
        raise ValueError("each row of responsibilities must be probabilities that sum to one")
    return responsibilities


def _expect(rows: Tensor, weights: Tensor, means: Tensor, scale: Tensor) -> tuple[float, Tensor]:
    """(mean log-likelihood, responsibilities), in pieces that fit in memory."""
    log_joint = torch.cat(
        [weights.log() + normal.log_normal(piece, means, scale) for piece in normal.in_chunks(rows, len(weights))]
    )
    return torch.logsumexp(log_joint, dim=1).mean().item(), log_joint.softmax(1)
