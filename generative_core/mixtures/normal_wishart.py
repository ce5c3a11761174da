"""The conjugate prior of a normal law's mean and precision, for K components at once."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from generative_core.mixtures import normal


@dataclass(frozen=True)
class NormalWishart:
    """P_k ~ Wishart(v_k, W_k), m_k | P_k ~ N(mean_k, (b_k P_k)^-1).

    Reference: Bishop 2006, "Pattern Recognition and Machine Learning", eq. 10.40, 10.60-10.67 and 10.81-10.82.
    """

    mean: Float[Tensor, "K D"]
    mean_precision: Float[Tensor, "K"]
    """b"""
    degrees_of_freedom: Float[Tensor, "K"]
    """v > D - 1"""
    scale: Float[Tensor, "K D D"]
    """Lower triangles L with W^-1 = L L^T."""

    def posterior(self, x: Float[Tensor, "N D"], responsibilities: Float[Tensor, "N K"]) -> "NormalWishart":
        """The law after each event was seen with its weight."""
        counts, means = normal.weighted_means(x, responsibilities)
        b = self.mean_precision + counts
        mean = (self.mean_precision.unsqueeze(1) * self.mean + counts.unsqueeze(1) * means) / b.unsqueeze(1)
        scales = []
        for k in range(len(counts)):
            shift = means[k] - self.mean[k]
            inverse_w = self.scale[k] @ self.scale[k].T + normal.weighted_scatter(x, responsibilities[:, k], means[k])
            inverse_w += self.mean_precision[k] * counts[k] / b[k] * torch.outer(shift, shift)
            rounding = torch.finfo(x.dtype).eps * inverse_w.trace().item()  # W^-1 is positive but for that
            scales.append(normal.floored_cholesky(inverse_w, rounding))
        return NormalWishart(mean, b, self.degrees_of_freedom + counts, torch.stack(scales))

    def log_normaliser(self) -> Float[Tensor, "K"]:
        """log of the integral of |P|^((v - D) / 2) exp(-tr(W^-1 P) / 2 - b (m - mean)^T P (m - mean) / 2)."""
        n_dims = self.mean.shape[1]
        v = self.degrees_of_freedom
        log_det_w = -2 * normal.log_det_scale(self.scale, n_dims)
        gaussian = 0.5 * n_dims * (math.log(2 * math.pi) - self.mean_precision.log())
        return gaussian + 0.5 * v * (log_det_w + n_dims * math.log(2)) + torch.mvlgamma(v / 2, n_dims)

    def expected_log_normal(self, x: Float[Tensor, "B D"]) -> Float[Tensor, "B K"]:
        """E log N(x; m_k, P_k^-1), nats."""
        n_dims = x.shape[1]
        v = self.degrees_of_freedom
        below = torch.arange(n_dims, device=x.device, dtype=x.dtype)
        log_det_w = -2 * normal.log_det_scale(self.scale, n_dims)
        expected_log_det = torch.digamma((v.unsqueeze(1) - below) / 2).sum(1) + n_dims * math.log(2) + log_det_w
        squared_distance = n_dims / self.mean_precision + v * normal.whiten(x, self.mean, self.scale).square().sum(2)
        return 0.5 * (expected_log_det - squared_distance - n_dims * math.log(2 * math.pi))

    def predictive_scale(self) -> tuple[Float[Tensor, "K"], Float[Tensor, "K D D"]]:
        """(f, L): the next event is Student t around `mean` with f = v + 1 - D degrees of freedom and scale L L^T."""
        freedom = self.degrees_of_freedom + 1 - self.mean.shape[1]
        factor = ((1 + self.mean_precision) / (freedom * self.mean_precision)).sqrt()
        return freedom, factor[:, None, None] * self.scale

    def log_predictive(self, x: Float[Tensor, "B D"]) -> Float[Tensor, "B K"]:
        """log of the Student t density of the next event, nats."""
        n_dims = x.shape[1]
        freedom, scale = self.predictive_scale()
        squared_distance = normal.whiten(x, self.mean, scale).square().sum(2)
        log_constant = (
            torch.lgamma((freedom + n_dims) / 2)
            - torch.lgamma(freedom / 2)
            - 0.5 * n_dims * (freedom * math.pi).log()
            - normal.log_det_scale(scale, n_dims)
        )
        return log_constant - 0.5 * (freedom + n_dims) * torch.log1p(squared_distance / freedom)
