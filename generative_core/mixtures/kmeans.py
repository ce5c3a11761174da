"""K-means: hard clusters, and where the mixtures start."""

import math
from collections.abc import Sequence
from typing import final

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor, nn

from generative_core.mixtures.events import fitted_rows, training_rows


@final
class KMeans(nn.Module):
    """K centres c that minimise the inertia sum_n min_k ||x_n - c_k||^2, in x's unit squared, by Lloyd's iteration.

    It is EM for a mixture of equal spheres in the limit of zero variance, where responsibilities become 0 or 1.  The
    inertia never rises; `inertia_history` has it after each assignment, until the assignments stay.  A centre that
    loses all its events moves to the event farthest from its own centre.  The best of `n_init` starts is kept, each by
    k-means++.  `centres` is a buffer (K, *E).

    Papers: Lloyd 1982, "Least squares quantization in PCM"; Arthur & Vassilvitskii 2007, "k-means++: the advantages of
    careful seeding" (the greedy variant: the best of 2 + log K candidates at each step).
    """

    centres: Tensor
    is_fitted: Tensor

    def __init__(
        self, event_shape: Sequence[int], *, n_clusters: int, n_init: int = 1, max_iterations: int = 300
    ) -> None:
        super().__init__()
        for name, value in (("n_clusters", n_clusters), ("n_init", n_init), ("max_iterations", max_iterations)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        self.event_shape = tuple(event_shape)
        self.n_clusters = n_clusters
        self.n_init = n_init
        self.max_iterations = max_iterations
        self.inertia_history: list[float] = []
        self.register_buffer("centres", torch.zeros(n_clusters, *self.event_shape))
        self.register_buffer("is_fitted", torch.tensor(False))

    @torch.no_grad()
    def fit(
        self,
        x: Float[Tensor, "N *E"],
        *,
        centres: Float[Tensor, "K *E"] | None = None,
        generator: torch.Generator | None = None,
    ) -> "KMeans":
        """Lloyd's iteration from `centres`, or from the best of `n_init` seedings drawn from `generator`.

        Raises ValueError on fewer events than clusters, on another shape, or on values that are not finite.
        """
        rows = training_rows(self, x, at_least=self.n_clusters)
        if centres is not None and tuple(centres.shape) != tuple(self.centres.shape):
            raise ValueError(f"centres must be {tuple(self.centres.shape)}, got {tuple(centres.shape)}")
        origin = rows.mean(0)
        rows = rows - origin
        if centres is not None:
            runs = [self._lloyd(rows, centres.to(rows).reshape(self.n_clusters, -1) - origin)]
        else:
            runs = [self._lloyd(rows, _seed(rows, self.n_clusters, generator)) for _ in range(self.n_init)]
        best, self.inertia_history = min(runs, key=lambda run: run[1][-1])
        self.centres.copy_((best + origin).unflatten(1, self.event_shape))
        self.is_fitted.fill_(True)
        return self

    def assign(self, x: Float[Tensor, "B *E"]) -> Int64[Tensor, "B"]:
        """The nearest centre of each event."""
        return self._distances(x).argmin(1)

    def inertia(self, x: Float[Tensor, "B *E"]) -> Float[Tensor, ""]:
        """sum_n min_k ||x_n - c_k||^2."""
        return self._distances(x).min(1).values.sum()

    def _distances(self, x: Tensor) -> Tensor:
        centres = self.centres.flatten(1)
        origin = centres.mean(0)  # expanded squares lose less to rounding near the origin
        return _squared_distances(fitted_rows(self, x) - origin, centres - origin)

    def _lloyd(self, rows: Tensor, centres: Tensor) -> tuple[Tensor, list[float]]:
        history: list[float] = []
        previous = None
        for _ in range(self.max_iterations):
            distance, k = _squared_distances(rows, centres).min(1)
            history.append(distance.sum().item())
            if previous is not None and torch.equal(k, previous):
                break
            previous = k
            centres = _move(rows, centres, distance, k)
        return centres, history


def _move(rows: Tensor, centres: Tensor, distance: Tensor, k: Tensor) -> Tensor:
    """The means of the clusters; empty ones go, in turn, to the events that are worst served."""
    counts = k.bincount(minlength=len(centres))
    moved = torch.zeros_like(centres).index_add_(0, k, rows) / counts.clamp_min(1).unsqueeze(1)
    is_empty = counts == 0
    n_empty = int(is_empty.sum())
    if n_empty:
        moved[is_empty] = rows[distance.topk(n_empty).indices]
    return moved


def _seed(rows: Float64[Tensor, "N D"], n_clusters: int, generator: torch.Generator | None) -> Float64[Tensor, "K D"]:
    """Greedy k-means++: candidates drawn with probability proportional to the squared distance, the best one taken."""
    n_candidates = 2 + int(math.log(n_clusters))
    first = torch.randint(len(rows), (1,), generator=generator, device=rows.device)
    chosen = [rows[first]]
    distance = _squared_distances(rows, rows[first]).squeeze(1)
    for _ in range(n_clusters - 1):
        u = torch.rand(n_candidates, generator=generator, device=rows.device, dtype=rows.dtype)
        mass = distance.cumsum(0)
        picks = torch.searchsorted(mass, u * mass[-1], right=True).clamp_max(len(rows) - 1)
        after = torch.minimum(distance, _squared_distances(rows, rows[picks]).T)  # (candidates, N)
        best = after.sum(1).argmin()
        chosen.append(rows[picks[best]].unsqueeze(0))
        distance = after[best]
    return torch.cat(chosen)


def _squared_distances(rows: Float[Tensor, "N D"], centres: Float[Tensor, "K D"]) -> Float[Tensor, "N K"]:
    square = rows.square().sum(1, keepdim=True) - 2 * rows @ centres.T + centres.square().sum(1)
    return square.clamp_min(0)
