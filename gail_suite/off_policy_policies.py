"""SAC's and TD3's policies while they learn: observations normalised inside; and their plain SB3 copies."""

from abc import abstractmethod
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.sac.policies import SACPolicy
from stable_baselines3.td3.policies import TD3Policy
from torch import nn

from gail_suite.policies import fold_normaliser
from gail_suite.training_policy import NormalisedObservations
from generative_core.nets.normaliser import RunningNormaliser


class _Normalised(BasePolicy):
    """What imitation asks of an SB3 policy with an actor that puts out actions in [-1, 1].

    One normaliser, with the statistics of the demonstrations, serves all its networks.
    """

    actor: Any
    critic: Any
    critic_target: Any
    _half_width: torch.Tensor
    _middle: torch.Tensor

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, features_extractor_class=NormalisedObservations, **kwargs)
        for net in self.networks()[1:]:
            net.features_extractor.normaliser = self.normaliser
        half_width = (self.action_space.high - self.action_space.low) / 2  # type: ignore[attr-defined]
        middle = (self.action_space.high + self.action_space.low) / 2  # type: ignore[attr-defined]
        self.register_buffer("_half_width", torch.as_tensor(half_width, dtype=torch.float32), persistent=False)
        self.register_buffer("_middle", torch.as_tensor(middle, dtype=torch.float32), persistent=False)

    def networks(self) -> list[Any]:
        """All that see observations, the actor first."""
        return [self.actor, self.critic, self.critic_target]

    @property
    def normaliser(self) -> RunningNormaliser:
        return self.actor.features_extractor.normaliser

    def actor_parameters(self) -> list[nn.Parameter]:
        return list(self.actor.parameters())

    def law(self, features: torch.Tensor) -> torch.Tensor:
        """(B, O) standardised observations -> (B, A) the deterministic actions, in the task's range."""
        return self._middle + self._half_width * self.squashed(features)

    @abstractmethod
    def squashed(self, features: torch.Tensor) -> torch.Tensor:
        """The same in [-1, 1]."""

    @abstractmethod
    def set_action_std(self, std: np.ndarray) -> None:
        """Set the exploration noise, (A,), in fractions of the action range's half-width."""

    @abstractmethod
    def explore(self, obs: np.ndarray) -> np.ndarray:
        """Noisy actions in [-1, 1] for raw observations (B, O), drawn from torch's global generator."""

    def weights_were_set(self) -> None:
        """Let the target networks be the actor's and the action values' of this moment."""
        self.critic_target.load_state_dict(self.critic.state_dict())

    def state(self) -> dict[str, Any]:
        """Weights, normaliser and both optimisers: what an exact resume needs."""
        return {
            "policy": self.state_dict(),
            "actor_optimizer": self.actor.optimizer.state_dict(),
            "critic_optimizer": self.critic.optimizer.state_dict(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        self.load_state_dict(state["policy"])
        self.actor.optimizer.load_state_dict(state["actor_optimizer"])
        self.critic.optimizer.load_state_dict(state["critic_optimizer"])


class NormalisedSACPolicy(_Normalised, SACPolicy):
    """Haarnoja et al. 2018, https://arxiv.org/abs/1812.05905."""

    def squashed(self, features: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self.actor.mu(self.actor.latent_pi(features)))

    @torch.no_grad()
    def set_action_std(self, std: np.ndarray) -> None:
        """The same everywhere, and before the tanh, whose slope at most shrinks it."""
        self.actor.log_std.weight.zero_()
        self.actor.log_std.bias.copy_(torch.as_tensor(np.log(std)))

    @torch.inference_mode()
    def explore(self, obs: np.ndarray) -> np.ndarray:
        return self.actor(torch.as_tensor(obs, dtype=torch.float32, device=self.device)).cpu().numpy()


class NormalisedTD3Policy(_Normalised, TD3Policy):
    """Fujimoto et al. 2018, https://arxiv.org/abs/1802.09477."""

    exploration_std: torch.Tensor

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.register_buffer("exploration_std", torch.zeros_like(self._middle))

    def networks(self) -> list[Any]:
        return [*super().networks(), self.actor_target]

    def squashed(self, features: torch.Tensor) -> torch.Tensor:
        return self.actor.mu(features)

    @torch.no_grad()
    def set_action_std(self, std: np.ndarray) -> None:
        self.exploration_std.copy_(torch.as_tensor(std))

    @torch.inference_mode()
    def explore(self, obs: np.ndarray) -> np.ndarray:
        actions = self.actor(torch.as_tensor(obs, dtype=torch.float32, device=self.device))
        noisy = actions + self.exploration_std * torch.randn_like(actions)
        return noisy.clamp(-1, 1).cpu().numpy()

    def weights_were_set(self) -> None:
        super().weights_were_set()
        self.actor_target.load_state_dict(self.actor.state_dict())


def load_folded(plain: BasePolicy, policy: _Normalised) -> None:
    """Give SB3's own policy the weights of ours, the normaliser folded into each first layer in float64."""
    scale, shift = (part.detach().cpu().numpy() for part in policy.normaliser.scale_and_shift())
    own = {name: value.detach().cpu() for name, value in policy.state_dict().items()}
    folded = {name: own[name].clone() for name in plain.state_dict()}
    for name in folded:
        if name.endswith(".0.weight"):
            bias = name.replace(".weight", ".bias")
            weight = own[name].numpy().astype(np.float64)
            n_obs = len(scale)  # what follows the observations in an input are actions
            weight[:, :n_obs], shifted = fold_normaliser(weight[:, :n_obs], own[bias].numpy(), scale, shift)
            folded[name] = torch.as_tensor(weight, dtype=torch.float32)
            folded[bias] = torch.as_tensor(shifted, dtype=torch.float32)
    plain.load_state_dict(folded)
