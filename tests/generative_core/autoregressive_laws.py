"""What exact densities over few binary elements can be held to."""

import math

import torch
from torch import Tensor, nn
from torch.testing import assert_close


def shaken(model: nn.Module, *, seed: int = 0, by: float = 0.7) -> nn.Module:
    """In float64 and evaluation mode, with parameters far from their cautious start, so that a law can fail."""
    generator = torch.Generator().manual_seed(seed)
    model = model.double().eval()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(by * torch.randn(p.shape, generator=generator, dtype=p.dtype))
    return model


def binary_states(event_shape: tuple[int, ...]) -> Tensor:
    """All 2^D events, (2^D, *E), the first element the most significant."""
    n_dims = math.prod(event_shape)
    bits = torch.arange(2**n_dims).unsqueeze(1) >> torch.arange(n_dims - 1, -1, -1)
    return (bits & 1).double().view(-1, *event_shape)


def one_context(model, n: int, seed: int = 0) -> Tensor | None:
    """The same random context n times; None where the model takes none."""
    if not model.context_features:
        return None
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(1, model.context_features, generator=generator, dtype=torch.float64).expand(n, -1)


@torch.no_grad()
def log_prob_of_states(model, seed: int = 0) -> Tensor:
    states = binary_states(model.event_shape)
    return model.log_prob(states, one_context(model, len(states), seed))


def assert_sums_to_one(model) -> None:
    for seed in range(3 if model.context_features else 1):
        log_prob = log_prob_of_states(model, seed)
        assert log_prob.std() > 0.1
        assert_close(log_prob.exp().sum().item(), 1.0, rtol=0, atol=1e-12)


def assert_draws_follow(draws: Tensor, log_prob: Tensor) -> None:
    """Draws (n, *E) of binary events have the probabilities exp(log_prob) (2^D,) in the order of `binary_states`.

    Their total variation from it has the mean 1/2 sum sqrt(2 p (1 - p) / (pi n)), in the normal limit and at most, and
    a standard deviation of at most 1 / (2 sqrt n) (one draw moves it by 1/n at most).
    """
    flat = draws.flatten(1)
    assert ((flat == 0) | (flat == 1)).all()
    place = 2 ** torch.arange(flat.shape[1] - 1, -1, -1)
    p = log_prob.exp()
    frequency = torch.bincount((flat.long() * place).sum(1), minlength=len(p)) / len(flat)
    variation = (frequency - p).abs().sum() / 2
    expected = (2 * p * (1 - p) / (math.pi * len(flat))).sqrt().sum() / 2
    assert variation < expected + 4 / (2 * math.sqrt(len(flat)))
    # and the bound would tell this distribution from its reverse
    assert (p.flip(0) - p).abs().sum() / 2 > 2 * (expected + 4 / (2 * math.sqrt(len(flat))))


def assert_samples_follow_density(model, n: int = 20_000) -> None:
    draws = model.sample(n, one_context(model, n), generator=torch.Generator().manual_seed(1))
    assert draws.dtype == torch.float64
    assert_draws_follow(draws, log_prob_of_states(model))
