"""The Bayes classifier with normal classes, used as a generative model."""

import math
from collections.abc import Sequence
from typing import final

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from generative_core.families import AbstractTractable
from generative_core.mixtures import normal
from generative_core.mixtures.events import fitted_rows, require_fitted, training_rows
from generative_core.mixtures.gaussian import check_min_variance


@final
class ClassConditionalGaussian(AbstractTractable):
    """p(x | y) = N(x; m_y, S_y), p(y) = Categorical(w), all by maximum likelihood from labelled events.

    The context (B, n_classes) holds class probabilities c, and p(x | c) = sum_y c_y p(x | y): one-hot rows ask for one
    class.  Without a context c is the class prior w, and p(x) the marginal density.  By Bayes' rule the same model
    classifies: p(y | x) = w_y p(x | y) / p(x), quadratic discriminant analysis ("tied": linear).

    `covariance` and `min_variance` as in `GaussianMixture`.  Buffers: `weights` (K,), `means` (K, D), `scale`.
    """

    weights: Tensor
    means: Tensor
    scale: Tensor
    is_fitted: Tensor

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        n_classes: int,
        covariance: normal.Covariance = "full",
        min_variance: float = 1e-6,
    ) -> None:
        super().__init__()
        check_min_variance(min_variance)
        if n_classes < 1:
            raise ValueError(f"n_classes must be at least 1, got {n_classes}")
        self.event_shape = tuple(event_shape)
        self.n_classes = self.context_features = n_classes
        self.covariance: normal.Covariance = covariance
        self.min_variance = min_variance
        n_dims = math.prod(self.event_shape)
        self.register_buffer("weights", torch.full((n_classes,), 1 / n_classes))
        self.register_buffer("means", torch.zeros(n_classes, n_dims))
        self.register_buffer("scale", normal.unit_scale(covariance, n_classes, n_dims))
        self.register_buffer("is_fitted", torch.tensor(False))

    @torch.no_grad()
    def fit(self, x: Float[Tensor, "N *E"], y: Int64[Tensor, "N"]) -> "ClassConditionalGaussian":
        """Each class's share, mean and covariance; y are labels 0 to n_classes - 1.

        Raises ValueError on labels out of that range and on a class without events.
        """
        rows = training_rows(self, x)
        if len(y) and not 0 <= int(y.min()) <= int(y.max()) < self.n_classes:
            raise ValueError(f"labels must be 0 to {self.n_classes - 1}, got {int(y.min())} to {int(y.max())}")
        y = y.to(rows.device)
        counts = y.bincount(minlength=self.n_classes)
        if counts.min() == 0:
            raise ValueError(f"class {int(counts.argmin())} has no events; give it some, or lower n_classes")
        is_class = torch.nn.functional.one_hot(y, self.n_classes).to(rows)
        weights, means, scale = normal.fit_components(rows, is_class, self.covariance, self.min_variance)
        self.weights.copy_(weights)
        self.means.copy_(means)
        self.scale.copy_(scale)
        self.is_fitted.fill_(True)
        return self

    def log_prob(self, x: Float[Tensor, "B *E"], context: Float[Tensor, "B K"] | None = None) -> Float[Tensor, "B"]:
        """log p(x | context), or log p(x) without one, nats."""
        rows = fitted_rows(self, x)
        log_weights = _log(self._class_probabilities(len(x), context))
        return torch.logsumexp(log_weights + normal.log_normal(rows, self.means, self.scale), dim=1)

    def log_posterior(self, x: Float[Tensor, "B *E"]) -> Float[Tensor, "B K"]:
        """log p(y | x) of every class, nats."""
        rows = fitted_rows(self, x)
        return (_log(self.weights) + normal.log_normal(rows, self.means, self.scale)).log_softmax(1)

    def classify(self, x: Float[Tensor, "B *E"]) -> Int64[Tensor, "B"]:
        """The most probable class."""
        return self.log_posterior(x).argmax(1)

    def sample(
        self, n: int, context: Float[Tensor, "n K"] | None = None, *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "n *E"]:
        """n exact draws x ~ p(x | context), or from the marginal without one."""
        return self.sample_labelled(n, context, generator=generator)[0]

    @torch.no_grad()
    def sample_labelled(
        self, n: int, context: Float[Tensor, "n K"] | None = None, *, generator: torch.Generator | None = None
    ) -> tuple[Float[Tensor, "n *E"], Int64[Tensor, "n"]]:
        """(x, y): y from the context's class probabilities, or from the prior without one, then x ~ p(x | y)."""
        require_fitted(self)
        y = normal.choose(self._class_probabilities(n, context), generator)
        noise = torch.randn(
            n, self.means.shape[1], generator=generator, device=self.means.device, dtype=self.means.dtype
        )
        return normal.colour(noise, y, self.means, self.scale).unflatten(1, self.event_shape), y

    def _class_probabilities(self, n: int, context: Tensor | None) -> Tensor:
        """(n, n_classes), rows that sum to one."""
        if context is None:
            return self.weights.expand(n, -1)
        if tuple(context.shape) != (n, self.n_classes):
            raise ValueError(
                f"the context of {n} events must be class probabilities {(n, self.n_classes)}, got "
                f"{tuple(context.shape)}"
            )
        if (context < 0).any() or ((context.sum(1) - 1).abs() > 1e-3).any():
            raise ValueError(
                "each row of the context must be class probabilities that sum to one, such as a one-hot row"
            )
        return context


def _log(probability: Tensor) -> Tensor:
    """log p, with -inf at 0 and no nan in its gradient there."""
    is_positive = probability > 0
    return torch.where(is_positive, torch.where(is_positive, probability, 1).log(), -torch.inf)
