"""What a reward model looks at: `Transitions` in numpy -> (x, context) as float32 tensors.

x is what the demonstrations are compared on; the context is what a conditional model is told beside it.
"""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gail_suite.reward.protocol import Transitions

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
