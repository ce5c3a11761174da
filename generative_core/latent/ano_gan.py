"""Anomalies: what a GAN of normal images cannot make."""

from collections.abc import Callable
from typing import NamedTuple, final

import torch
from jaxtyping import Float
from torch import Tensor

from generative_core.families import AbstractGenerator
from generative_core.latent.inversion import absolute_error, invert


class Anomaly(NamedTuple):
    """What `AnoGAN` says of each of B events."""

    score: Float[Tensor, "B"]
    """Higher is more anomalous."""
    residual: Float[Tensor, "B *E"]
    """|x - G(z)| of each element: where the anomaly is."""
    made: Float[Tensor, "B *E"]
    """G(z), the nearest normal event that was found."""


@final
class AnoGAN:
    """A(x) = (1 - weight) ||x - G(z)||_1 + weight ||f(x) - f(G(z))||_1 at the z that minimises it.

    `model` is the generator of a GAN that was trained on normal events only, `features` what its critic embeds an event
    as (`ConvCritic.embed`); both in evaluation mode.  z is found by `steps` of Adam from each of `restarts` draws.

    Paper: Schlegl et al. 2017, https://arxiv.org/abs/1703.05921, sec. 2, with weight 0.1 and 500 steps.
    """

    def __init__(
        self,
        model: AbstractGenerator,
        features: Callable[[Tensor], Tensor],
        *,
        weight: float = 0.1,
        steps: int = 500,
        lr: float = 0.05,
        restarts: int = 1,
    ) -> None:
        if not 0 <= weight <= 1:
            raise ValueError(f"weight is the share of the features' loss and lies in [0, 1], got {weight}")
        self.model = model
        self.features = features
        self.weight = weight
        self.steps = steps
        self.lr = lr
        self.restarts = restarts

    def loss(self, made: Float[Tensor, "B *E"], x: Float[Tensor, "B *E"]) -> Float[Tensor, "B"]:
        """A(x) where G(z) is `made`."""
        return absolute_error(self._view(made), self._view(x))

    def inspect(self, x: Float[Tensor, "B *E"], *, generator: torch.Generator | None = None) -> Anomaly:
        """Scores, residuals and the nearest normal events; `generator` draws the starts."""
        found = invert(
            self.model,
            x,
            loss=absolute_error,
            features=self._view,
            steps=self.steps,
            lr=self.lr,
            restarts=self.restarts,
            generator=generator,
        )
        return Anomaly(found.residual, (x - found.made).abs(), found.made)

    def _view(self, x: Tensor) -> Tensor:
        """The pixels and the features side by side, times their weights: A(x) is the absolute error of this, (B, F)."""
        if self.weight == 0:
            return x.flatten(1)
        return torch.cat([(1 - self.weight) * x.flatten(1), self.weight * self.features(x).flatten(1)], dim=1)
