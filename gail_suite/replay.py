"""Off-policy imitation with Stable-Baselines3's SAC and TD3: old steps get the rewards of the model as it is today.

model = SAC("MlpPolicy", venv, replay_buffer_class=RelabellingReplayBuffer,
            replay_buffer_kwargs={"reward_model": reward})
model.learn(200_000, callback=RewardModelUpdates(reward, demonstrations.transitions(), every=64))
    model.save("policy.zip", exclude=["replay_buffer_class", "replay_buffer_kwargs"])  # so that plain SB3 can load it
"""

from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.type_aliases import ReplayBufferSamples
from stable_baselines3.common.vec_env import VecNormalize

from gail_suite.demonstrations.spaces import encode_actions
from gail_suite.reward.protocol import RewardModel, Transitions


class RelabellingReplayBuffer(ReplayBuffer):
    """SB3's replay buffer, whose rewards are asked of `reward_model` when a batch is sampled.

    The rewards of a model that learns go stale in a buffer.  The model sees what it always sees: raw observations, the
    true successor, actions in the task's own range (SB3 keeps them in [-1, 1]; Humanoid's real ones are +-0.4), and
    real ends only.  What it pays after a real end is added there, summed for ever with `gamma`.

    Paper: Kostrikov et al. 2019, https://arxiv.org/abs/1809.02925, sec. 4.1.
    """

    def __init__(self, *args: Any, reward_model: RewardModel, gamma: float = 0.99, **kwargs: Any):
        super().__init__(*args, **kwargs)
        if not 0 <= gamma < 1:
            raise ValueError(f"gamma must be in [0, 1), got {gamma}")
        self.reward_model = reward_model
        self.gamma = gamma

    def recent(self, n: int) -> Transitions:
        """The last n transitions at most, over all environments, oldest first."""
        rounds = min(-(-n // self.n_envs), self.size())
        index = (self.pos - rounds + np.arange(rounds)) % self.buffer_size
        return self._transitions(
            *(
                array[index].reshape(-1, *array.shape[2:])[-n:]
                for array in (self.observations, self.actions, self.next_observations, self.dones, self.timeouts)
            )
        )

    def _get_samples(self, batch_inds: NDArray[np.int64], env: VecNormalize | None = None) -> ReplayBufferSamples:
        raw = super()._get_samples(batch_inds, None)
        obs, actions, next_obs, ends = (
            tensor.cpu().numpy() for tensor in (raw.observations, raw.actions, raw.next_observations, raw.dones)
        )
        batch = self._transitions(obs, actions, next_obs, ends.reshape(-1), np.zeros(len(obs), np.float32))
        rewards = self.reward_model.reward(batch).astype(np.float64)
        if after_end := self.reward_model.after_end():
            rewards[batch.terminated] += after_end * self.gamma / (1 - self.gamma)
        return raw._replace(
            observations=self.to_torch(self._normalize_obs(obs, env)),  # type: ignore[arg-type]
            next_observations=self.to_torch(self._normalize_obs(next_obs, env)),  # type: ignore[arg-type]
            rewards=torch.as_tensor(rewards, dtype=torch.float32, device=self.device).reshape(-1, 1),
        )

    def _transitions(
        self, obs: NDArray, actions: NDArray, next_obs: NDArray, dones: NDArray, timeouts: NDArray
    ) -> Transitions:
        n, space = len(obs), self.action_space
        sent = actions.reshape(n) if isinstance(space, spaces.Discrete) else _unscale(actions.reshape(n, -1), space)
        terminated = (dones > 0) & (timeouts == 0)
        return Transitions(obs.reshape(n, -1), encode_actions(sent, space), next_obs.reshape(n, -1), terminated)


def _unscale(actions: NDArray, space: spaces.Space) -> NDArray:
    """From SB3's [-1, 1] to the task's own range, (n, A)."""
    assert isinstance(space, spaces.Box)  # SB3's off-policy learners take no third kind
    low, high = space.low.reshape(-1), space.high.reshape(-1)
    return low + 0.5 * (actions + 1) * (high - low)


class RewardModelUpdates(BaseCallback):
    """Lets a reward model learn every `every` env steps, from the expert and from the buffer's last `recent` steps.

    `metrics` are the last update's.  Before `learning_starts` env steps there is no policy worth telling apart.
    """

    def __init__(
        self,
        reward_model: RewardModel,
        expert: Transitions,
        *,
        every: int = 64,
        recent: int = 20_000,
        learning_starts: int = 1_000,
    ):
        super().__init__()
        if every < 1 or recent < 1:
            raise ValueError(f"every and recent must be at least 1, got {every} and {recent}")
        self.reward_model, self.expert = reward_model, expert
        self.every, self.recent, self.learning_starts = every, recent, learning_starts
        self.metrics: dict[str, float] = {}
        self._last = 0

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        """After the steps of a rollout are stored, and before the gradient steps."""
        if self.num_timesteps < self.learning_starts or self.num_timesteps - self._last < self.every:
            return
        self._last = self.num_timesteps
        buffer = self.model.replay_buffer  # type: ignore[attr-defined]  # of every off-policy algorithm
        self.metrics = self.reward_model.update(self.expert, buffer.recent(self.recent))
