"""ActNorm: an affine map a channel that starts from the statistics of the first batch."""

import math
from collections.abc import Sequence
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from generative_core.flows.bijector import AbstractBijector

MIN_STD = 1e-5
"""A channel that varies less than this over the first batch is constant and keeps its scale."""


@final
class ActNorm(AbstractBijector):
    """y = x exp(log_scale) + shift, one pair a feature of (D,) vectors or a channel of (C, H, W) images.

    Until `initialised` it is the identity.  The first batch that goes forward in training mode sets both parameters so
    that every channel of y has mean 0 and (population) standard deviation 1 there; from then on they are learnt.  The
    buffer `initialised` is saved with the parameters, so a loaded layer never starts again; evaluation, sampling and
    the inverse never initialise.  Raises FloatingPointError where that first batch holds nan or inf.

    Paper: Kingma & Dhariwal 2018, https://arxiv.org/abs/1807.03039, sec. 3.1.
    """

    initialised: Tensor

    def __init__(self, event_shape: Sequence[int]) -> None:
        super().__init__()
        n_channels, *spatial = event_shape
        self.log_scale = nn.Parameter(torch.zeros(n_channels, *(1 for _ in spatial)))
        self.shift = nn.Parameter(torch.zeros(n_channels, *(1 for _ in spatial)))
        self.register_buffer("initialised", torch.tensor(False))
        self._seen_initialised = False  # spares a look at the buffer, which on a GPU waits for the device

    def forward_and_log_det(
        self, x: Float[Tensor, "B C *S"], context: Float[Tensor, "B K"] | None = None
    ) -> tuple[Float[Tensor, "B C *S"], Float[Tensor, "B"]]:
        if self.training and not self._seen_initialised:
            self._initialise_once(x)
        return torch.addcmul(self.shift, x, self.log_scale.exp()), self._log_det(x)

    def inverse_and_log_det(
        self, y: Float[Tensor, "B C *S"], context: Float[Tensor, "B K"] | None = None
    ) -> tuple[Float[Tensor, "B C *S"], Float[Tensor, "B"]]:
        return (y - self.shift) * (-self.log_scale).exp(), -self._log_det(y)

    def _log_det(self, x: Tensor) -> Tensor:
        return (math.prod(x.shape[2:]) * self.log_scale.sum()).expand(len(x))

    @torch.no_grad()
    def _initialise_once(self, x: Tensor) -> None:
        if not self.initialised and x.numel() > self.log_scale.numel():  # one value a channel has no spread
            dims = [0, *range(2, x.ndim)]
            std, mean = torch.std_mean(x, dims, correction=0)
            if not (mean.isfinite().all() and std.isfinite().all()):
                raise FloatingPointError("ActNorm cannot start from a batch with nan or inf; nothing was changed")
            scale = torch.where(std < MIN_STD, 1.0, 1 / std)
            self.log_scale.copy_(scale.log().view_as(self.log_scale))
            self.shift.copy_((-mean * scale).view_as(self.shift))
            self.initialised.fill_(True)
        self._seen_initialised = bool(self.initialised)

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._seen_initialised = False
