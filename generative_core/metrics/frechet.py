"""The Frechet distance between Gaussians that are fitted to features, which is what FID is."""

import torch
from jaxtyping import Float, Float64
from torch import Tensor, nn

from generative_core.metrics.distances import as_rows


def gaussian_frechet_distance(
    mean_a: Float[Tensor, "D"], cov_a: Float[Tensor, "D D"], mean_b: Float[Tensor, "D"], cov_b: Float[Tensor, "D D"]
) -> float:
    """||m_a - m_b||^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2)): the squared 2-Wasserstein distance of two Gaussians.

    tr (C_a C_b)^(1/2) is taken as the sum of the singular values of C_a^(1/2) C_b^(1/2), which stays right where the
    covariances are singular, as they are whenever there are fewer rows than features.

    Paper: Dowson & Landau 1982, https://doi.org/10.1016/0047-259X(82)90077-X.
    """
    cov_a, cov_b = cov_a.double(), cov_b.double()
    overlap = torch.linalg.svdvals(_symmetric_sqrt(cov_a) @ _symmetric_sqrt(cov_b)).sum()
    between = (mean_a.double() - mean_b.double()).square().sum()
    return max(float(between + cov_a.trace() + cov_b.trace() - 2 * overlap), 0.0)


def frechet_distance(features_a: Float[Tensor, "n *F"], features_b: Float[Tensor, "m *F"]) -> float:
    """Frechet distance between the Gaussians with the means and covariances of two sets of features; lower is better.

    With features of Inception this is FID; with those of another network it is a number of its own, that compares only
    with numbers from the same network and the same count of rows: it falls as n grows.  Raises ValueError where a side
    has fewer than two rows.

    Paper: Heusel et al. 2017, https://arxiv.org/abs/1706.08500, eq. 6.
    """
    return gaussian_frechet_distance(*_moments(features_a), *_moments(features_b))


@torch.no_grad()
def fid(
    real: Float[Tensor, "n *E"], model: Float[Tensor, "m *E"], features: nn.Module, *, batch_size: int = 256
) -> float:
    """FID as torchmetrics computes it, with `features` (B, *E) -> (B, *F) in the place of Inception.

    `features` is called as it is: the caller has put it into evaluation mode.  Needs torchmetrics (the extra `bench`).
    `frechet_distance` gives the same value from features that are at hand, and stays exact where torchmetrics' route by
    the eigenvalues of a product that is not symmetric loses digits.
    """
    from torchmetrics.image.fid import FrechetInceptionDistance

    extractor = _Extractor(features, n_features=features(real[:1]).flatten(1).shape[1])
    metric = FrechetInceptionDistance(feature=extractor).to(real.device)
    for images, is_real in ((real, True), (model, False)):
        for batch in images.split(batch_size):
            metric.update(batch, real=is_real)
    return float(metric.compute())


class _Extractor(nn.Module):
    """Features as torchmetrics wants them: their count as an attribute, float64."""

    def __init__(self, features: nn.Module, *, n_features: int) -> None:
        super().__init__()
        self.features = features
        self.num_features = n_features

    def forward(self, x: Tensor) -> Tensor:
        return self.features(x).flatten(1).double()


def _moments(features: Float[Tensor, "n *F"]) -> tuple[Float64[Tensor, "F"], Float64[Tensor, "F F"]]:
    if len(features) < 2:
        raise ValueError(f"a covariance needs two rows or more, got {len(features)}")
    rows = as_rows(features)
    mean = rows.mean(0)
    centred = rows - mean
    return mean, centred.T @ centred / (len(rows) - 1)


def _symmetric_sqrt(matrix: Float64[Tensor, "D D"]) -> Float64[Tensor, "D D"]:
    """Of a positive semi-definite matrix; eigenvalues that rounding has made negative count as zero."""
    values, vectors = torch.linalg.eigh(matrix)
    return (vectors * values.clamp(min=0).sqrt()) @ vectors.T
