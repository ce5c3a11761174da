"""The policy while it learns: observations and values normalised inside, two optimisers; and its plain SB3 copy."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import nn
from torch.distributions import Categorical, Normal

from gail_suite.policies import fold_normaliser, plain_policy
from generative_core.nets.normaliser import RunningNormaliser

Distribution = Normal | Categorical


class NormalisedObservations(BaseFeaturesExtractor):
    """SB3's seam for observations: (B, O) raw -> (B, O) standardised, constant dimensions at zero, no clip."""

    def __init__(self, observation_space: spaces.Box):
        super().__init__(observation_space, features_dim=math.prod(observation_space.shape))
        self.normaliser = RunningNormaliser((self.features_dim,))

    def forward(self, obs: torch.Tensor) -> torch.Tensor:
        return self.normaliser(obs.flatten(1))


class ScaledValue(nn.Module):
    """A value head that works in units of the returns' running spread: V = mean + std * v(features).

    When the statistics move, the layer is rescaled so that V stays what it was (PopArt; van Hasselt et al. 2016,
    https://arxiv.org/abs/1602.07714, eq. 8-9).
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, linear: nn.Linear):
        super().__init__()
        self.linear = linear
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("std", torch.ones(()))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.mean + self.std * self.linear(features)

    @torch.no_grad()
    def start(self, returns: torch.Tensor) -> None:
        """Take over the statistics of the first `returns` (B,); V jumps to their scale."""
        self.mean.copy_(returns.mean())
        self.std.copy_(returns.std().clamp(min=1e-2))

    @torch.no_grad()
    def track(self, returns: torch.Tensor, rate: float) -> None:
        """Move the statistics towards those of `returns` (B,) by `rate` in (0, 1]; V is unchanged."""
        old_mean, old_std = self.mean.clone(), self.std.clone()
        new_mean = old_mean + rate * (returns.mean() - old_mean)
        second = old_std**2 + old_mean**2
        second += rate * ((returns**2).mean() - second)
        new_std = (second - new_mean**2).clamp(min=1e-4).sqrt()
        self.linear.weight *= old_std / new_std
        self.linear.bias.copy_((old_std * self.linear.bias + old_mean - new_mean) / new_std)
        self.mean.copy_(new_mean)
        self.std.copy_(new_std)


class TrainingPolicy(ActorCriticPolicy):
    """SB3's MLP policy with the normalisers inside, so that `predict` takes raw observations at any moment.

    The value function has an optimiser of its own: a small action noise wants tiny policy steps, and values must still
    learn at full speed.
    """

    value_net: ScaledValue  # type: ignore[assignment]

    def __init__(self, *args: Any, initial_std: float = 0.6, value_lr: float = 5e-4, **kwargs: Any):
        self.value_lr = value_lr
        kwargs.update(features_extractor_class=NormalisedObservations)
        super().__init__(*args, **kwargs)
        if isinstance(self.action_space, spaces.Box):
            self.set_action_std(initial_std * np.ones(self.action_space.shape))

    def _build(self, lr_schedule: Callable[[float], float]) -> None:
        super()._build(lr_schedule)
        self.value_net = ScaledValue(self.value_net)  # type: ignore[arg-type]  # SB3 made it a plain nn.Linear
        self.optimizer = torch.optim.Adam(self.actor_parameters(), lr=lr_schedule(1), eps=1e-5, fused=True)
        self.value_optimizer = torch.optim.Adam(self.value_parameters(), lr=self.value_lr, eps=1e-5, fused=True)

    @property
    def normaliser(self) -> RunningNormaliser:
        return self.features_extractor.normaliser  # type: ignore[return-value]

    def actor_parameters(self) -> list[nn.Parameter]:
        log_std = [self.log_std] if isinstance(self.action_space, spaces.Box) else []
        return [*self.mlp_extractor.policy_net.parameters(), *self.action_net.parameters(), *log_std]

    def value_parameters(self) -> list[nn.Parameter]:
        return [*self.mlp_extractor.value_net.parameters(), *self.value_net.parameters()]

    def features(self, obs: torch.Tensor) -> torch.Tensor:
        """(B, O) raw observations -> (B, O) standardised ones, which `law` and `value` take."""
        return self.features_extractor(obs.float())

    def law(self, features: torch.Tensor) -> torch.Tensor:
        """(B, A): the mean of the Gaussian that actions are drawn from, or the logits of the categorical."""
        return self.action_net(self.mlp_extractor.forward_actor(features))

    def value(self, features: torch.Tensor) -> torch.Tensor:
        """V, (B,)."""
        return self.value_net(self.mlp_extractor.forward_critic(features)).flatten()

    def distribution(self, law: torch.Tensor) -> Distribution:
        """Over actions: Gaussians of `law` (B, A) with the present noise, or categoricals."""
        if isinstance(self.action_space, spaces.Box):
            return Normal(law, self.log_std.exp().expand_as(law), validate_args=False)
        return Categorical(logits=law, validate_args=False)

    def log_prob(self, distribution: Distribution, actions: torch.Tensor) -> torch.Tensor:
        """log pi(actions), nats, (B,)."""
        log_prob = distribution.log_prob(actions)
        return log_prob.sum(dim=1) if isinstance(distribution, Normal) else log_prob

    @torch.inference_mode()
    def act(self, obs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Actions for raw observations (B, O), drawn from torch's global generator, and the `law` they came from."""
        law = self.law(self.features(torch.as_tensor(obs, dtype=torch.float32, device=self.device)))
        if isinstance(self.action_space, spaces.Box):
            # as Normal.sample, without building one: this runs once an env step
            actions = torch.addcmul(law, torch.randn_like(law), self.log_std.exp())
        else:
            actions = self.distribution(law).sample()
        return actions.cpu().numpy(), law.cpu().numpy()

    @torch.no_grad()
    def set_action_std(self, std: np.ndarray) -> None:
        """Set the exploration noise, (A,), in fractions of the action range's half-width."""
        half_width = (self.action_space.high - self.action_space.low) / 2  # type: ignore[attr-defined]
        self.log_std.copy_(torch.as_tensor(np.log(std * half_width), dtype=self.log_std.dtype))

    def state(self) -> dict[str, Any]:
        """Weights, normalisers and both optimisers: what an exact resume needs."""
        return {
            "policy": self.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "value_optimizer": self.value_optimizer.state_dict(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        self.load_state_dict(state["policy"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.value_optimizer.load_state_dict(state["value_optimizer"])


def to_plain(policy: TrainingPolicy) -> ActorCriticPolicy:
    """The same function as one of SB3's own policies: the normalisers are folded into the weights in float64."""
    hidden = policy.net_arch
    plain = plain_policy(
        policy.observation_space,
        policy.action_space,
        hidden=hidden["pi"],  # type: ignore[call-overload]
        value_hidden=hidden["vf"],  # type: ignore[call-overload]
        activation=policy.activation_fn,
    )
    own = {name: value.detach().cpu() for name, value in policy.state_dict().items()}
    scale, shift = (part.detach().cpu().numpy() for part in policy.normaliser.scale_and_shift())
    folded = {}
    for name in plain.state_dict():
        folded[name] = own[name] if name in own else own[name.replace("value_net.", "value_net.linear.")]
    for net in ("policy_net", "value_net"):
        first = f"mlp_extractor.{net}.0"
        weight, bias = fold_normaliser(own[f"{first}.weight"].numpy(), own[f"{first}.bias"].numpy(), scale, shift)
        folded[f"{first}.weight"] = torch.as_tensor(weight, dtype=torch.float32)
        folded[f"{first}.bias"] = torch.as_tensor(bias, dtype=torch.float32)
    std, mean = own["value_net.std"], own["value_net.mean"]
    folded["value_net.weight"] = own["value_net.linear.weight"] * std
    folded["value_net.bias"] = own["value_net.linear.bias"] * std + mean
    plain.load_state_dict(folded)
    return plain
