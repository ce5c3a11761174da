"""Log-densities in the unit that image models are compared in."""

import math

from jaxtyping import Float
from torch import Tensor


def bits_per_dim(log_prob: Float[Tensor, "B"], n_dims: int, *, levels: int | None = 256) -> Float[Tensor, "B"]:
    """Bits per dimension (lower is better) from log p in nats.

        -log p / (D ln 2) + log2(levels / 2)

    for a density of images dequantised into [-1, 1], where each of the `levels` is 2 / levels wide: 256 levels add 7
    bits.  `levels=None` for a probability of discrete levels, to which nothing is added.  Both are upper bounds of the
    same number of bits, that of a lossless code for the discrete image, so they compare.

    Papers: Theis et al. 2016, https://arxiv.org/abs/1511.01844, eq. 3 (dequantisation); Dinh et al. 2017,
    https://arxiv.org/abs/1605.08803, sec. 4.
    """
    bits = -log_prob / (n_dims * math.log(2))
    return bits if levels is None else bits + math.log2(levels / 2)
