"""SB3's PPO with an adaptive step size and normalised values.

Paper: Schulman et al. 2017, https://arxiv.org/abs/1707.06347.  Differs: the policy's step size follows a target KL
(as in its section 4, on the step size instead of a penalty), the epochs stop for the policy when the KL overshoots,
values are learned in normalised units by an optimiser of their own, and advantages are normalised per rollout.  The
rewards may come from a model, in place of the environment's.
"""

from typing import Any, NamedTuple

import numpy as np
import stable_baselines3 as sb3
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv
from torch import nn
from torch.distributions import Categorical, Normal, kl_divergence
from torch.nn import functional as F

from gail_suite.config import PPOConfig
from gail_suite.demonstrations.spaces import encode_actions
from gail_suite.reward.protocol import RewardModel, Transitions, require_finite
from gail_suite.successors import true_successors
from gail_suite.threads import one_thread
from gail_suite.training_policy import Distribution, TrainingPolicy, to_plain
from generative_core.training.ema import ExponentialMovingAverage

MIN_STEP_SIZE = 1e-6


class _Step(NamedTuple):
    """One step of N environments, each field (N, ...)."""

    obs: NDArray
    episode_starts: NDArray[np.bool_]
    actions: NDArray  # as drawn
    law: NDArray[np.float32]  # of the actions, see TrainingPolicy.law
    sent: NDArray  # the actions within the space's bounds
    rewards: NDArray[np.float32]  # the environment's
    next_obs: NDArray  # the true successors
    dones: NDArray[np.bool_]
    terminated: NDArray[np.bool_]


def networks(config: PPOConfig) -> dict[str, Any]:
    """SB3's arguments for the shape of the policy's networks."""
    hidden = list(config.hidden)
    return {"net_arch": {"pi": hidden, "vf": hidden}, "activation_fn": nn.ELU}


