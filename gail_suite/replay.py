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
from gail_suite.reward.protocol import RewardModel, Transitions, require_finite

_COLUMNS = ("observations", "actions", "next_observations", "rewards", "dones", "timeouts")


class RelabellingReplayBuffer(ReplayBuffer):
    """SB3's replay buffer, whose rewards are asked of `reward_model` when a batch is sampled.

    The rewards of a model that learns go stale in a buffer.  The model sees what it always sees: raw observations, the
    true successor, actions in the task's own range (SB3 keeps them in [-1, 1]; Humanoid's real ones are +-0.4), and
    real ends only.  What it pays after a real end is added there, summed for ever with `gamma`.

    Paper: Kostrikov et al. 2019, https://arxiv.org/abs/1809.02925, sec. 4.1.

    Args:
        reward_model: what is asked.
        gamma: the learner's discount.
        demonstrations: what `demo_share` of every batch is drawn from.
        demo_share: in [0, 1].
    """

    def __init__(
        self,
        *args: Any,
        reward_model: RewardModel,
        gamma: float = 0.99,
        demonstrations: Transitions | None = None,
        demo_share: float = 0.0,
        **kwargs: Any,
    ):
        super().__init__(*args, **kwargs)
        if not 0 <= gamma < 1:
            raise ValueError(f"gamma must be in [0, 1), got {gamma}")
        if not 0 <= demo_share <= 1 or (demo_share and demonstrations is None):
            raise ValueError(f"demo_share must be in [0, 1], and above 0 needs demonstrations; got {demo_share}")
        self.reward_model = reward_model
        self.gamma = gamma
        self.demonstrations, self.demo_share = demonstrations, demo_share
        # networks read float32; of float64 simulations the buffer would be twice as large for nothing
        self.observations = np.zeros(self.observations.shape, np.float32)
        self.next_observations = np.zeros(self.next_observations.shape, np.float32)

    def add(self, obs: NDArray, next_obs: NDArray, *args: Any, **kwargs: Any) -> None:
        """SB3's; raises FloatingPointError on what a simulation that diverged shows."""
        for seen in (obs, next_obs):  # the first one of an episode is no successor
            require_finite(seen, "numbers observed")
        super().add(obs, next_obs, *args, **kwargs)

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

    def state_dict(self) -> dict[str, Any]:
        """What it holds: its filled rows, and where the next one goes."""
        rows = {name: getattr(self, name)[: self.size()] for name in _COLUMNS}
        return {**rows, "pos": self.pos, "full": self.full}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name in _COLUMNS:
            getattr(self, name)[: len(state[name])] = state[name]
        self.pos, self.full = state["pos"], state["full"]

    def sample(self, batch_size: int, env: VecNormalize | None = None) -> ReplayBufferSamples:
        """SB3's, with the demonstrations' share."""
        n_demonstrated = round(batch_size * self.demo_share)
        if self.demonstrations is None or n_demonstrated == 0:
            return super().sample(batch_size, env)
        index = np.random.randint(len(self.demonstrations.obs), size=n_demonstrated)  # noqa: NPY002  # as SB3 draws
        batch = self.demonstrations.take(index)
        demonstrated = self._paid(batch, _scale(batch.acts, self.action_space), env)
        if n_demonstrated == batch_size:
            return demonstrated
        own = super().sample(batch_size - n_demonstrated, env)
        # newer versions of SB3 have a sixth field, for returns over several steps, which is None here
        return ReplayBufferSamples(*(torch.cat(both) for both in zip(own[:5], demonstrated[:5], strict=True)))

    def _get_samples(self, batch_inds: NDArray[np.int64], env: VecNormalize | None = None) -> ReplayBufferSamples:
        raw = super()._get_samples(batch_inds, None)
        obs, actions, next_obs, ends = (
            tensor.cpu().numpy() for tensor in (raw.observations, raw.actions, raw.next_observations, raw.dones)
        )
        batch = self._transitions(obs, actions, next_obs, ends.reshape(-1), np.zeros(len(obs), np.float32))
        return self._paid(batch, actions, env)

    def _paid(self, batch: Transitions, actions: NDArray, env: VecNormalize | None) -> ReplayBufferSamples:
        """With the rewards of today; `actions` as SB3 keeps them."""
        rewards = self.reward_model.reward(batch).astype(np.float64)
        require_finite(rewards, "rewards of a batch")
        if after_end := self.reward_model.after_end():
            rewards[batch.terminated] += after_end * self.gamma / (1 - self.gamma)
        columns = batch.terminated.astype(np.float32), rewards.astype(np.float32)
        return ReplayBufferSamples(
            self.to_torch(self._normalize_obs(batch.obs.astype(np.float32), env)),  # type: ignore[arg-type]
            self.to_torch(actions),
            self.to_torch(self._normalize_obs(batch.next_obs.astype(np.float32), env)),  # type: ignore[arg-type]
            *(self.to_torch(column.reshape(-1, 1)) for column in columns),
        )

    def _transitions(
        self, obs: NDArray, actions: NDArray, next_obs: NDArray, dones: NDArray, timeouts: NDArray
    ) -> Transitions:
        n, space = len(obs), self.action_space
        sent = actions.reshape(n) if isinstance(space, spaces.Discrete) else _unscale(actions.reshape(n, -1), space)
        terminated = (dones > 0) & (timeouts == 0)
        return Transitions(obs.reshape(n, -1), encode_actions(sent, space), next_obs.reshape(n, -1), terminated)


def _scale(actions: NDArray, space: spaces.Space) -> NDArray[np.float32]:
    """From the task's own range to SB3's [-1, 1], (n, A)."""
    if isinstance(space, spaces.Discrete):  # one-hot, as demonstrations have them
        return actions.argmax(axis=1).reshape(-1, 1)
    assert isinstance(space, spaces.Box)
    low, high = space.low.reshape(-1), space.high.reshape(-1)
    return (2 * (actions - low) / (high - low) - 1).astype(np.float32)


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
