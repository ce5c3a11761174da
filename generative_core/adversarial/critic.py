"""The critic for vectors: a multilayer perceptron that scales its own inputs."""

import math
from collections.abc import Callable, Sequence
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from generative_core.families import AbstractCritic
from generative_core.nets.mlp import MLP
from generative_core.nets.normaliser import RunningNormaliser
from generative_core.protocols import ScoreKind


@final
class MLPCritic(AbstractCritic):
    """logit(x, context) = MLP(normalise([x, context])); > 0 looks like the data.

    The one normaliser lives in here, so that both sides of the game and the gradient penalty see the same scale; it
    moves only in `update_normaliser`.  Events of any shape are flattened; the context is a vector.

    `score_kind` is the meaning of the trained logit: LOG_RATIO under binary cross-entropy, CRITIC_VALUE under other
    losses.  Papers: Goodfellow et al. 2014, https://arxiv.org/abs/1406.2661; for (state, action) pairs Ho & Ermon 2016,
    https://arxiv.org/abs/1606.03476, whose D is 1 - sigmoid(logit).
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        context_features: int = 0,
        hidden: Sequence[int] = (256, 256),
        activation: Callable[[], nn.Module] = nn.Tanh,
        spectral_norm: bool = False,
        dropout: float = 0.0,
        normalise: bool = True,
        score_kind: ScoreKind = ScoreKind.LOG_RATIO,
    ) -> None:
        super().__init__()
        self.event_shape = tuple(event_shape)
        self.context_features = context_features
        self.score_kind = score_kind
        n_features = math.prod(self.event_shape) + context_features
        self.normaliser = RunningNormaliser((n_features,)) if normalise else None
        self.net = MLP(
            n_features, 1, hidden=hidden, activation=activation, spectral_norm=spectral_norm, dropout=dropout
        )

    def logit(self, x: Float[Tensor, "B *E"], context: Float[Tensor, "B K"] | None = None) -> Float[Tensor, "B"]:
        """> 0: looks like the data.  Raises ValueError where x or context has another shape than declared."""
        return self.logit_from_features(self.features(x, context))

    def features(self, x: Float[Tensor, "B *E"], context: Float[Tensor, "B K"] | None = None) -> Float[Tensor, "B F"]:
        """[x, context], flattened and normalised: the space of the gradient penalty."""
        features = self._concatenate(x, context)
        return features if self.normaliser is None else self.normaliser(features)

    def logit_from_features(
        self, features: Float[Tensor, "B F"], context: Float[Tensor, "B K"] | None = None
    ) -> Float[Tensor, "B"]:
        """The logit of what `features` returned; the context is part of that already and is not read again."""
        return self.net(features).squeeze(1)

    def update_normaliser(self, x: Float[Tensor, "B *E"], context: Float[Tensor, "B K"] | None = None) -> None:
        """Merge a batch into the statistics; without a normaliser nothing happens."""
        if self.normaliser is not None:
            self.normaliser.update(self._concatenate(x, context))

    def _concatenate(self, x: Tensor, context: Tensor | None) -> Tensor:
        got = (0,) if context is None else tuple(context.shape[1:])
        if tuple(x.shape[1:]) != self.event_shape or got != (self.context_features,):
            raise ValueError(
                f"MLPCritic was built for events {self.event_shape} with {self.context_features} context features, "
                f"got events {tuple(x.shape[1:])} with contexts {got}"
            )
        flat = x.flatten(1)  # (B, *E) -> (B, prod E)
        return flat if context is None else torch.cat([flat, context], dim=1)
