"""The Gaussian mixture with priors on everything, fitted by variational Bayes: it finds how many it needs."""

import math
from collections.abc import Sequence
from typing import Literal, final

import torch
from jaxtyping import Float
from torch import Tensor

from generative_core.families import AbstractTractable
from generative_core.mixtures import normal
from generative_core.mixtures.events import fitted_rows, refuse_context, require_fitted, training_rows
from generative_core.mixtures.gaussian import check_min_variance
from generative_core.mixtures.gaussian_mixture import check_responsibilities, hard_responsibilities
from generative_core.mixtures.normal_wishart import NormalWishart
from generative_core.mixtures.weights import WeightPosterior, dirichlet, stick_breaking


@final
class VariationalGaussianMixture(AbstractTractable):
    """x_n ~ N(m_z, P_z^-1), z_n ~ Categorical(w), with priors on w, m and P; q(z) q(w, m, P) by coordinate ascent.

        P_k ~ Wishart(v0, W0),  m_k ~ N(m0, (b0 P_k)^-1),  w ~ Dirichlet(a, ..., a), or the stick-breaking weights of a
        Dirichlet process, w_k = s_k prod_{j<k} (1 - s_j) with s_k ~ Beta(1, a), cut off after K.

    m0 is the data's mean, b0 = `mean_precision`, v0 = `degrees_of_freedom` and W0^-1 the data's covariance, its
    eigenvalues at least `min_variance`, times v0 - D - 1, so that each component's covariance is the data's own in
    prior mean, worth v0 - D - 1 events; where v0 <= D + 1 it has no prior mean and W0^-1 is that covariance itself.  By
    default v0 = 1.25 D + 2: in many dimensions a component has few events for its D (D + 1) / 2 covariances, and needs
    the prior.  Of several v0 the one with the highest bound is best.  a = `concentration`, 1 / K by default: small
    values empty the components that the data do not need.  The bound in `elbo_history` (nats, of all events) never
    falls.

    `log_prob` is the posterior predictive density under q, exact: a mixture of Student t with v_k + 1 - D degrees of
    freedom and the expected weights, no plug-in estimate.

    References: Bishop 2006, "Pattern Recognition and Machine Learning", sec. 10.2, eq. 10.46-10.81; for sticks Blei &
    Jordan 2006, "Variational inference for Dirichlet process mixtures".  Differs: sticks go to the largest components
    first, which raises the bound and avoids its worst local maxima.
    """

    weights: Tensor
    means: Tensor
    mean_precision: Tensor
    degrees_of_freedom: Tensor
    scale: Tensor
    is_fitted: Tensor

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        n_components: int = 10,
        weight_prior: Literal["dirichlet", "dirichlet_process"] = "dirichlet",
        concentration: float | None = None,
        mean_precision: float = 1.0,
        degrees_of_freedom: float | None = None,
        min_variance: float = 1e-6,
        max_iterations: int = 500,
        tolerance: float = 1e-4,
    ) -> None:
        super().__init__()
        check_min_variance(min_variance)
        self.event_shape = tuple(event_shape)
        n_dims = math.prod(self.event_shape)
        for name, value in (("n_components", n_components), ("max_iterations", max_iterations)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if weight_prior not in ("dirichlet", "dirichlet_process"):
            raise ValueError(f"weight_prior must be dirichlet or dirichlet_process, got {weight_prior!r}")
        for name, number in (("concentration", concentration), ("mean_precision", mean_precision)):
            if number is not None and not number > 0:
                raise ValueError(f"{name} must be positive, got {number}")
        if degrees_of_freedom is not None and not degrees_of_freedom > n_dims - 1:
            raise ValueError(f"degrees_of_freedom must be more than D - 1 = {n_dims - 1}, got {degrees_of_freedom}")
        self.n_components = n_components
        self.weight_prior = weight_prior
        self.concentration = 1 / n_components if concentration is None else concentration
        self.prior_mean_precision = mean_precision
        self.prior_degrees_of_freedom = float(1.25 * n_dims + 2 if degrees_of_freedom is None else degrees_of_freedom)
        self.min_variance = min_variance
        self.max_iterations = max_iterations
        self.tolerance = tolerance
        self.elbo_history: list[float] = []
        self.register_buffer("weights", torch.full((n_components,), 1 / n_components))
        self.register_buffer("means", torch.zeros(n_components, n_dims))
        self.register_buffer("mean_precision", torch.ones(n_components))
        self.register_buffer("degrees_of_freedom", torch.full((n_components,), self.prior_degrees_of_freedom))
        self.register_buffer("scale", normal.unit_scale("full", n_components, n_dims))
        self.register_buffer("is_fitted", torch.tensor(False))

    @torch.no_grad()
    def fit(
        self,
        x: Float[Tensor, "N *E"],
        *,
        responsibilities: Float[Tensor, "N K"] | None = None,
        generator: torch.Generator | None = None,
    ) -> "VariationalGaussianMixture":
        """Coordinate ascent from `responsibilities` (rows sum to one), or from K-means drawn from `generator`.

        Stops where an iteration raises the bound by less than `tolerance` nats an event.  Raises ValueError on fewer
        events than components, on another shape, or on values that are not finite.
        """
        rows = training_rows(self, x, at_least=self.n_components)
        if responsibilities is None:
            r = hard_responsibilities(rows, self.n_components, generator)
        else:
            r = check_responsibilities(responsibilities, len(rows), self.n_components).to(rows)
        prior = self._prior(rows)
        constant = -prior.log_normaliser().sum() - 0.5 * rows.numel() * math.log(2 * math.pi)
        history: list[float] = []
        while True:
            r = self._ordered(r)
            components = prior.posterior(rows, r)
            weights = self._weight_posterior(r.sum(0))
            entropy = -torch.special.xlogy(r, r).sum()
            elbo = components.log_normaliser().sum() + constant + weights.log_evidence + entropy
            history.append(elbo.item())
            converged = len(history) > 1 and history[-1] - history[-2] < self.tolerance * len(rows)
            if converged or len(history) == self.max_iterations:
                break
            pieces = normal.in_chunks(rows, self.n_components)
            log_r = torch.cat([weights.expected_log + components.expected_log_normal(piece) for piece in pieces])
            r = log_r.softmax(1)
        self.elbo_history = history
        self.weights.copy_(weights.expected)
        self.means.copy_(components.mean)
        self.mean_precision.copy_(components.mean_precision)
        self.degrees_of_freedom.copy_(components.degrees_of_freedom)
        self.scale.copy_(components.scale)
        self.is_fitted.fill_(True)
        return self

    def log_prob(self, x: Float[Tensor, "B *E"], context: Float[Tensor, "B *K"] | None = None) -> Float[Tensor, "B"]:
        """log of the posterior predictive density, sum_k E[w_k] Student t_k(x), nats."""
        refuse_context(self, context)
        return torch.logsumexp(self.weights.log() + self._components().log_predictive(fitted_rows(self, x)), dim=1)

    @torch.no_grad()
    def sample(
        self, n: int, context: Float[Tensor, "n *K"] | None = None, *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "n *E"]:
        """n exact draws from the posterior predictive density."""
        refuse_context(self, context)
        require_fitted(self)
        k = normal.choose(self.weights.expand(n, -1), generator)
        noise = torch.randn(
            n, self.means.shape[1], generator=generator, device=self.means.device, dtype=self.means.dtype
        )
        freedom, scale = self._components().predictive_scale()
        # torch.distributions draws its gammas by this same function, but takes no generator
        chi_squared = 2 * torch._standard_gamma(freedom[k] / 2, generator=generator)
        noise = noise * (freedom[k] / chi_squared).sqrt().unsqueeze(1)
        return normal.colour(noise, k, self.means, scale).unflatten(1, self.event_shape)  # (n, D) -> (n, *E)

    def _prior(self, rows: Tensor) -> NormalWishart:
        n_dims = rows.shape[1]
        mean = rows.mean(0)
        covariance = normal.weighted_scatter(rows, rows.new_ones(len(rows)), mean) / len(rows)
        scale = normal.floored_cholesky(covariance, self.min_variance)
        excess = self.prior_degrees_of_freedom - n_dims - 1
        ones = rows.new_ones(self.n_components)
        return NormalWishart(
            mean.expand(self.n_components, -1),
            self.prior_mean_precision * ones,
            self.prior_degrees_of_freedom * ones,
            (scale * math.sqrt(excess if excess > 0 else 1.0)).expand(self.n_components, -1, -1),
        )

    def _ordered(self, r: Tensor) -> Tensor:
        """Large components first, where the prior on the weights likes that better (sticks do, Dirichlet is even)."""
        counts = r.sum(0)
        largest_first = counts.argsort(descending=True)
        gain = self._weight_posterior(counts[largest_first]).log_evidence - self._weight_posterior(counts).log_evidence
        return r[:, largest_first] if gain > 1e-9 * len(r) else r

    def _weight_posterior(self, counts: Tensor) -> WeightPosterior:
        prior = dirichlet if self.weight_prior == "dirichlet" else stick_breaking
        return prior(counts, self.concentration)

    def _components(self) -> NormalWishart:
        return NormalWishart(self.means, self.mean_precision, self.degrees_of_freedom, self.scale)
