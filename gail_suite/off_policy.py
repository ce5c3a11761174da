"""SB3's SAC and TD3 as the learners of an imitation: rewards of today, a cloned start, an exact resume."""

from abc import abstractmethod
from typing import Any

import numpy as np
import stable_baselines3 as sb3
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.type_aliases import RolloutReturn
from stable_baselines3.common.vec_env import VecEnv
from torch import nn

from gail_suite.config import OffPolicyConfig
from gail_suite.errors import InputError
from gail_suite.off_policy_policies import NormalisedSACPolicy, NormalisedTD3Policy, load_folded
from gail_suite.replay import RelabellingReplayBuffer
from gail_suite.reward.protocol import RewardModel, Transitions
from generative_core.training.ema import ExponentialMovingAverage

MIN_STEP_SIZE, MAX_STEP_SIZE = 1e-8, 1e-3
N_PROBED = 1024  # of the newest transitions, on which the shift of the policy is measured
N_JUDGED = 4096  # transitions of the recent ones that the reward model is shown a round


def networks(config: OffPolicyConfig) -> dict[str, Any]:
    """SB3's arguments for the shape of the policy's networks."""
    return {"net_arch": list(config.hidden), "activation_fn": nn.ReLU}


class _OffPolicyLearner(OffPolicyAlgorithm):
    """What SAC and TD3 share here; `learn` and the losses are SB3's.

    `average.model` is the policy with the moving average of its weights, as PPO's.  `policy_frozen` keeps the actor
    still while the action values and the reward model warm up.  `transitions` are what the reward model is to be shown
    of the policy, `rewards` those of the latest round's.
    """

    policy: Any  # a Normalised...Policy
    replay_buffer: RelabellingReplayBuffer

    def __init__(
        self,
        policy_class: type[NormalisedSACPolicy] | type[NormalisedTD3Policy],
        env: VecEnv,
        config: OffPolicyConfig,
        *,
        reward_model: RewardModel,
        expert: Transitions,
        seed: int,
        device: str,
        **kwargs: Any,
    ):
        if not isinstance(env.action_space, spaces.Box):
            raise InputError("sac and td3 need actions that are numbers (a Box); take --algo ppo")
        self.config = config
        self.policy_frozen = False
        self.starts_at_random = True
        self.step_size = config.actor_lr
        self.metrics: dict[str, float] = {}
        super().__init__(  # SAC's or TD3's own
            policy_class,
            env,
            learning_rate=config.critic_lr,
            buffer_size=config.buffer_size,
            learning_starts=config.learning_starts,
            batch_size=config.batch_size,
            tau=config.tau,
            gamma=config.gamma,
            train_freq=(config.n_steps, "step"),
            gradient_steps=max(1, round(config.update_ratio * config.n_steps * env.num_envs)),
            replay_buffer_class=RelabellingReplayBuffer,
            replay_buffer_kwargs={
                "reward_model": reward_model,
                "gamma": config.gamma,
                "demonstrations": expert,
                "demo_share": config.demo_share,
            },
            policy_kwargs=networks(config) | {"optimizer_kwargs": {"fused": True}},
            seed=seed,
            device=device,
            **kwargs,
        )
        demonstrated = torch.as_tensor(expert.obs, device=self.device)
        self.policy.normaliser.update(demonstrated)
        self.policy.normaliser.bound(demonstrated)
        self.policy.set_action_std(np.full(env.action_space.shape, config.exploration_std))
        self.weights_were_set()

    def weights_were_set(self) -> None:
        """Let the targets and `average.model` be the policy of this moment."""
        self.policy.weights_were_set()
        self.average = ExponentialMovingAverage(self.policy, decay=self.config.averaging)

    @property
    def transitions(self) -> Transitions:
        """A draw from the newest ones, as many as a reward model learns from in a round."""
        recent = self.replay_buffer.recent(self.config.recent)
        n = len(recent.terminated)
        return recent if n <= N_JUDGED else recent.take(np.random.choice(n, N_JUDGED, replace=False))  # noqa: NPY002

    @property
    def rewards(self) -> NDArray[np.float32]:
        newest = self.replay_buffer.recent(self.config.n_steps * self.n_envs)
        return self.replay_buffer.reward_model.reward(newest)

    def collect_rollouts(self, *args: Any, **kwargs: Any) -> RolloutReturn:
        """SB3's; a cloned policy takes no random actions first."""
        random_until = self.config.learning_starts if self.starts_at_random else 0
        return super().collect_rollouts(*args, **kwargs | {"learning_starts": random_until})

    def _sample_action(self, learning_starts: int, *args: Any, **kwargs: Any) -> tuple[NDArray, NDArray]:
        """(as sent, in [-1, 1] as stored), each (N, A)."""
        if self.num_timesteps < learning_starts:
            low_to_high = torch.rand((self.n_envs, *self.action_space.shape))  # type: ignore[misc]
            scaled = (2 * low_to_high - 1).numpy()
        else:
            scaled = self.policy.explore(np.asarray(self._last_obs))
        return self.policy.unscale_action(scaled), scaled

    def _update_learning_rate(self, optimizers: Any) -> None:
        """The actor, which SB3 names first, has a step size of its own; frozen, it and the temperature have none."""
        actor, *others = optimizers
        moves = not self.policy_frozen
        for group in actor.param_groups:
            group["lr"] = self.step_size * moves
        for optimizer in others:
            still = optimizer is not self.policy.critic.optimizer and not moves
            for group in optimizer.param_groups:
                group["lr"] = 0.0 if still else self.config.critic_lr

    def train(self, gradient_steps: int, batch_size: int = 256) -> None:
        """SB3's burst of gradient steps; leaves its means in `metrics`.  Raises FloatingPointError where one is bad."""
        probe = self.replay_buffer.recent(N_PROBED).obs
        before = self._squashed(probe)
        try:
            super().train(gradient_steps, batch_size)
        except ValueError as error:  # torch makes no distribution of an actor that is lost in the midst of the burst
            if all(parameter.isfinite().all() for parameter in self.policy.parameters()):
                raise
            raise FloatingPointError("the learner's policy is not finite") from error
        shift = float((self._squashed(probe) - before).square().mean().sqrt())
        if not self.policy_frozen:
            self._adapt(shift)
            self.average.update()
        logged = self.logger.name_to_value
        self.metrics = {
            name.removeprefix("train/"): float(value) for name, value in logged.items() if name.startswith("train/")
        }
        logged.clear()
        self.metrics |= {"shift": shift, "step_size": self.step_size}
        if not_finite := [name for name, value in self.metrics.items() if not np.isfinite(value)]:
            raise FloatingPointError(f"the learner's {not_finite[0]} is not finite")

    @torch.no_grad()
    def _squashed(self, obs: NDArray) -> torch.Tensor:
        """(B, A) the deterministic actions in [-1, 1]."""
        policy = self.policy
        return policy.squashed(policy.normaliser(torch.as_tensor(obs, dtype=torch.float32, device=self.device)))

    def _adapt(self, shift: float) -> None:
        """Divide or multiply the actor's step size by 1.5 when the actions' shift leaves half to twice its target."""
        if shift > 2.0 * self.config.target_shift:
            self.step_size = max(self.step_size / 1.5, MIN_STEP_SIZE)
        elif shift < 0.5 * self.config.target_shift:
            self.step_size = min(self.step_size * 1.5, MAX_STEP_SIZE)

    def state_dict(self) -> dict[str, Any]:
        """All that the next round depends on, the buffer included."""
        return {
            "policy": self.policy.state(),
            "average": self.average.state_dict(),
            "n_updates": self._n_updates,
            "starts_at_random": self.starts_at_random,
            "step_size": self.step_size,
            "buffer": self.replay_buffer.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.policy.load_state(state["policy"])
        self.average.load_state_dict(state["average"])
        self._n_updates, self.starts_at_random = state["n_updates"], state["starts_at_random"]
        self.step_size = state["step_size"]
        self.replay_buffer.load_state_dict(state["buffer"])

    @abstractmethod
    def to_sb3(self, policy: Any = None) -> Any:
        """A stock SB3 algorithm with a plain copy of `policy` (by default the latest); loads without this package."""

    def _stock(self, algorithm: type[sb3.SAC] | type[sb3.TD3], policy: Any, **kwargs: Any) -> Any:
        """SB3's own, with a plain copy of `policy`."""
        config = self.config
        stock = algorithm(
            "MlpPolicy",
            None,  # type: ignore[arg-type]  # SB3 allows it with _init_setup_model=False, as its own load does
            policy_kwargs={"net_arch": list(config.hidden)},
            learning_rate=config.critic_lr,
            buffer_size=1,  # of this object; what loads its file makes one of the right size
            learning_starts=0,
            batch_size=config.batch_size,
            tau=config.tau,
            gamma=config.gamma,
            device="cpu",
            _init_setup_model=False,
            **kwargs,
        )
        stock.observation_space, stock.action_space = self.observation_space, self.action_space
        stock.n_envs, stock.num_timesteps = 1, self.num_timesteps
        with torch.random.fork_rng(devices=[]):  # the initial weights are thrown away
            stock._setup_model()
        stock.buffer_size = config.buffer_size
        load_folded(stock.policy, policy or self.policy)
        return stock


class ImitationSAC(_OffPolicyLearner, sb3.SAC):
    """SAC; its noise starts at what the warm start set, and its temperature is fixed or learned."""

    def __init__(self, env: VecEnv, config: OffPolicyConfig, **kwargs: Any):
        n_acts = int(np.prod(env.action_space.shape or (1,)))
        temperature = "auto_0.01" if config.temperature is None else config.temperature
        super().__init__(
            NormalisedSACPolicy,
            env,
            config,
            ent_coef=temperature,
            target_entropy=n_acts * config.entropy_target,
            **kwargs,
        )

    def state_dict(self) -> dict[str, Any]:
        state = super().state_dict()
        if self.ent_coef_optimizer is not None:
            state |= {"log_ent_coef": self.log_ent_coef, "temperature_optimizer": self.ent_coef_optimizer.state_dict()}
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        if self.ent_coef_optimizer is not None and self.log_ent_coef is not None:
            with torch.no_grad():
                self.log_ent_coef.copy_(state["log_ent_coef"])
            self.ent_coef_optimizer.load_state_dict(state["temperature_optimizer"])

    def to_sb3(self, policy: NormalisedSACPolicy | None = None) -> sb3.SAC:
        stock = self._stock(sb3.SAC, policy, ent_coef=self.ent_coef, target_entropy=self.target_entropy)
        if stock.log_ent_coef is not None and self.log_ent_coef is not None:
            with torch.no_grad():
                stock.log_ent_coef.copy_(self.log_ent_coef)
        return stock


class ImitationTD3(_OffPolicyLearner, sb3.TD3):
    """TD3; it explores with the noise that the warm start set."""

    def __init__(self, env: VecEnv, config: OffPolicyConfig, **kwargs: Any):
        super().__init__(NormalisedTD3Policy, env, config, **kwargs)

    def to_sb3(self, policy: NormalisedTD3Policy | None = None) -> sb3.TD3:
        return self._stock(sb3.TD3, policy)
