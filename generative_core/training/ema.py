"""A slow copy of a model: the exponential moving average of its parameters."""

import copy
from typing import Any

import torch
from torch import nn


class ExponentialMovingAverage:
    """theta_ema <- d theta_ema + (1 - d) theta after each update; itself a hook of `fit`.

    `model` is the averaged copy, in evaluation mode and without gradients.  d = min(decay, (1 + k) / (10 + k)) after
    k updates, so that the first, poor parameters are soon forgotten.  Buffers are copied, not averaged.

    Source of the idea: Polyak & Juditsky 1992; for generators Yazici et al. 2019, https://arxiv.org/abs/1806.04498.
    """

    def __init__(self, model: nn.Module, *, decay: float = 0.999) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f"decay must be in [0, 1), got {decay}")
        self.source = model
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.decay = decay
        self.n_updates = 0

    def __call__(self, i: int, metrics: dict[str, float]) -> None:
        self.update()

    @torch.no_grad()
    def update(self) -> None:
        """Move the copy towards the model."""
        decay = min(self.decay, (1 + self.n_updates) / (10 + self.n_updates))
        for slow_parameter, parameter in zip(self.model.parameters(), self.source.parameters(), strict=True):
            slow_parameter.lerp_(parameter, 1 - decay)
        for slow_buffer, buffer in zip(self.model.buffers(), self.source.buffers(), strict=True):
            slow_buffer.copy_(buffer)
        self.n_updates += 1

    def state_dict(self) -> dict[str, Any]:
        return {"model": self.model.state_dict(), "n_updates": self.n_updates}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        self.n_updates = state["n_updates"]
