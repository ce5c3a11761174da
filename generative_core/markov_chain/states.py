"""Binary units: drawing them, and listing all their states where there are few."""

from collections.abc import Callable, Iterator

import torch
from jaxtyping import Float
from torch import Tensor

MAX_ENUMERATED = 25
"""2^25 states of a small model take seconds; every further unit doubles that."""

_CHUNK = 2**14
"""States held at once."""


def draw(logits: Float[Tensor, "*S"], generator: torch.Generator | None) -> Float[Tensor, "*S"]:
    """Units that are 1 with probability sigmoid(logit), from one uniform number each."""
    u = torch.rand(logits.shape, generator=generator, device=logits.device, dtype=logits.dtype)
    return (u < logits.sigmoid()).to(logits.dtype)


def coin_flips(n: int, n_units: int, like: Tensor, generator: torch.Generator | None) -> Float[Tensor, "n U"]:
    """States whose units are fair coins, on the device and in the dtype of `like`."""
    return draw(like.new_zeros(n, n_units), generator)


def all_states(n_units: int, like: Tensor) -> Iterator[Float[Tensor, "chunk U"]]:
    """The 2^U states in pieces; bit i of a state's number is unit i.  Raises ValueError above MAX_ENUMERATED units."""
    if n_units > MAX_ENUMERATED:
        raise ValueError(
            f"an exact sum over 2^{n_units} states is out of reach (at most 2^{MAX_ENUMERATED}); estimate log Z with "
            "annealed_importance_sampling instead"
        )
    bits = torch.arange(n_units, device=like.device)
    for start in range(0, 2**n_units, _CHUNK):
        numbers = torch.arange(start, min(start + _CHUNK, 2**n_units), device=like.device)
        yield ((numbers.unsqueeze(1) >> bits) & 1).to(like.dtype)


def log_sum_over_states(log_weight: Callable[[Tensor], Tensor], n_units: int, like: Tensor) -> Float[Tensor, "*S"]:
    """log sum_s exp(log_weight(s)), with `log_weight` (chunk, U) -> (chunk, *S); differentiable."""
    return torch.stack([log_weight(states).logsumexp(0) for states in all_states(n_units, like)]).logsumexp(0)