class AdaptivePPO(sb3.PPO):
    """PPO with our rollouts and `train`; `learn`, callbacks and buffers are SB3's.

    `average.model` is the policy with the moving average of its weights over the last rounds: it falls less often than
    the latest weights, each of which is one noisy step away from it (Polyak & Juditsky 1992).
    `policy_frozen` keeps the policy (and the observation statistics) still while values and reward model warm up.
    `transitions` and `rewards` are the latest rollout's, (T N, ...) oldest first, from its end on.

    Args:
        reward_model: gives the rewards; None for the environment's own.
    """

    policy: TrainingPolicy
    transitions: Transitions
    rewards: NDArray[np.float32]

    def __init__(
        self,
        env: VecEnv,
        config: PPOConfig,
        *,
        reward_model: RewardModel | None = None,
        seed: int | None = None,
        device: str = "cpu",
    ):
        self.config = config
        self.reward_model = reward_model
        self.policy_frozen = False
        self.starts_at_random = True  # it does anyway, by its noise
        self.step_size = config.policy_lr
        policy_kwargs = networks(config) | {"initial_std": config.initial_std, "value_lr": config.value_lr}
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
        self.weights_were_set()

    def weights_were_set(self) -> None:
        """Let `average.model` be the policy of this moment."""
        self.average = ExponentialMovingAverage(self.policy, decay=self.config.averaging)

    def collect_rollouts(
        self, env: VecEnv, callback: BaseCallback, rollout_buffer: RolloutBuffer, n_rollout_steps: int
    ) -> bool:
        """SB3's rollout, with one small network in the loop: the policy's.

        Values and learned rewards are needed only when the round is over, and cost a fraction there, in one batch.
        Returns False where a callback ended it early.
        """
        assert self._last_obs is not None
        assert self._last_episode_starts is not None
        self.policy.set_training_mode(False)
        rollout_buffer.reset()
        callback.on_rollout_start()
        steps: list[_Step] = []
        with one_thread():
            for _ in range(n_rollout_steps):
                obs = np.asarray(self._last_obs)
                actions, law = self.policy.act(obs)
                sent = actions
                if isinstance(self.action_space, spaces.Box):
                    sent = np.clip(actions, self.action_space.low, self.action_space.high)
                new_obs, rewards, dones, infos = env.step(sent)
                self.num_timesteps += env.num_envs
                callback.update_locals(locals())
                if not callback.on_step():
                    return False
                self._update_info_buffer(infos, dones)
                next_obs, terminated = true_successors(np.asarray(new_obs), dones, infos)
                starts = self._last_episode_starts
                steps.append(_Step(obs, starts, actions, law, sent, rewards, next_obs, dones, terminated))
                self._last_obs, self._last_episode_starts = np.asarray(new_obs), dones
        self._complete(rollout_buffer, _Step._make(np.stack(column) for column in zip(*steps, strict=True)))
        callback.update_locals(locals())
        callback.on_rollout_end()
        return True

    def _complete(self, buffer: RolloutBuffer, round_: _Step) -> None:
        """Fill the buffer from a whole round, fields (T, N, ...): learned rewards, values, advantages."""
        shape = round_.dones.shape
        flat = _Step._make(field.reshape(-1, *field.shape[2:]) for field in round_)
        for seen in (flat.obs, flat.next_obs):  # of a simulation that diverged, and nobody has noticed
            require_finite(seen, "numbers observed")
        acts = encode_actions(flat.sent, self.action_space)
        self.transitions = Transitions(flat.obs, acts, flat.next_obs, flat.terminated)
        if self.reward_model is None:
            self.rewards = flat.rewards.astype(np.float32)
        else:
            self.rewards = self.reward_model.reward(self.transitions)
        require_finite(self.rewards, "rewards of the round")
        timed_out = flat.dones & ~flat.terminated
        values = self._values(np.concatenate([flat.obs, np.asarray(self._last_obs), flat.next_obs[timed_out]]))
        own, last, after_time_out = np.split(values, [len(flat.obs), len(flat.obs) + shape[1]])
        bootstrapped = self.rewards.copy()
        bootstrapped[timed_out] += self.gamma * after_time_out  # a time-out is not an end: the value goes on
        if self.reward_model is not None and (after_end := self.reward_model.after_end()):
            bootstrapped[flat.terminated] += after_end * self.gamma / (1 - self.gamma)  # once a step, for ever
        buffer.observations[:] = round_.obs
        buffer.actions[:] = round_.actions.reshape(buffer.actions.shape)
        buffer.rewards[:] = bootstrapped.reshape(shape)
        buffer.episode_starts[:] = round_.episode_starts
        buffer.values[:] = own.reshape(shape)
        self._law = torch.as_tensor(flat.law, device=self.device)
        actions = torch.as_tensor(flat.actions, device=self.device)
        log_prob = self.policy.log_prob(self.policy.distribution(self._law), actions)
        buffer.log_probs[:] = log_prob.detach().cpu().numpy().reshape(shape)
        buffer.pos, buffer.full = buffer.buffer_size, True
        buffer.compute_returns_and_advantage(torch.as_tensor(last), dones=round_.dones[-1])

    @torch.no_grad()
    def _values(self, obs: NDArray) -> NDArray[np.float32]:
        """V(obs), (B,)."""
        rows = torch.as_tensor(obs, dtype=torch.float32, device=self.device)
        return self.policy.value(self.policy.features(rows)).cpu().numpy()

    def train(self) -> None:
        """One PPO update from the full rollout buffer; leaves its numbers in `self.metrics`."""
        config, policy = self.config, self.policy
        policy.set_training_mode(True)
        obs, actions, old_log_prob, advantages, returns = self._rollout()
        with torch.no_grad():
            features, old = policy.features(obs), policy.distribution(self._law)
        if self._n_updates:
            policy.value_net.track(returns, rate=config.value_statistics_rate)
        else:
            policy.value_net.start(returns)
        value_std = policy.value_net.std.clone()
        advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
        policy_live = not self.policy_frozen
        value_losses, clipped, n_stopped = [], [], 0
        for _ in range(config.n_epochs):
            for index in torch.randperm(len(obs)).split(self.batch_size):
                value_losses.append(self._value_step(features[index], returns[index], value_std))
                if not policy_live:
                    continue
                kl, clip_fraction = self._policy_step(
                    features[index], actions[index], old_log_prob[index], advantages[index], _at(old, index)
                )
                clipped.append(clip_fraction)
                if kl > config.kl_stop * config.target_kl:
                    policy_live, n_stopped = False, n_stopped + 1
        with torch.no_grad():
            kl = float(self._kl(old, policy.distribution(policy.law(features))).mean())
        if not self.policy_frozen:
            self._adapt(kl)
            if config.update_normaliser:
                policy.normaliser.update(obs)
            self.average.update()
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
        parts = (buffer.observations, buffer.actions, buffer.log_probs, buffer.advantages, buffer.returns)
        flat = (part.reshape(-1, *part.shape[2:]) for part in parts)  # (T, N, ...) -> (B, ...)
        obs, actions, log_prob, advantages, returns = (torch.as_tensor(part, device=self.device) for part in flat)
        if isinstance(self.action_space, spaces.Discrete):
            actions = actions.long().flatten()
        return obs, actions, log_prob.flatten(), advantages.flatten(), returns.flatten()

    def _value_step(self, features: torch.Tensor, returns: torch.Tensor, value_std: torch.Tensor) -> torch.Tensor:
        values = self.policy.value(features)
        loss = F.mse_loss(values / value_std, returns / value_std)
        self._minimise(loss, self.policy.value_optimizer, self.policy.value_parameters(), "value")
        return loss.detach()

    def _policy_step(
        self,
        features: torch.Tensor,
        actions: torch.Tensor,
        old_log_prob: torch.Tensor,
        advantages: torch.Tensor,
        old: Distribution,
    ) -> tuple[float, float]:
        """One clipped-surrogate step; returns the KL from the rollout's policy before it, and the clipped fraction."""
        distribution = self.policy.distribution(self.policy.law(features))
        log_prob = self.policy.log_prob(distribution, actions)
        ratio = (log_prob - old_log_prob).exp()
        clip = self.config.clip_range
        loss = -torch.min(ratio * advantages, ratio.clamp(1 - clip, 1 + clip) * advantages).mean()
        kl = self._kl(old, distribution)
        if isinstance(self.action_space, spaces.Box):
            low, high = (
                torch.as_tensor(end, device=self.device) for end in (self.action_space.low, self.action_space.high)
            )
            excess = F.relu((distribution.mean - (high + low) / 2).abs() / ((high - low) / 2) - 1.1)
            loss = loss + self.config.bound_penalty * (excess**2).sum(dim=1).mean()
        if self.config.entropy_coefficient:
            loss = loss - self.config.entropy_coefficient * distribution.entropy().mean()
        for group in self.policy.optimizer.param_groups:
            group["lr"] = self.step_size
        self._minimise(loss, self.policy.optimizer, self.policy.actor_parameters(), "policy")
        return float(kl.detach().mean()), float(((ratio.detach() - 1).abs() > clip).float().mean())

    def _kl(self, old: Distribution, new: Distribution) -> torch.Tensor:
        """KL(old || new) in nats, (B,)."""
        kl: torch.Tensor = kl_divergence(old, new)
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

    def state_dict(self) -> dict[str, Any]:
        """All of its own that the next round depends on."""
        return {
            "policy": self.policy.state(),
            "average": self.average.state_dict(),
            "step_size": self.step_size,
            "n_updates": self._n_updates,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.policy.load_state(state["policy"])
        self.average.load_state_dict(state["average"])
        self.step_size, self._n_updates = state["step_size"], state["n_updates"]

    def to_sb3(self, policy: TrainingPolicy | None = None) -> sb3.PPO:
        """A stock SB3 PPO with a plain copy of `policy` (by default the latest); loads without this package."""
        stock = sb3.PPO(
            "MlpPolicy",
            None,  # type: ignore[arg-type]  # SB3 allows it with _init_setup_model=False, as its own load does
            policy_kwargs=networks(self.config),
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
        stock.policy.load_state_dict(to_plain(policy or self.policy).state_dict())
        return stock


def _at(distribution: Distribution, index: torch.Tensor) -> Distribution:
    """The rows `index` of a batch of Gaussians or categoricals."""
    if isinstance(distribution, Normal):
        return Normal(distribution.loc[index], distribution.scale[index], validate_args=False)
    return Categorical(logits=distribution.logits[index], validate_args=False)


def _explained_variance(values: np.ndarray, returns: np.ndarray) -> float:
    """1 - Var[returns - values] / Var[returns]; 0 where the returns do not vary."""
    spread = float(np.var(returns))
    return 1.0 - float(np.var(returns - values)) / spread if spread > 0 else 0.0
