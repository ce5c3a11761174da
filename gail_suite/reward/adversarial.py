"""A critic between expert and policy as the reward, trained while the policy learns."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gail_suite.reward.protocol import Transitions
from gail_suite.reward.shaping import RewardShape
from gail_suite.reward.views import AbsorbingView, StandardisedView, View
from generative_core import CriticStep


@dataclass
class SaturationGuard:
    """Keeps the critic from winning outright, where its reward would vanish and with it the slope to learn from.

    Accuracy alone is no alarm: under a gradient penalty a critic that is right 99 times in 100 still slopes towards the
    expert everywhere, and taught Ant several times faster than one held at 80 %.  So a round counts as saturated when
    the accuracy is above `accuracy_cap` and the policy's mean logit below -`logit_cap`.  Such a round halves the number
    of critic updates and their step size; each other round takes one halving back.
    """

    accuracy_cap: float = 0.95
    logit_cap: float = 5.0
    max_level: int = 4
    level: int = 0

    def watch(self, accuracy: float, logit_policy: float) -> None:
        """Learn of a round's accuracy, in [0, 1], and mean logit of the policy's side."""
        saturated = accuracy > self.accuracy_cap and logit_policy < -self.logit_cap
        self.level = min(self.level + 1, self.max_level) if saturated else max(self.level - 1, 0)

    def updates(self, base: int) -> int:
        return max(1, base >> self.level)

    def lr(self, base: float) -> float:
        return base / 2**self.level


class AdversarialReward:
    """reward = shape(critic.logit(view(transitions))); `update` trains the critic by its `CriticStep`.

    Papers: Ho & Ermon 2016, https://arxiv.org/abs/1606.03476; the gradient penalty as in Kostrikov et al. 2019,
    https://arxiv.org/abs/1809.02925.

    Args:
        step: the critic with its optimiser and penalties.
        view: what of a transition the critic sees; with an `AbsorbingView` it judges what follows a real end too.
        shape: its reward; refused with ValueError for a score that it means nothing for.
        updates_per_round: minibatch updates each time `update` is called.
        batch_size: transitions of each side a minibatch.
        guard: against saturation; None for none.
        seed: of the minibatches.
    """

    def __init__(
        self,
        step: CriticStep,
        view: View,
        shape: RewardShape,
        *,
        updates_per_round: int = 4,
        batch_size: int = 256,
        guard: SaturationGuard | None = None,
        seed: int = 0,
    ):
        self.critic = step.critic
        shape.require(self.critic.score_kind, type(self.critic).__name__)
        self.step, self.view, self.shape = step, view, shape
        self.updates_per_round, self.batch_size, self.guard = updates_per_round, batch_size, guard
        self._absorbing_state = view.absorbing_state if isinstance(view, AbsorbingView) else None
        self._base_lr = step.lr
        self._centre = 0.0
        self._rng = np.random.default_rng(seed)
        self._device = next(self.critic.parameters()).device

    def reward(self, batch: Transitions) -> NDArray[np.float32]:
        return self._pay(self.view(batch).to(self._device)).cpu().numpy()

    def after_end(self) -> float:
        """The critic's reward of the absorbing state, or 0."""
        return 0.0 if self._absorbing_state is None else float(self._pay(self._absorbing_state.to(self._device)))

    def _pay(self, x: torch.Tensor) -> torch.Tensor:
        self.critic.eval()
        with torch.no_grad():
            return self.shape.fn(self.critic.logit(x) - self._centre)

    def _see(self, batch: Transitions) -> torch.Tensor:
        """The view of every transition and, after each real end, of the absorbing state."""
        x = self.view(batch)
        if self._absorbing_state is not None:
            x = torch.cat([x, self._absorbing_state.expand(int(batch.terminated.sum()), -1)])
        return x.to(self._device)

    def update(self, expert: Transitions, policy: Transitions) -> dict[str, float]:
        """One round of critic updates; metrics are means over it, measured before each update."""
        x_expert, x_policy = self._see(expert), self._see(policy)
        self._track(x_expert, x_policy)
        guard = self.guard or SaturationGuard(max_level=0)
        self.step.lr = guard.lr(self._base_lr)
        n_updates = guard.updates(self.updates_per_round)
        rounds = [self.step(self._draw(x_expert), self._draw(x_policy)) for _ in range(n_updates)]
        metrics = {name: float(np.mean([r[name] for r in rounds])) for name in rounds[0]}
        guard.watch(metrics["accuracy"], metrics["logit_model"])
        if self.shape.centred:
            self._centre = 0.5 * (metrics["logit_data"] + metrics["logit_model"])
        return metrics | {"updates": n_updates, "lr": self.step.lr, "guard_level": guard.level}

    def _track(self, x_expert: torch.Tensor, x_policy: torch.Tensor) -> None:
        """Both sides weigh alike in the one normaliser, whatever their sizes."""
        self.critic.update_normaliser(x_policy)
        index = self._rng.integers(len(x_expert), size=len(x_policy))
        self.critic.update_normaliser(x_expert[torch.from_numpy(index)])

    def _draw(self, x: torch.Tensor) -> torch.Tensor:
        return x[torch.from_numpy(self._rng.integers(len(x), size=self.batch_size))]

    def state_dict(self) -> dict[str, Any]:
        return {
            "step": self.step.state_dict(),
            "rng": self._rng.bit_generator.state,
            "guard_level": self.guard.level if self.guard else 0,
            "centre": self._centre,
            "view": self.view.state_dict() if isinstance(self.view, StandardisedView) else None,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.step.load_state_dict(state["step"])
        self._rng.bit_generator.state = state["rng"]
        self._centre = state["centre"]
        if isinstance(self.view, StandardisedView):
            self.view.load_state_dict(state["view"])
        if self.guard:
            self.guard.level = state["guard_level"]


class ConstantReward:
    """The control: a critic that cannot tell (D = 0.5 everywhere).  What it reaches is the task's own doing."""

    def __init__(self, shape: RewardShape, *, absorbing: bool = False):
        self._value = float(shape.fn(torch.zeros(1)))
        self._absorbing = absorbing

    def reward(self, batch: Transitions) -> NDArray[np.float32]:
        return np.full(len(batch.obs), self._value, dtype=np.float32)

    def after_end(self) -> float:
        """The same for ever, with absorbing states: then staying alive pays nothing."""
        return self._value if self._absorbing else 0.0

    def update(self, expert: Transitions, policy: Transitions) -> dict[str, float]:
        return {}

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing to load."""
