"""Linear maps across features or channels: fixed permutations and the learnt invertible matrix."""

import math
from typing import final

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from generative_core.flows.bijector import AbstractBijector


@final
class Permutation(AbstractBijector):
    """y[:, i] = x[:, index[i]] along the first event dimension.  Raises ValueError where `index` is no permutation."""

    index: Tensor
    index_of_inverse: Tensor

    def __init__(self, index: Int64[Tensor, "C"]) -> None:
        super().__init__()
        if not torch.equal(index.sort().values, torch.arange(len(index), device=index.device)):
            raise ValueError(f"a permutation lists 0 to {len(index) - 1} once each, got {index.tolist()}")
        self.register_buffer("index", index.clone())
        self.register_buffer("index_of_inverse", index.argsort())

    def forward_and_log_det(
        self, x: Float[Tensor, "B C *S"], context: Float[Tensor, "B K"] | None = None
    ) -> tuple[Float[Tensor, "B C *S"], Float[Tensor, "B"]]:
        return x.index_select(1, self.index), x.new_zeros(len(x))

    def inverse_and_log_det(
        self, y: Float[Tensor, "B C *S"], context: Float[Tensor, "B K"] | None = None
    ) -> tuple[Float[Tensor, "B C *S"], Float[Tensor, "B"]]:
        return y.index_select(1, self.index_of_inverse), y.new_zeros(len(y))


def reverse(n: int) -> Permutation:
    """y = (x_n, ..., x_1)."""
    return Permutation(torch.arange(n - 1, -1, -1))


def deal(n: int) -> Permutation:
    """y = (x_1, x_3, ..., x_2, x_4, ...): the odd places first, as two hands are dealt from a deck.

    After k deals the halves of y differ in bit k of the place in x, so log2(n) deals part every pair of elements once.
    """
    return Permutation(torch.cat([torch.arange(0, n, 2), torch.arange(1, n, 2)]))


@final
class InvertibleLinear(AbstractBijector):
    """y = W x across the features of (C,) vectors, or at each position of (C, H, W) images: a 1x1 convolution.

    W = P L (U + diag(sign * exp(log_diagonal))), with P a fixed permutation, L unit lower and U strictly upper
    triangular, so that log|det W| = sum log_diagonal costs C and not C^3.  W starts as a random rotation.

    Paper: Kingma & Dhariwal 2018, https://arxiv.org/abs/1807.03039, eq. 10.
    """

    permutation: Tensor
    sign: Tensor

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        rotation = nn.init.orthogonal_(torch.empty(n_channels, n_channels))
        permutation, lower, upper = torch.linalg.lu(rotation)
        diagonal = upper.diagonal()
        self.register_buffer("permutation", permutation)
        self.register_buffer("sign", diagonal.sign())
        self.log_diagonal = nn.Parameter(diagonal.abs().log())
        self.lower = nn.Parameter(lower.tril(-1))
        self.upper = nn.Parameter(upper.triu(1))

    def forward_and_log_det(
        self, x: Float[Tensor, "B C *S"], context: Float[Tensor, "B K"] | None = None
    ) -> tuple[Float[Tensor, "B C *S"], Float[Tensor, "B"]]:
        lower, upper = self._factors()
        with torch.autocast(x.device.type, enabled=False):  # a rounded W has another determinant
            return _mix(x, self.permutation @ (lower @ upper)), self._log_det(x)

    def inverse_and_log_det(
        self, y: Float[Tensor, "B C *S"], context: Float[Tensor, "B K"] | None = None
    ) -> tuple[Float[Tensor, "B C *S"], Float[Tensor, "B"]]:
        lower, upper = self._factors()
        half_solved = torch.linalg.solve_triangular(lower, self.permutation.mT, upper=False, unitriangular=True)
        with torch.autocast(y.device.type, enabled=False):
            return _mix(y, torch.linalg.solve_triangular(upper, half_solved, upper=True)), -self._log_det(y)

    def _factors(self) -> tuple[Tensor, Tensor]:
        lower = self.lower.tril(-1) + torch.eye(len(self.sign), dtype=self.sign.dtype, device=self.sign.device)
        return lower, self.upper.triu(1) + torch.diag(self.sign * self.log_diagonal.exp())

    def _log_det(self, x: Tensor) -> Tensor:
        return (math.prod(x.shape[2:]) * self.log_diagonal.sum()).expand(len(x))


def _mix(x: Tensor, matrix: Tensor) -> Tensor:
    # images: a batched product, on small matrices several times faster than conv2d
    return F.linear(x, matrix) if x.ndim == 2 else (matrix @ x.flatten(2)).view_as(x)
