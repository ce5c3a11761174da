"""The small port between models and their users: read this file first.

Shapes: B batch, n draws, *E event shape ((D,) vectors, or (C, H, W) images in [-1, 1]), *K context shape.
"""

from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn


class ScoreKind(Enum):
    """What a score means.  A user of scores states the kinds it accepts and refuses the others at construction."""

    LOG_PROB = "log p(x), exact, nats"
    LOG_BOUND = "lower bound on log p(x), nats"
    UNNORMALISED = "log p(x) + unknown constant"
    LOG_RATIO = "log p_data(x) - log p_model(x)"
    CRITIC_VALUE = "higher is more like the data"


@runtime_checkable
class Scorer(Protocol):
    """Gives each event a number: higher is more like the data, differentiable in x."""

    event_shape: tuple[int, ...]
    score_kind: ScoreKind

    def score(
        self,
        x: Float[Tensor, "B *E"],
        context: Float[Tensor, "B *K"] | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "B"]:
        """(B,) scores; models that estimate by sampling draw their noise from `generator`."""
        ...


@runtime_checkable
class Sampler(Protocol):
    """Draws events."""

    event_shape: tuple[int, ...]

    def sample(
        self, n: int, context: Float[Tensor, "n *K"] | None = None, *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "n *E"]:
        """(n, *E) draws, one for each row of `context` where there is one."""
        ...


@runtime_checkable
class HasLoss(Protocol):
    """A module that says itself what to minimise: -log p(x), minus its bound, or a denoiser's -log P(x | corrupted)."""

    def loss(
        self,
        x: Float[Tensor, "B *E"],
        context: Float[Tensor, "B *K"] | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "B"]:
        """(B,) nats."""
        ...

    def train(self, mode: bool = True) -> Any: ...
    def parameters(self) -> Iterator[nn.Parameter]: ...
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state_dict: Mapping[str, Any]) -> Any: ...


@runtime_checkable
class TrainStep(Protocol):
    """One update of a model; owns its optimisers."""

    def __call__(self, *batch: Any, **_: Any) -> dict[str, float]:
        """Named metrics of this update, measured before the parameters moved.

        What a batch holds is the step's word: (x,) or (x, context) for most.
        """
        ...

    def state_dict(self) -> dict[str, Any]:
        """All that an exact resume needs: parameters, optimisers, private random states."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...
