"""Densities of the core as rewards: fitted on the expert once, alone or against a density of the policy."""

from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from gail_suite.reward.protocol import Transitions
from gail_suite.reward.shaping import RewardShape
from gail_suite.reward.views import StandardisedView
from generative_core import ScoreDifference, ScoreKind, Scorer

MAX_LOGIT = 10.0
TYPICAL_LOGIT = 2.5  # between what pays and what does not: softplus falls from there to nothing within a few units
UNIT_RATE = 0.1  # a round
DENSITY = RewardShape(
    "density", F.softplus, frozenset({ScoreKind.LOG_PROB, ScoreKind.LOG_BOUND, ScoreKind.UNNORMALISED})
)


@runtime_checkable
class ScorerModule(Scorer, Protocol):
    """A scorer with parameters or buffers: every model of the core that has a score."""

    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state_dict: Any) -> Any: ...
    def eval(self) -> Any: ...


class Learner(Protocol):
    """What moves a density towards a batch; its state includes the density's."""

    def __call__(self, x: Tensor) -> dict[str, float]: ...
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class DensityReward:
    """reward = softplus((score - m) / q), m and q the median and interquartile range of the expert's own scores.

    `model` is fitted already and nothing learns any more, so it pays for being where the expert was, whatever the
    policy does; m and q make rewards of any density alike and are frozen.

    Args:
        model: a density, a bound or an energy; refused with ValueError otherwise.
        view: what of a transition it sees.
        anchor: transitions of the expert, best ones that the model was not fitted on.
        seed: of models that estimate their score by sampling.
    """

    def __init__(self, model: ScorerModule, view: StandardisedView, anchor: Transitions, *, seed: int = 0):
        DENSITY.require(model.score_kind, type(model).__name__)
        self.model, self.view = model, view
        self._generator = torch.Generator(_device(model)).manual_seed(seed)
        quartiles = np.quantile(self.scores(anchor), [0.25, 0.5, 0.75])
        self.median, self.spread = float(quartiles[1]), float(quartiles[2] - quartiles[0])
        if not self.spread > 0:
            raise ValueError(
                f"{type(model).__name__} gives half of the expert's transitions one and the same score, so there is no "
                "unit to measure rewards in; fit it on more, or on noisier, transitions"
            )

    def scores(self, batch: Transitions) -> NDArray[np.float32]:
        """(B,) in the model's own unit."""
        self.model.eval()
        with torch.no_grad():
            x = self.view(batch).to(self._generator.device)
            return self.model.score(x, generator=self._generator).cpu().numpy()

    def reward(self, batch: Transitions) -> NDArray[np.float32]:
        anchored = (torch.from_numpy(self.scores(batch)) - self.median) / self.spread
        return DENSITY.fn(anchored).numpy()

    def after_end(self) -> float:
        """0: the densities are of transitions, and an end is none."""
        return 0.0

    def update(self, expert: Transitions, policy: Transitions) -> dict[str, float]:
        """Nothing learns; the mean of the policy's anchored scores, 0 where it is like the expert's median."""
        scores = self.scores(policy.take(slice(0, 512)))
        return {"score_policy": float(np.mean((scores - self.median) / self.spread))}

    def state_dict(self) -> dict[str, Any]:
        return {
            "model": self.model.state_dict(),
            "view": self.view.state_dict(),
            "median": self.median,
            "spread": self.spread,
            "generator": self._generator.get_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        self.view.load_state_dict(state["view"])
        self.median, self.spread = state["median"], state["spread"]
        self._generator.set_state(state["generator"])


class RatioReward:
    """reward = shape((log p_expert(x) - log p_policy(x)) / unit), the argument held within +-10.

    The expert's density is fitted already; the policy's learns each round from that round.  At the optimum of both
    this is what a critic under cross-entropy tends to, without a game between the two.

    Far from the expert the log-ratio of a few dozen dimensions is tens of nats, where every shape is flat and nothing
    is left to learn from.  So it is measured in a unit of its own: such that the policy's typical one is 2.5; and one
    nat at least, where the two densities are near each other.

    Args:
        expert: an exact density; refused with ValueError otherwise.
        policy: an exact density of the same events, likewise.
        learner: moves `policy` towards a batch of the view.
        view: what of a transition they see.
        shape: its reward.
    """

    def __init__(
        self, expert: ScorerModule, policy: ScorerModule, learner: Learner, view: StandardisedView, shape: RewardShape
    ):
        self.ratio = ScoreDifference(expert, policy)
        shape.require(self.ratio.score_kind, "ScoreDifference")
        self._expert, self.learner, self.view, self.shape = expert, learner, view, shape
        self.unit = 1.0

    def reward(self, batch: Transitions) -> NDArray[np.float32]:
        return self.shape.fn(torch.from_numpy(self._logit(self._nats(batch)))).numpy()

    def after_end(self) -> float:
        """0: the densities are of transitions, and an end is none."""
        return 0.0

    def update(self, expert: Transitions, policy: Transitions) -> dict[str, float]:
        metrics = self.learner(self.view(policy).to(_device(self.ratio)))
        nats_data, nats_model = (self._nats(side.take(slice(0, 512))) for side in (expert, policy))
        typical = float(np.median(np.abs(nats_model)))
        self.unit += UNIT_RATE * (max(1.0, typical / TYPICAL_LOGIT) - self.unit)
        logit_data, logit_model = (self._logit(nats).mean() for nats in (nats_data, nats_model))
        return metrics | {"logit_data": float(logit_data), "logit_model": float(logit_model), "unit_nats": self.unit}

    def _nats(self, batch: Transitions) -> NDArray[np.float32]:
        self.ratio.eval()
        with torch.no_grad():
            return self.ratio.logit(self.view(batch).to(_device(self.ratio))).cpu().numpy()

    def _logit(self, nats: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.clip(nats / np.float32(self.unit), -MAX_LOGIT, MAX_LOGIT)

    def state_dict(self) -> dict[str, Any]:
        return {
            "expert": self._expert.state_dict(),
            "learner": self.learner.state_dict(),
            "view": self.view.state_dict(),
            "unit": self.unit,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._expert.load_state_dict(state["expert"])
        self.view.load_state_dict(state["view"])
        self.learner.load_state_dict(state["learner"])
        self.unit = state["unit"]


def _device(model: Any) -> torch.device:
    tensors = (*model.parameters(), *model.buffers()) if isinstance(model, nn.Module) else ()
    return next((tensor.device for tensor in tensors), torch.device("cpu"))
