"""Scorer -> critic: how densities enter the two-player game."""

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from generative_core.families import AbstractCritic
from generative_core.protocols import ScoreKind, Scorer


@final
class LogitFromScore(AbstractCritic):
    """logit(x) = scale * score(x) + offset with learnable scale > 0 and offset, to be trained by `CriticStep`.

    Takes any score, since training fits the unknown constant and the unit.  Where the scorer is a module its parameters
    are trained too.  A scorer that estimates by sampling draws from torch's global generator here.
    """

    def __init__(self, scorer: Scorer, *, scale: float = 1.0, offset: float = 0.0) -> None:
        super().__init__()
        if not scale > 0:
            raise ValueError(f"scale must be positive (higher scores look more like the data), got {scale}")
        self.scorer = scorer
        self.event_shape = scorer.event_shape
        self.log_scale = nn.Parameter(torch.tensor(scale).log())
        self.offset = nn.Parameter(torch.tensor(offset))

    def logit(self, x: Float[Tensor, "B *E"], context: Float[Tensor, "B *K"] | None = None) -> Float[Tensor, "B"]:
        """> 0: looks like the data, once trained."""
        return self.log_scale.exp() * self.scorer.score(x, context) + self.offset


@final
class ScoreDifference(AbstractCritic):
    """logit(x) = log p_data(x) - log p_model(x) from two exact densities; nothing to train.

    Raises ValueError at construction where a score is not an exact log-density: the difference of two bounds is no
    bound, and an unknown constant would move the decision border.
    """

    def __init__(self, data: Scorer, model: Scorer) -> None:
        super().__init__()
        for side, scorer in (("data", data), ("model", model)):
            if scorer.score_kind is not ScoreKind.LOG_PROB:
                raise ValueError(
                    f"ScoreDifference needs exact log-densities; the {side} side, {type(scorer).__name__}, gives "
                    f"{scorer.score_kind.name} ({scorer.score_kind.value}); use a flow, an autoregressive model or a "
                    "mixture, or wrap one scorer in LogitFromScore(...) and train it with CriticStep"
                )
        if data.event_shape != model.event_shape:
            raise ValueError(
                f"the two densities are over different events: data {data.event_shape}, model {model.event_shape}"
            )
        self.data = data
        self.model = model
        self.event_shape = data.event_shape

    def logit(self, x: Float[Tensor, "B *E"], context: Float[Tensor, "B *K"] | None = None) -> Float[Tensor, "B"]:
        """log p_data(x | context) - log p_model(x | context), nats."""
        return self.data.score(x, context) - self.model.score(x, context)
