"""The learned reward's way into SB3: a vector-env wrapper, because only here are the true successors still visible.

PPO bootstraps time-outs and computes returns before its `on_rollout_end`, so changing its buffer there is too late.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper

from gail_suite.demonstrations.spaces import encode_actions
from gail_suite.reward.protocol import RewardModel, Transitions


class RewardVecEnv(VecEnvWrapper):
    """Replaces the environment's reward by a model's, and remembers the transitions of the current round.

    The environment's own return stays in `infos[i]["episode"]`, for evaluation.
    """

    def __init__(self, venv: VecEnv, reward_model: RewardModel):
        super().__init__(venv)
        self.reward_model = reward_model
        self._obs: NDArray = np.empty(0)
        self._actions: NDArray = np.empty(0)
        self._round: list[Transitions] = []
        self.rewards: list[NDArray[np.float32]] = []

    def reset(self) -> NDArray:
        self._obs = np.asarray(self.venv.reset())
        return self._obs

    def step_async(self, actions: NDArray) -> None:
        self._actions = actions
        self.venv.step_async(actions)

    def step_wait(self) -> tuple[NDArray, NDArray[np.float32], NDArray[np.bool_], list[dict[str, Any]]]:
        obs, _, dones, infos = self.venv.step_wait()
        obs = np.asarray(obs)
        next_obs, terminated = true_successors(obs, dones, infos)
        batch = Transitions(self._obs, encode_actions(self._actions, self.action_space), next_obs, terminated)
        # SB3 adds the bootstrap of a time-out in place, so the array must be its own
        rewards = np.array(self.reward_model.reward(batch), dtype=np.float32)
        if not np.isfinite(rewards).all():
            raise FloatingPointError(
                f"the reward model gave {np.count_nonzero(~np.isfinite(rewards))} non-finite rewards"
            )
        self._round.append(batch)
        self.rewards.append(rewards.copy())
        self._obs = obs
        return obs, rewards, dones, infos

    def pop_round(self) -> tuple[Transitions, NDArray[np.float32]]:
        """The transitions and learned rewards since the last call, oldest first."""
        batches, rewards = self._round, self.rewards
        self._round, self.rewards = [], []
        return Transitions(*(np.concatenate(parts) for parts in zip(*batches, strict=True))), np.concatenate(rewards)

    def go_on_from(self, obs: NDArray) -> None:
        """Continue a restored environment whose last observation was `obs`."""
        self._obs = obs
        self._round, self.rewards = [], []


def true_successors(
    obs: NDArray, dones: NDArray[np.bool_], infos: list[dict[str, Any]]
) -> tuple[NDArray, NDArray[np.bool_]]:
    """(successor of every transition, whether it was a real end): undoes what the auto-reset hides."""
    next_obs, terminated = np.array(obs), np.array(dones, dtype=bool)
    for i in np.flatnonzero(dones):
        next_obs[i] = infos[i]["terminal_observation"]
        terminated[i] = not infos[i].get("TimeLimit.truncated", False)
    return next_obs, terminated
