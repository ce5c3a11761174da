"""What invertible maps are held to, in float64."""

import torch
from torch import Tensor
from torch.testing import assert_close

from generative_core.flows.bijector import AbstractBijector


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


def jacobian(f, x: Tensor, context: Tensor | None) -> Tensor:
    """(B, D, D): df_i/dx_j of each event, by autograd."""
    rows = []
    for i in range(len(x)):
        one = None if context is None else context[i : i + 1]
        full = torch.autograd.functional.jacobian(lambda e, one=one: f(e.unsqueeze(0), one).flatten(), x[i])
        rows.append(full.flatten(1))
    return torch.stack(rows)


def assert_inverse(bijector: AbstractBijector, x: Tensor, context: Tensor | None, *, atol: float = 1e-9) -> None:
    """Both ways round, with opposite log-determinants; and the map does something."""
    y, log_det = bijector.forward_and_log_det(x, context)
    x_again, log_det_back = bijector.inverse_and_log_det(y, context)
    assert_close(x_again, x, rtol=0, atol=atol)
    assert_close(log_det_back, -log_det, rtol=0, atol=atol)
    assert_close(bijector(bijector.inverse(y, context), context), y, rtol=0, atol=atol)
    assert log_det.shape == log_det_back.shape == (len(x),)
    assert y.shape != x.shape or (y - x).abs().max() > 1e-2


def assert_log_det(bijector: AbstractBijector, x: Tensor, context: Tensor | None) -> None:
    """Equals log|det| of the autograd Jacobian, for each event, forward and back."""
    y, log_det = bijector.forward_and_log_det(x, context)
    assert_close(torch.linalg.slogdet(jacobian(bijector, x, context)).logabsdet, log_det, rtol=0, atol=1e-8)
    back = torch.linalg.slogdet(jacobian(bijector.inverse, y, context)).logabsdet
    assert_close(back, bijector.inverse_and_log_det(y, context)[1], rtol=0, atol=1e-8)
