"""What a flow ends in: independent noise with a closed density."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import final

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


class AbstractBase(ABC):
    """Independent standard variables, symmetric about their mode 0.

    Stateless: shape, device and dtype are the caller's.
    """

    @abstractmethod
    def log_prob(self, z: Float[Tensor, "B D"]) -> Float[Tensor, "B"]:
        """Sum of the log-densities, nats."""

    @abstractmethod
    def sample(
        self,
        shape: Sequence[int],
        *,
        generator: torch.Generator | None = None,
        device: torch.device | None = None,
        dtype: torch.dtype | None = None,
    ) -> Float[Tensor, "..."]:
        """Independent draws."""


@final
class StandardNormal(AbstractBase):
    """log p(z) = -z^2/2 - log(2 pi)/2."""

    def log_prob(self, z: Float[Tensor, "B D"]) -> Float[Tensor, "B"]:
        return -0.5 * (z.square().sum(1) + z.shape[1] * math.log(2 * math.pi))

    def sample(
        self,
        shape: Sequence[int],
        *,
        generator: torch.Generator | None = None,
        device: torch.device | None = None,
        dtype: torch.dtype | None = None,
    ) -> Float[Tensor, "..."]:
        return torch.randn(*shape, generator=generator, device=device, dtype=dtype)


@final
class StandardLogistic(AbstractBase):
    """log p(z) = log sigmoid(z) + log sigmoid(-z); variance pi^2/3, tails like exp(-|z|)."""

    def log_prob(self, z: Float[Tensor, "B D"]) -> Float[Tensor, "B"]:
        return (F.logsigmoid(z) + F.logsigmoid(-z)).sum(1)

    def sample(
        self,
        shape: Sequence[int],
        *,
        generator: torch.Generator | None = None,
        device: torch.device | None = None,
        dtype: torch.dtype | None = None,
    ) -> Float[Tensor, "..."]:
        u = torch.rand(*shape, generator=generator, device=device, dtype=dtype)
        return torch.logit(u, eps=torch.finfo(u.dtype).eps / 2)  # rand may give an exact 0
