"""Our models and demonstrations in the `imitation` library: https://github.com/HumanCompatibleAI/imitation.

    net = ScorerRewardNet(venv.observation_space, venv.action_space, MLPCritic((35,)))
    GAIL(demonstrations=to_transitions(demos), demo_batch_size=256, venv=venv, gen_algo=learner, reward_net=net)

The same networks serve its AIRL, and its behavioural cloning, DAgger and density baselines take what `to_transitions`
and `to_trajectories` make.  Written for imitation 1.0.
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from gymnasium import spaces
from imitation.data.types import Trajectory, TrajectoryWithRew, Transitions
from imitation.rewards.reward_nets import RewardNet
from torch import Tensor, nn

from gail_suite.demonstrations import Demonstrations
from gail_suite.demonstrations.episodes import Episode, make_demonstrations
from gail_suite.demonstrations.layouts import is_real_end
from gail_suite.demonstrations.spaces import max_steps
from gail_suite.errors import InputError
from generative_core import AbstractCritic, Scorer

_SEEN = {
    "state-action": ("state", "action"),
    "state": ("state",),
    "state-next-state": ("state", "next_state"),
}


class ScorerRewardNet(RewardNet):
    """The score of a core model, a critic's logit or a density, as a reward net: (B, O), (B, A), ... -> (B,).

    imitation's GAIL takes the output for the logit of "expert", and its AIRL for the reward; both grow towards the
    expert, as scores do.  In training mode a critic's input statistics learn from every batch that passes, which there
    holds both sides in equal parts.

    Args:
        observation_space, action_space: of the task, with flat observations; Discrete actions arrive one-hot.
        scorer: a module over the concatenation of what `view` names; refused with ValueError for another size.
        view: what of a transition the scorer sees.
    """

    def __init__(
        self,
        observation_space: spaces.Space,
        action_space: spaces.Space,
        scorer: Scorer,
        *,
        view: Literal["state-action", "state", "state-next-state"] = "state-action",
    ):
        super().__init__(observation_space, action_space)
        if not isinstance(scorer, nn.Module):
            raise ValueError(f"a reward net trains a module; {type(scorer).__name__} is none")
        n_obs, n_acts = spaces.flatdim(observation_space), spaces.flatdim(action_space)
        n = {"state": n_obs, "action": n_acts, "next_state": n_obs}
        size = sum(n[name] for name in _SEEN[view])
        if tuple(scorer.event_shape) != (size,):
            raise ValueError(
                f"the view {view!r} of this task has {size} numbers, {type(scorer).__name__} was built for "
                f"{tuple(scorer.event_shape)}; build it with event_shape=({size},)"
            )
        self.scorer = scorer
        self.view = view

    def forward(self, state: Tensor, action: Tensor, next_state: Tensor, done: Tensor) -> Tensor:
        """(B,) scores with their gradients; `done` is not read."""
        given = {"state": state, "action": action, "next_state": next_state}
        x = torch.cat([given[name].flatten(1).float() for name in _SEEN[self.view]], dim=1)
        if self.training and isinstance(self.scorer, AbstractCritic):
            self.scorer.update_normaliser(x)
        return self.scorer.score(x)


def to_transitions(demonstrations: Demonstrations) -> Transitions:
    """For trainers that take pairs; subsampled demonstrations too.  `dones` are real ends only."""
    d = demonstrations
    acts = _their_actions(d)
    infos = np.array([{}] * len(d))
    return Transitions(obs=d.obs, acts=acts, infos=infos, next_obs=d.next_obs, dones=d.terminated)


def to_trajectories(demonstrations: Demonstrations) -> list[Trajectory]:
    """One an episode, with the rewards where they are known.  Raises InputError for subsampled demonstrations."""
    d = demonstrations
    if d.provenance.subsampled_every != 1:
        raise InputError(
            f"these demonstrations keep every {d.provenance.subsampled_every}th step, which makes no trajectories; "
            "use to_transitions, or load them whole"
        )
    acts = _their_actions(d)
    made: list[Trajectory] = []
    for i, ended in enumerate(d.provenance.complete):
        rows = np.flatnonzero(d.episode == i)
        fields: dict[str, Any] = {
            "obs": np.concatenate([d.obs[rows], d.next_obs[rows[-1:]]]),
            "acts": acts[rows],
            "infos": None,
            "terminal": bool(ended),
        }
        if d.rewards is None:
            made.append(Trajectory(**fields))
        else:
            made.append(TrajectoryWithRew(**fields, rews=d.rewards[rows].astype(np.float64)))
    return made


def from_trajectories(trajectories: Sequence[Trajectory], env_id: str | None = None) -> Demonstrations:
    """imitation's trajectories as ours; `env_id` tells a real end from a time-out, which `terminal` does not.

    Raises InputError where they are empty, differ in size or hold what is no number.
    """
    limit = max_steps(env_id)
    episodes = [
        Episode(
            obs=np.asarray(trajectory.obs),
            acts=np.asarray(trajectory.acts),
            rewards=trajectory.rews if isinstance(trajectory, TrajectoryWithRew) else None,
            ended=trajectory.terminal,
            terminated=trajectory.terminal and is_real_end({"dones": True}, len(trajectory.acts), limit),
        )
        for trajectory in trajectories
    ]
    return make_demonstrations(episodes, "imitation trajectories", env_id)


def _their_actions(demonstrations: Demonstrations) -> np.ndarray:
    """Discrete actions as integers, others as they are.  Raises InputError where there are none."""
    if demonstrations.act_size == 0:
        raise InputError("these demonstrations have no actions, which imitation's trainers need")
    acts = demonstrations.acts
    return acts.argmax(axis=1) if demonstrations.provenance.one_hot_actions else acts
