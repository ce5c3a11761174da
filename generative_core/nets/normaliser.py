"""Running mean and variance of a stream of batches, and the map that standardises by them."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, Float64
from torch import Tensor, nn

MIN_STD = 1e-5
"""A dimension that varies less than this is constant: dividing by its std would blow up what is rounding or drift."""


class RunningNormaliser(nn.Module):
    """x -> (x - mean) / std with the statistics of all batches seen; constant dimensions become exact zeros.

    Mean and population variance are float64 and merge exactly, whatever the batching (Chan et al. 1983, "Algorithms
    for Computing the Sample Variance", eq. 1.5).  Before the first update the map is the identity.  Nothing is clipped,
    so the map is affine and can be folded into a linear layer: see `scale_and_shift`.
    """

    mean: Tensor
    var: Tensor
    count: Tensor
    floor: Tensor
    _mean32: Tensor
    _scale32: Tensor

    def __init__(self, event_shape: Sequence[int]) -> None:
        super().__init__()
        self.event_shape = tuple(event_shape)
        self.register_buffer("mean", torch.zeros(self.event_shape, dtype=torch.float64))
        self.register_buffer("var", torch.ones(self.event_shape, dtype=torch.float64))
        self.register_buffer("count", torch.zeros((), dtype=torch.float64))
        self.register_buffer("floor", torch.zeros(self.event_shape, dtype=torch.float64))
        # what forward reads for float32 inputs; derived from the above
        self.register_buffer("_mean32", torch.zeros(self.event_shape), persistent=False)
        self.register_buffer("_scale32", torch.ones(self.event_shape), persistent=False)

    @torch.no_grad()
    def update(self, x: Float[Tensor, "B *E"]) -> None:
        """Merge a batch.  Raises ValueError on a wrong shape or on values that are not finite."""
        if tuple(x.shape[1:]) != self.event_shape:
            raise ValueError(f"RunningNormaliser expects (B, {self.event_shape}), got {tuple(x.shape)}")
        if len(x) == 0:
            return
        batch = x.to(self.mean)
        batch_mean = batch.mean(0)
        batch_var = (batch - batch_mean).square().mean(0)
        if not torch.isfinite(batch_var).all():
            raise ValueError("RunningNormaliser got a batch with nan or inf; its statistics were left as they were")
        total = self.count + len(batch)
        weight = len(batch) / total
        delta = batch_mean - self.mean
        # before the first batch count is zero, and the stored variance of one is a mere placeholder
        self.var.mul_(1 - weight).add_(weight * batch_var + weight * (1 - weight) * delta.square())
        self.mean.add_(weight * delta)
        self.count.copy_(total)
        self._refresh()

    @torch.no_grad()
    def bound(self, x: Float[Tensor, "B *E"], limit: float = 5.0) -> None:
        """Scale the dimensions with heavy tails down until every coordinate of x lies within +-limit.

        Contact forces spike to 150 standard deviations, and a network that meets one such input is wrong everywhere.
        Without a clip the map stays affine.
        """
        if limit <= 0:
            raise ValueError(f"limit must be positive, got {limit}")
        widest = (x.to(self.mean) - self.mean).abs().amax(dim=0)
        self.floor.copy_(torch.maximum(self.floor, widest / limit))
        self._refresh()

    def forward(self, x: Float[Tensor, "B *E"]) -> Float[Tensor, "B *E"]:
        """Standardised x, in x's dtype."""
        if x.dtype == torch.float32:
            return ((x - self._mean32) * self._scale32).to(x.dtype)
        scale, mean = self.scale_and_shift()
        return ((x - mean) * scale).to(x.dtype)

    def scale_and_shift(self) -> tuple[Float64[Tensor, "*E"], Float64[Tensor, "*E"]]:
        """(scale, shift) with forward(x) = (x - shift) * scale: 1 / std, or 0 for a constant dimension; and the mean.

        The std is that of the data, or what `bound` asks for where that is more.

        Folded into a linear layer W x + b: W' = W * scale and b' = b - W' shift, computed in float64.
        """
        std = self.var.sqrt()
        return torch.where(std < MIN_STD, 0.0, 1 / torch.maximum(std, self.floor)), self.mean.clone()

    def _refresh(self) -> None:
        scale, mean = self.scale_and_shift()
        self._mean32.copy_(mean)
        self._scale32.copy_(scale)

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._refresh()
