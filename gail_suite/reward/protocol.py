"""All that the trainer knows of a reward: transitions go in, one number a transition comes out."""

from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray


class Transitions(NamedTuple):
    """A batch of B environment steps, as numpy arrays on the environment's side of the border.

    `next_obs` is the true successor, never the observation that an auto-reset put in its place; `terminated` is True
    only for a real end of the task, not for a time-out.  Demonstrations without actions have `acts` of shape (B, 0).
    """

    obs: NDArray[np.floating]  # (B, O) raw environment units
    acts: NDArray[np.floating]  # (B, A) as sent to env.step: clipped, unscaled
    next_obs: NDArray[np.floating]  # (B, O)
    terminated: NDArray[np.bool_]  # (B,)

    def take(self, index: Any) -> "Transitions":
        """The transitions at `index`: an integer array, a mask or a slice."""
        return Transitions(*(field[index] for field in self))


def require_finite(values: NDArray[np.floating], name: str) -> None:
    """Raise FloatingPointError that counts them where some of `values` are NaN or infinite."""
    if n_bad := np.count_nonzero(~np.isfinite(values)):
        raise FloatingPointError(f"{n_bad:,} of {values.size:,} {name} are not finite")


class RewardModel(Protocol):
    """A reward that may learn.  Higher means more like the demonstrations."""

    def reward(self, batch: Transitions) -> NDArray[np.float32]:
        """(B,) float32, no gradient."""
        ...

    def after_end(self) -> float:
        """The reward of every step that would follow a real end of the task; 0 where an end is the end of all."""
        ...

    def update(self, expert: Transitions, policy: Transitions) -> dict[str, float]:
        """One round of learning from both sides; returns named metrics."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """All that an exact resume needs."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...
