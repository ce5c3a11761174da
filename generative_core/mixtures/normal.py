"""The normal law and its maximum-likelihood fit, as pure functions on K components at once.

`scale` says what kind of covariance it is by its shape: (K, D, D) lower triangles L with covariance L L^T ("full"),
(1, D, D) one for all ("tied"), (K, D) standard deviations ("diag"), (K, 1) one a component ("spherical").
"""

import math
from typing import Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor

Covariance = Literal["full", "tied", "diag", "spherical"]

_CHUNK = 2**23
"""Numbers (64 MiB of float64) that a pass over the data holds at once."""


def scale_shape(covariance: str, n_components: int, n_dims: int) -> tuple[int, ...]:
    """The shape of `scale`.  Raises ValueError on an unknown kind of covariance."""
    shapes: dict[str, tuple[int, ...]] = {
        "full": (n_components, n_dims, n_dims),
        "tied": (1, n_dims, n_dims),
        "diag": (n_components, n_dims),
        "spherical": (n_components, 1),
    }
    if covariance not in shapes:
        raise ValueError(f"covariance must be one of {', '.join(shapes)}, got {covariance!r}")
    return shapes[covariance]


def unit_scale(covariance: str, n_components: int, n_dims: int) -> Float[Tensor, "..."]:
    """The scale of N(0, I)."""
    shape = scale_shape(covariance, n_components, n_dims)
    return torch.eye(n_dims).expand(shape).clone() if len(shape) == 3 else torch.ones(shape)


def whiten(x: Float[Tensor, "B D"], means: Float[Tensor, "K D"], scale: Float[Tensor, "..."]) -> Float[Tensor, "B K D"]:
    """z with x = mean_k + scale_k z."""
    centred = x.unsqueeze(1) - means  # (B, K, D)
    if scale.ndim == 2:
        return centred / scale
    columns = torch.linalg.solve_triangular(scale, centred.permute(1, 2, 0), upper=False)  # (K, D, B)
    return columns.permute(2, 0, 1)


def log_det_scale(scale: Float[Tensor, "..."], n_dims: int) -> Float[Tensor, "K"]:
    """log |det scale_k|: half the log-determinant of the covariance (one number, to broadcast, where it is tied)."""
    if scale.ndim == 3:
        return scale.diagonal(dim1=1, dim2=2).log().sum(1)
    return scale.log().sum(1) * (n_dims // scale.shape[1])


def log_normal(
    x: Float[Tensor, "B D"], means: Float[Tensor, "K D"], scale: Float[Tensor, "..."]
) -> Float[Tensor, "B K"]:
    """log N(x; mean_k, scale_k scale_k^T), nats."""
    n_dims = x.shape[1]
    squared_distance = whiten(x, means, scale).square().sum(2)
    return -0.5 * squared_distance - log_det_scale(scale, n_dims) - 0.5 * n_dims * math.log(2 * math.pi)


def colour(
    noise: Float[Tensor, "n D"], k: Int64[Tensor, "n"], means: Float[Tensor, "K D"], scale: Float[Tensor, "..."]
) -> Float[Tensor, "n D"]:
    """mean_k + scale_k noise, row by row: the inverse of `whiten`."""
    if scale.ndim == 2:
        return means[k] + scale[k] * noise
    if len(scale) == 1:
        return means[k] + noise @ scale[0].T
    x = torch.empty_like(noise)
    for component in range(len(means)):  # a gathered (n, D, D) would not fit for images
        rows = k == component
        x[rows] = means[component] + noise[rows] @ scale[component].T
    return x


def choose(probabilities: Float[Tensor, "n K"], generator: torch.Generator | None) -> Int64[Tensor, "n"]:
    """One component a row, by the inverse distribution function of one uniform number."""
    u = torch.rand(len(probabilities), 1, generator=generator, device=probabilities.device, dtype=probabilities.dtype)
    below = probabilities.cumsum(1)[:, :-1]  # the last sum is one, and rounding must not say otherwise
    return (below <= u).sum(1)


def fit_components(
    x: Float[Tensor, "N D"], responsibilities: Float[Tensor, "N K"], covariance: Covariance, min_variance: float
) -> tuple[Float[Tensor, "K"], Float[Tensor, "K D"], Float[Tensor, "..."]]:
    """(weights, means, scale) that maximise sum_nk r_nk log(w_k N(x_n; mean_k, scale_k scale_k^T)).

    The maximum is over covariances whose eigenvalues are at least `min_variance`, and it is exact: flooring the
    eigenvalues of the weighted covariance is what that constraint asks for.  So EM stays monotone, which it would not
    with a constant added to the diagonal.
    """
    counts, means = weighted_means(x, responsibilities)
    weights = counts / counts.sum()
    if covariance in ("full", "tied"):
        scatter = [weighted_scatter(x, responsibilities[:, k], means[k]) for k in range(len(means))]
        if covariance == "tied":
            scatter, counts = [torch.stack(scatter).sum(0)], counts.sum(0, keepdim=True)
        scale = torch.stack([floored_cholesky(s / n, min_variance) for s, n in zip(scatter, counts, strict=True)])
        return weights, means, scale
    variance = torch.stack(
        [(responsibilities[:, k] @ (x - means[k]).square()) / counts[k] for k in range(len(means))]
    )  # (K, D)
    if covariance == "spherical":
        variance = variance.mean(1, keepdim=True)
    return weights, means, variance.clamp_min(min_variance).sqrt()


def weighted_means(
    x: Float[Tensor, "N D"], responsibilities: Float[Tensor, "N K"]
) -> tuple[Float[Tensor, "K"], Float[Tensor, "K D"]]:
    """(sum_n r_nk, the means weighted by r); a component that nobody owns gets a count of almost zero."""
    counts = responsibilities.sum(0) + 10 * torch.finfo(x.dtype).eps
    return counts, responsibilities.T @ x / counts.unsqueeze(1)


def weighted_scatter(
    x: Float[Tensor, "N D"], weight: Float[Tensor, "N"], mean: Float[Tensor, "D"]
) -> Float[Tensor, "D D"]:
    """sum_n w_n (x_n - mean)(x_n - mean)^T."""
    rows = (x - mean) * weight.sqrt().unsqueeze(1)
    return rows.T @ rows


def floored_cholesky(covariance: Float[Tensor, "D D"], min_variance: float) -> Float[Tensor, "D D"]:
    """L with L L^T the covariance, its eigenvalues raised to `min_variance` where they are lower."""
    floor = min_variance * torch.eye(len(covariance), dtype=covariance.dtype, device=covariance.device)
    if torch.linalg.cholesky_ex(covariance - floor).info == 0:
        return torch.linalg.cholesky(covariance)
    variances, axes = torch.linalg.eigh(covariance)
    root = axes * variances.clamp_min(min_variance).sqrt()
    upper = torch.linalg.qr(root.T).R  # root root^T = R^T R, without squaring the condition number
    return upper.T * upper.diagonal().sign()


def in_chunks(x: Float[Tensor, "N D"], n_components: int) -> tuple[Tensor, ...]:
    """x in pieces whose (rows, K, D) fit in memory."""
    return x.split(max(_CHUNK // (n_components * x.shape[1]), 1))
