"""Exact answers for Boltzmann machines of a few units, by listing every state."""

import torch
from torch import Tensor

from generative_core.markov_chain.states import all_states


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def states(n_units: int) -> Tensor:
    """All 2^U states, float64."""
    return torch.cat(list(all_states(n_units, torch.zeros((), dtype=torch.float64))))


def state_number(state: Tensor) -> Tensor:
    """The place of each state in `states`."""
    return (state.long() << torch.arange(state.shape[1])).sum(1)


def shaken(model, scale: float = 1.0, seed: int = 0):
    """The model in float64, its parameters and centring moved to where nothing is small."""
    model.double()
    with torch.no_grad():
        for tensor in [*model.parameters(), *model.buffers()]:
            tensor.copy_(scale * torch.randn(tensor.shape, generator=seeded(seed), dtype=torch.float64))
    return model


def frequencies(number: Tensor, n_states: int) -> Tensor:
    return number.bincount(minlength=n_states).double() / len(number)


def total_variation(p: Tensor, q: Tensor) -> float:
    return 0.5 * (p - q).abs().sum().item()


def bars_and_stripes(side: int = 3) -> Tensor:
    """Every picture of full columns or of full rows, each once, (n, side * side), float32."""
    lines = torch.cat(list(all_states(side, torch.zeros(()))))
    columns = lines.unsqueeze(1).expand(-1, side, -1)
    return torch.cat([columns, columns.mT[1:-1]]).flatten(1)
