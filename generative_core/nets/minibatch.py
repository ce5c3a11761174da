"""Layers for which an event is one of a batch: what else is in the batch, or in one that never changes."""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class MinibatchDiscrimination(nn.Module):
    """f (B, in_features) -> (B, in_features + kernels): f, and how near the rest of the batch is, in `kernels` ways.

        o_b(x_i) = sum_j exp(-||M_ib - M_jb||_1),   M_i = T f(x_i)  (kernels, kernel_features)

    Each o_b lies in [1, B]: 1 far from all others, B where all are alike.  A critic that has it must see data and
    samples in batches of their own, of one size.

    Paper: Salimans et al. 2016, https://arxiv.org/abs/1606.03498, sec. 3.2.
    """

    def __init__(self, in_features: int, *, kernels: int, kernel_features: int = 5) -> None:
        super().__init__()
        self.kernels = kernels
        self.out_features = in_features + kernels
        self.project = nn.Linear(in_features, kernels * kernel_features, bias=False)

    def forward(self, features: Float[Tensor, "B F"]) -> Float[Tensor, "B G"]:
        rows = self.project(features).unflatten(1, (self.kernels, -1)).transpose(0, 1)  # (B, K*C) -> (K, B, C)
        distance = torch.cdist(rows, rows, p=1)  # (K, B, B)
        return torch.cat([features, (-distance).exp().sum(2).T], dim=1)


class VirtualBatchNorm(nn.Module):
    """Batch norm by the statistics of a reference batch and of the event itself: no other event has a say.

    x (n_reference + B, C, *S), the reference batch first, gives y of that shape.  The reference is normalised by its
    own mean and variance of each channel, an event by those of both, where it counts as one of n_reference + 1.
    Training and evaluation are alike, and there is no running average.

    Paper: Salimans et al. 2016, https://arxiv.org/abs/1606.03498, sec. 3.5.
    """

    def __init__(self, channels: int, *, n_reference: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.n_reference = n_reference
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Float[Tensor, "N C *S"]) -> Float[Tensor, "N C *S"]:
        flat = x.flatten(2)  # (N, C, prod S)
        mean_own = flat.mean(2)  # (N, C), each event's
        variance_own = (flat - mean_own[..., None]).square().mean(2)
        reference = flat[: self.n_reference]
        mean_reference = reference.mean((0, 2))  # (C,)
        variance_reference = (reference - mean_reference[:, None]).square().mean((0, 2))
        own = torch.full((len(x), 1), 1 / (self.n_reference + 1), dtype=x.dtype, device=x.device)
        own[: self.n_reference] = 0
        mean = torch.lerp(mean_reference.expand_as(mean_own), mean_own, own)
        # of a mix of two laws: the mixed variances and what lies between the means; never a difference of squares
        between = own * (1 - own) * (mean_own - mean_reference).square()
        variance = (1 - own) * variance_reference + own * variance_own + between
        scale = self.weight * (variance + self.eps).rsqrt()
        shape = (*mean.shape, *(1 for _ in x.shape[2:]))
        return (x - mean.view(shape)) * scale.view(shape) + self.bias.view(1, -1, *shape[2:])
