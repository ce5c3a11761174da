"""SB3's PPO with an adaptive step size and normalised values.

Paper: Schulman et al. 2017, https://arxiv.org/abs/1707.06347.  Differs: the policy's step size follows a target KL
(as in its section 4, on the step size instead of a penalty), the epochs stop for the policy when the KL overshoots,
values are learned in normalised units by an optimiser of their own, and advantages are normalised per rollout.
"""

from typing import Any

import numpy as np
import stable_baselines3 as sb3
import torch
from gymnasium import spaces
from stable_baselines3.common.vec_env import VecEnv
from torch import nn
from torch.distributions import kl_divergence
from torch.nn import functional as F

from gail_suite.config import PPOConfig
from gail_suite.training_policy import TrainingPolicy, to_plain

MIN_STEP_SIZE = 1e-6


class AdaptivePPO(sb3.PPO):
    """PPO whose `train` is ours; rollouts, `learn`, callbacks and buffers are SB3's.

    `policy_frozen` keeps the policy (and the observation statistics) still while values and reward model warm up.
    """

    policy: TrainingPolicy

    def __init__(self, env: VecEnv, config: PPOConfig, *, seed: int | None = None, device: str = "cpu"):
        self.config = config
        self.policy_frozen = False
        self.step_size = config.policy_lr
        hidden = list(config.hidden)
        policy_kwargs: dict[str, Any] = {
            "net_arch": {"pi": hidden, "vf": hidden},
            "activation_fn": nn.ELU,
            "initial_std": config.initial_std,
            "value_lr": config.value_lr,
        }
        if isinstance(env.action_space, spaces.Box):
            policy_kwargs["log_std_init"] = 0.0
        super().__init__(
            TrainingPolicy,
            env,
            learning_rate=lambda progress_remaining: config.policy_lr,
            n_steps=config.n_steps,
            batch_size=min(config.minibatch_size, config.n_steps * env.num_envs),
            n_epochs=config.n_epochs,
            gamma=config.gamma,
            gae_lambda=config.gae_lambda,
            clip_range=config.clip_range,
            ent_coef=config.entropy_coefficient,
            max_grad_norm=config.max_grad_norm,
            target_kl=config.target_kl,
            policy_kwargs=policy_kwargs,
            seed=seed,
            device=device,
        )
        self.metrics: dict[str, float] = {}

    def train(self) -> None:
        """One PPO update from the full rollout buffer; leaves its numbers in `self.metrics`."""
        config, policy = self.config, self.policy
        policy.set_training_mode(True)
        obs, actions, old_log_prob, advantages, returns = self._rollout()
        if self._n_updates:
            policy.value_net.track(returns, rate=config.value_statistics_rate)
        else:
            policy.value_net.start(returns)
        value_std = policy.value_net.std.clone()
        advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
        with torch.no_grad():
            old = policy.get_distribution(obs).distribution
        policy_live = not self.policy_frozen
        value_losses, clipped, n_stopped = [], [], 0
        for _ in range(config.n_epochs):
            for index in torch.randperm(len(obs)).split(self.batch_size):
                value_losses.append(self._value_step(obs[index], returns[index], value_std))
                if not policy_live:
                    continue
                kl, clip_fraction = self._policy_step(
                    obs[index], actions[index], old_log_prob[index], advantages[index], _at(old, index)
                )
                clipped.append(clip_fraction)
                if kl > config.kl_stop * config.target_kl:
                    policy_live, n_stopped = False, n_stopped + 1
        with torch.no_grad():
            kl = float(self._kl(old, policy.get_distribution(obs).distribution).mean())
        if not self.policy_frozen:
            self._adapt(kl)
            if config.update_normaliser:
                policy.normaliser.update(obs)
        self._n_updates += config.n_epochs
        self.metrics = {
            "kl": kl,
            "clip_fraction": float(np.mean(clipped)) if clipped else 0.0,
            "step_size": self.step_size,
            "value_loss": float(torch.stack(value_losses).mean()),
            "explained_variance": _explained_variance(self.rollout_buffer.values, self.rollout_buffer.returns),
            "kl_stops": n_stopped,
        }
        if isinstance(self.action_space, spaces.Box):
            half_width = torch.as_tensor((self.action_space.high - self.action_space.low) / 2)
            self.metrics["action_std"] = float((policy.log_std.detach().cpu().exp() / half_width).mean())

    def _rollout(self) -> tuple[torch.Tensor, ...]:
        """The buffer, flat: obs (B, O), actions (B, A) or (B,), log_prob (B,), advantages (B,), returns (B,)."""
        buffer = self.rollout_buffer
        flat = (
            buffer.swap_and_flatten(part)
            for part in (buffer.observations, buffer.actions, buffer.log_probs, buffer.advantages, buffer.returns)
        )
        obs, actions, log_prob, advantages, returns = (torch.as_tensor(part, device=self.device) for part in flat)
        if isinstance(self.action_space, spaces.Discrete):
            actions = actions.long().flatten()
        return obs, actions, log_prob.flatten(), advantages.flatten(), returns.flatten()

    def _value_step(self, obs: torch.Tensor, returns: torch.Tensor, value_std: torch.Tensor) -> torch.Tensor:
        values = self.policy.predict_values(obs).flatten()
        loss = F.mse_loss(values / value_std, returns / value_std)
        self._minimise(loss, self.policy.value_optimizer, self.policy.value_parameters(), "value")
        return loss.detach()

    def _policy_step(
        self, obs: torch.Tensor, actions: torch.Tensor, old_log_prob: torch.Tensor, advantages: torch.Tensor, old: Any
    ) -> tuple[float, float]:
        """One clipped-surrogate step; returns the KL from the rollout's policy before it, and the clipped fraction."""
        sb3_distribution = self.policy.get_distribution(obs)
        log_prob = sb3_distribution.log_prob(actions)
        ratio = (log_prob - old_log_prob).exp()
        clip = self.config.clip_range
        loss = -torch.min(ratio * advantages, ratio.clamp(1 - clip, 1 + clip) * advantages).mean()
        distribution: Any = sb3_distribution.distribution
        kl = self._kl(old, distribution)
        if isinstance(self.action_space, spaces.Box):
            low, high = (
                torch.as_tensor(end, device=obs.device) for end in (self.action_space.low, self.action_space.high)
            )
            excess = F.relu((distribution.mean - (high + low) / 2).abs() / ((high - low) / 2) - 1.1)
            loss = loss + self.config.bound_penalty * (excess**2).sum(dim=1).mean()
        if self.config.entropy_coefficient:
            loss = loss - self.config.entropy_coefficient * distribution.entropy().mean()
        for group in self.policy.optimizer.param_groups:
            group["lr"] = self.step_size
        self._minimise(loss, self.policy.optimizer, self.policy.actor_parameters(), "policy")
        return float(kl.detach().mean()), float(((ratio.detach() - 1).abs() > clip).float().mean())

    def _kl(self, old: Any, new: Any) -> torch.Tensor:
        """KL(old || new) in nats, (B,)."""
        kl = kl_divergence(old, new)
        return kl.sum(dim=1) if isinstance(self.action_space, spaces.Box) else kl

    def _minimise(
        self, loss: torch.Tensor, optimizer: torch.optim.Optimizer, parameters: list[nn.Parameter], name: str
    ) -> None:
        optimizer.zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(parameters, self.config.max_grad_norm)
        if not torch.isfinite(norm):
            raise FloatingPointError(f"the {name} loss or its gradient is not finite (loss {loss.item()})")
        optimizer.step()

    def _adapt(self, kl: float) -> None:
        """Divide or multiply the step size by 1.5 when the KL leaves half to twice its target."""
        if kl > 2.0 * self.config.target_kl:
            self.step_size = max(self.step_size / 1.5, MIN_STEP_SIZE)
        elif kl < 0.5 * self.config.target_kl:
            self.step_size = min(self.step_size * 1.5, self.config.max_policy_lr)

    def to_sb3(self) -> sb3.PPO:
        """A stock SB3 PPO with a plain policy that computes the same; its file loads without this package."""
        hidden = list(self.config.hidden)
        stock = sb3.PPO(
            "MlpPolicy",
            None,  # type: ignore[arg-type]  # SB3 allows it with _init_setup_model=False, as its own load does
            policy_kwargs={"net_arch": {"pi": hidden, "vf": hidden}, "activation_fn": nn.ELU},
            gamma=self.config.gamma,
            gae_lambda=self.config.gae_lambda,
            n_epochs=self.config.n_epochs,
            batch_size=self.batch_size,
            device="cpu",
            _init_setup_model=False,
        )
        stock.observation_space, stock.action_space = self.observation_space, self.action_space
        stock.n_envs, stock.num_timesteps = 1, self.num_timesteps
        stock._setup_model()
        stock.policy.load_state_dict(to_plain(self.policy).state_dict())
        return stock


def _at(distribution: Any, index: torch.Tensor) -> Any:
    """The rows `index` of a batch of Gaussians or categoricals."""
    if isinstance(distribution, torch.distributions.Normal):
        return torch.distributions.Normal(distribution.loc[index], distribution.scale[index])
    return torch.distributions.Categorical(logits=distribution.logits[index])


def _explained_variance(values: np.ndarray, returns: np.ndarray) -> float:
    """1 - Var[returns - values] / Var[returns]; 0 where the returns do not vary."""
    spread = float(np.var(returns))
    return 1.0 - float(np.var(returns - values)) / spread if spread > 0 else 0.0
