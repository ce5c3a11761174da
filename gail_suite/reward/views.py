"""What a reward model looks at: `Transitions` in numpy -> (x, context) as float32 tensors.

x is what the demonstrations are compared on; the context is what a conditional model is told beside it.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gail_suite.reward.protocol import Transitions
from generative_core.nets.normaliser import MIN_STD

View = Callable[[Transitions], Tensor]


def _tensor(*parts: NDArray) -> Tensor:
    return torch.from_numpy(np.concatenate([np.asarray(part, dtype=np.float32) for part in parts], axis=1))


def state_action(batch: Transitions) -> Tensor:
    """(B, O + A): what the paper compares.  Ho & Ermon 2016."""
    return _tensor(batch.obs, batch.acts)


def state(batch: Transitions) -> Tensor:
    """(B, O): needs no actions in the demonstrations."""
    return _tensor(batch.obs)


def state_next_state(batch: Transitions) -> Tensor:
    """(B, 2 O): needs no actions, and still sees what they did.  Torabi et al. 2018, https://arxiv.org/abs/1807.06158."""
    return _tensor(batch.obs, batch.next_obs)


VIEWS: dict[str, View] = {"state-action": state_action, "state": state, "state-next-state": state_next_state}


class AbsorbingView:
    """A view with one number more: 0 for a transition, 1 for the absorbing state, whose other numbers are 0.

    Without it a critic judges only what happens before an end, and a reward >= 0 pays for never ending.  Paper:
    Kostrikov et al. 2019, https://arxiv.org/abs/1809.02925, sec. 4.2.
    """

    def __init__(self, view: View, transitions: Transitions):
        self._view = view
        n_features = view(transitions.take(slice(0, 1))).shape[1]
        self.absorbing_state = torch.cat([torch.zeros(1, n_features), torch.ones(1, 1)], dim=1)  # (1, F + 1)

    def __call__(self, batch: Transitions) -> Tensor:
        x = self._view(batch)
        return torch.cat([x, torch.zeros(len(x), 1)], dim=1)


class StandardisedView:
    """A view in units of the expert's spread: (x - mean) / std, cut at +-`bound`, constant dimensions left out.

    What densities need: a dimension that never moves has no density, and one that a policy drives far away from all
    that the expert did says no more at 50 deviations than at `bound`.  Part of a reward's state, since the models
    that see it are worth nothing in other units.
    """

    def __init__(self, view: View, expert: Transitions, *, bound: float = 10.0):
        self._view, self._bound = view, bound
        x = view(expert).double()
        std = x.std(0, correction=0)
        self._kept = (std > MIN_STD).nonzero().squeeze(1)
        self._mean, self._std = x.mean(0)[self._kept], std[self._kept]

    @property
    def n_features(self) -> int:
        """Dimensions that vary."""
        return len(self._kept)

    def __call__(self, batch: Transitions) -> Tensor:
        x = self._view(batch).double()[:, self._kept]
        return ((x - self._mean) / self._std).clamp(-self._bound, self._bound).float()

    def state_dict(self) -> dict[str, Any]:
        return {"kept": self._kept, "mean": self._mean, "std": self._std}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._kept, self._mean, self._std = state["kept"], state["mean"], state["std"]
