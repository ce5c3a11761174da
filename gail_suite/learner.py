"""What the trainer knows of a reinforcement learner, and the choice of one."""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv
from torch import nn

from gail_suite.config import TrainConfig
from gail_suite.demonstrations import Demonstrations
from gail_suite.errors import InputError
from gail_suite.reward.protocol import RewardModel, Transitions
from generative_core.nets.normaliser import RunningNormaliser
from generative_core.training.ema import ExponentialMovingAverage


class ImitationPolicy(Protocol):
    """An SB3 policy with the normaliser of its observations inside: `predict` takes raw ones at any moment."""

    action_space: Any
    device: torch.device

    @property
    def normaliser(self) -> RunningNormaliser: ...

    def actor_parameters(self) -> list[nn.Parameter]:
        """What cloning fits."""
        ...

    def law(self, features: torch.Tensor) -> torch.Tensor:
        """(B, O) standardised observations -> (B, A): the deterministic actions, or the logits of discrete ones."""
        ...

    def set_action_std(self, std: NDArray) -> None:
        """Set the exploration noise, (A,), in fractions of the action range's half-width."""
        ...

    def predict(self, observation: Any, *, deterministic: bool = False) -> tuple[NDArray, Any]: ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state_dict: Any) -> Any: ...


class Learner(Protocol):
    """An SB3 algorithm whose rewards are a reward model's."""

    policy: Any
    average: ExponentialMovingAverage
    policy_frozen: bool
    """Whether the policy holds still while values and reward model warm up."""
    starts_at_random: bool
    """Whether it may begin with random actions; not with a policy that was cloned."""
    metrics: dict[str, float]
    num_timesteps: int
    ep_info_buffer: Any
    _last_obs: Any
    _last_episode_starts: Any

    @property
    def transitions(self) -> Transitions:
        """What the reward model is to learn of the policy from."""
        ...

    @property
    def rewards(self) -> NDArray[np.float32]:
        """Of the latest round."""
        ...

    def weights_were_set(self) -> None:
        """The policy's weights did not come by learning: what follows them slowly is to jump."""
        ...

    @property
    def learn(self) -> Callable[..., Any]: ...

    @property
    def _setup_learn(self) -> Callable[..., Any]: ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...

    @property
    def to_sb3(self) -> Callable[..., Any]: ...


def make_learner(
    config: TrainConfig, venv: VecEnv, reward_model: RewardModel, demonstrations: Demonstrations, device: str
) -> Learner:
    """What `config.algo` names.  Raises InputError where it cannot act in this task."""
    if config.algo == "ppo":
        from gail_suite.ppo import AdaptivePPO

        return AdaptivePPO(venv, config.ppo, reward_model=reward_model, seed=config.seed, device=device)
    if config.off_policy.demo_share and demonstrations.act_size == 0:
        raise InputError("--off-policy.demo-share learns from demonstrated actions, and these have none; leave it out")
    from gail_suite.off_policy import ImitationSAC, ImitationTD3

    learner = {"sac": ImitationSAC, "td3": ImitationTD3}[config.algo]
    expert = demonstrations.transitions()
    return learner(venv, config.off_policy, reward_model=reward_model, expert=expert, seed=config.seed, device=device)


def load_policy(
    config: TrainConfig, observation_space: spaces.Space, action_space: spaces.Space, weights: dict[str, Any]
) -> ImitationPolicy:
    """A policy as it learned, from its `state_dict()`: what was exported can be compared with it.

    Raises:
        InputError: the weights are of other networks.
    """
    kind: Any
    if config.algo == "ppo":
        from gail_suite import ppo
        from gail_suite.training_policy import TrainingPolicy

        kind, arguments = TrainingPolicy, ppo.networks(config.ppo)
    else:
        from gail_suite import off_policy
        from gail_suite.off_policy_policies import NormalisedSACPolicy, NormalisedTD3Policy

        kind = {"sac": NormalisedSACPolicy, "td3": NormalisedTD3Policy}[config.algo]
        arguments = off_policy.networks(config.off_policy)
    with torch.random.fork_rng(devices=[]):  # the initial weights are thrown away
        policy = kind(observation_space, action_space, lambda progress_remaining: 0.0, **arguments)
    try:
        policy.load_state_dict(weights)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"the checkpoint does not fit its configuration ({reason}); train it again") from error
    policy.set_training_mode(False)
    return policy
