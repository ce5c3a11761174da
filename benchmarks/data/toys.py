"""Laws that are known exactly, to draw from: two moons, rings and grids of Gaussians, eight states."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor


def two_moons(n: int, *, noise: float = 0.1, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """(x (n, 2), label (n,)): two interleaved half circles of radius 1 with Gaussian noise around them."""
    label = torch.randint(2, (n,), generator=generator)
    angle = math.pi * torch.rand(n, generator=generator)
    upper = torch.stack([angle.cos(), angle.sin()], dim=1)
    lower = torch.stack([1 - angle.cos(), 0.5 - angle.sin()], dim=1)
    x = torch.where(label[:, None] == 0, upper, lower)
    return x + noise * torch.randn(n, 2, generator=generator), label


@dataclass(frozen=True)
class GaussianModes:
    """1/K sum_k N(centre_k, std^2 I) on the plane: its density, and so its entropy, are known."""

    centres: tuple[tuple[float, float], ...]
    std: float

    def sample(self, n: int, *, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """(x (n, 2), index of its mode (n,))."""
        label = torch.randint(len(self.centres), (n,), generator=generator)
        noise = torch.randn(n, 2, generator=generator)
        return torch.tensor(self.centres)[label] + self.std * noise, label

    def log_prob(self, x: Tensor) -> Tensor:
        """(B, 2) -> (B,) nats."""
        square = torch.cdist(x, x.new_tensor(self.centres), compute_mode="donot_use_mm_for_euclid_dist").square()
        log_normaliser = math.log(2 * math.pi * self.std**2) + math.log(len(self.centres))
        return torch.logsumexp(-square / (2 * self.std**2), dim=1) - log_normaliser


RING = GaussianModes(tuple((2 * math.cos(k * math.pi / 4), 2 * math.sin(k * math.pi / 4)) for k in range(8)), std=0.02)
GRID = GaussianModes(tuple((float(x), float(y)) for x in range(-4, 5, 2) for y in range(-4, 5, 2)), std=0.05)
BLOBS = GaussianModes(((-4.0, 0.0), (4.0, 0.0), (0.0, 5.0)), std=0.8)

EIGHT_STATES = (0.30, 0.02, 0.08, 0.15, 0.05, 0.12, 0.02, 0.26)
"""Probability of each state of three bits, the highest bit first: uneven, with two modes three flips apart."""


def eight_states(n: int, *, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """(bits (n, 3) of 0 and 1, state (n,)) from `EIGHT_STATES`."""
    state = torch.multinomial(torch.tensor(EIGHT_STATES), n, replacement=True, generator=generator)
    return bits_of_states(state), state


def bits_of_states(state: Tensor) -> Tensor:
    """(n,) states 0 .. 7 -> (n, 3) bits as uint8, the highest first."""
    return (state[:, None] >> torch.tensor([2, 1, 0]) & 1).to(torch.uint8)
