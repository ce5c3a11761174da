"""Generative adversarial imitation learning: policy, reward model and demonstrations, wired into SB3."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.callbacks import BaseCallback, CallbackList
from stable_baselines3.common.utils import get_device
from stable_baselines3.common.vec_env import VecEnv

import envs
from gail_suite.behavioural_cloning import BehaviouralCloning, CloningResult
from gail_suite.config import TrainConfig, config_from_dict, config_to_dict
from gail_suite.demonstrations import Demonstrations
from gail_suite.demonstrations.spaces import check_spaces
from gail_suite.errors import InputError
from gail_suite.learner import ImitationPolicy, make_learner
from gail_suite.presets import preset
from gail_suite.reward.make import make_reward_model
from gail_suite.reward.protocol import RewardModel
from generative_core.training.checkpoint import load_checkpoint, save_checkpoint


class GAIL:
    """Imitate demonstrations with a learned reward.

        gail = GAIL("Ant-v4", Demonstrations.load("Ant-v4"))
        gail.learn(1_000_000)
        actions, _ = gail.policy.predict(obs, deterministic=True)
        gail.to_sb3().save("policy.zip")

    Paper: Ho & Ermon 2016, https://arxiv.org/abs/1606.03476.  Differs: PPO instead of TRPO, a warm start by cloning, a
    gradient penalty and a guard on the critic, and time-outs that are not taken for ends.

    Args:
        env: a gymnasium id, or an SB3 `VecEnv` of your own.
        demonstrations: what to imitate; refused with `InputError` where they are not of this task.
        config: by default the preset of the task.
        reward_model: by default a critic as `config` describes it.
    """

    def __init__(
        self,
        env: str | VecEnv,
        demonstrations: Demonstrations,
        config: TrainConfig | None = None,
        *,
        reward_model: RewardModel | None = None,
    ):
        env_id = env if isinstance(env, str) else None
        self.config = config or preset(env_id or "")
        if env_id is not None and self.config.env != env_id:
            self.config = replace(self.config, env=env_id)
        self.config.check()
        self.device = resolve_device(self.config.device)
        venv = make_training_venv(self.config) if isinstance(env, str) else env
        check_spaces(venv.observation_space, venv.action_space, env_id or type(venv).__name__)
        demonstrations.validate(venv, env_id)
        self.demonstrations = demonstrations
        # the networks below draw their first weights from torch's global generator
        torch.manual_seed(self.config.seed)
        self.reward_model = reward_model or make_reward_model(self.config, demonstrations, self.device)
        self.venv = venv
        self.learner = make_learner(self.config, venv, self.reward_model, demonstrations, self.device)
        self.n_rounds = 0
        self.warm_started = False
        self.metrics: dict[str, float] = {}

    @property
    def policy(self) -> ImitationPolicy:
        """What was learned, averaged over the last rounds; takes raw observations: `policy.predict(obs)`.

        The weights that the next update changes are `learner.policy`'s.
        """
        return self.learner.average.model  # type: ignore[return-value]  # a copy of learner.policy

    @property
    def env_steps(self) -> int:
        return self.learner.num_timesteps

    def warm_start(self) -> CloningResult:
        """Clone the demonstrations and quieten the exploration noise: see `TrainConfig.warm_start_std`."""
        config = self.config
        policy = self.learner.policy
        result = BehaviouralCloning(policy, self.demonstrations, config.cloning, config.seed).fit()
        if isinstance(policy.action_space, spaces.Box):
            std = config.warm_start_std
            if std is None:
                std = float(np.clip(result.residual_std, 0.02, 0.2))
            policy.set_action_std(np.full(policy.action_space.shape, std))
        self._begin_from_clone()
        return result

    def start_from(self, policy: dict[str, Any]) -> None:
        """Begin with the `policy.state_dict()` of another run's clone instead of the warm start."""
        self.learner.policy.load_state_dict(policy)
        self._begin_from_clone()

    def _begin_from_clone(self) -> None:
        self.warm_started = True
        self.learner.starts_at_random = False
        self.learner.weights_were_set()

    def learn(self, total_env_steps: int | None = None, callbacks: list[BaseCallback] | None = None) -> "GAIL":
        """Train until `total_env_steps` have been taken in all, earlier calls and a loaded run included.

        Begins with the warm start where the configuration has one and it has not happened yet.
        """
        total = self.config.total_env_steps if total_env_steps is None else total_env_steps
        if self.config.warm_start and not self.warm_started and self.env_steps == 0:
            self.warm_start()
        if self.env_steps < total:
            both = CallbackList([RewardUpdate(self), *(callbacks or [])])
            first = self.env_steps == 0
            remaining = total - self.env_steps
            self.learner.learn(remaining, callback=both, log_interval=None, reset_num_timesteps=first)
        return self

    def to_sb3(self) -> Any:
        """A stock SB3 PPO, SAC or TD3 that does as `policy`; what its `.save` writes loads without this package."""
        return self.learner.to_sb3(self.policy)

    # -- exact resume --------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """All that the next round depends on.  Only whole between two rounds."""
        venv = self.venv
        return {
            "learner": self.learner.state_dict(),
            "reward_model": self.reward_model.state_dict(),
            "env_steps": self.learner.num_timesteps,
            "n_rounds": self.n_rounds,
            "warm_started": self.warm_started,
            "last_obs": self.learner._last_obs,
            "last_episode_starts": self.learner._last_episode_starts,
            "episode_info": [dict(info) for info in self.learner.ep_info_buffer or []],
            "venv": venv.get_state() if isinstance(venv, envs.BatchedMujocoVecEnv) else None,
            "demonstrations": self.demonstrations.checksum,
            "torch_rng": torch.get_rng_state(),
            "cuda_rng": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
            "numpy_rng": list(np.random.get_state()),  # noqa: NPY002  # SB3 draws from the global generator
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on exactly; environments that we do not step ourselves restart their episodes.

        Raises:
            InputError: the state is of other demonstrations, or of other networks.
        """
        if state["demonstrations"] != self.demonstrations.checksum:
            raise InputError(
                f"the demonstrations ({self.demonstrations.provenance.source}) are not those that this run began with; "
                "put the old ones back, or start a new run"
            )
        learner, venv = self.learner, self.venv
        learner.load_state_dict(state["learner"])
        self.reward_model.load_state_dict(state["reward_model"])
        learner.num_timesteps = state["env_steps"]
        self.n_rounds, self.warm_started = state["n_rounds"], state["warm_started"]
        learner._last_obs, learner._last_episode_starts = state["last_obs"], state["last_episode_starts"]
        if learner._last_obs is not None:  # else the first `learn` resets the environments, with their first seeds
            learner._setup_learn(0, reset_num_timesteps=False)
            assert learner.ep_info_buffer is not None
            learner.ep_info_buffer.clear()
            learner.ep_info_buffer.extend(state["episode_info"])
        if state["venv"] is not None and state["last_obs"] is not None and isinstance(venv, envs.BatchedMujocoVecEnv):
            venv.set_state(state["venv"])
        elif state["last_obs"] is not None:
            learner._last_obs = np.asarray(venv.reset())
            learner._last_episode_starts = np.ones(venv.num_envs, dtype=bool)
        torch.set_rng_state(state["torch_rng"])
        if state["cuda_rng"] and torch.cuda.is_available():
            torch.cuda.set_rng_state_all(state["cuda_rng"])
        np.random.set_state(tuple(state["numpy_rng"]))  # noqa: NPY002

    def save(self, path: str | Path) -> None:
        """Everything, into one file, atomically."""
        save_checkpoint(Path(path), {"config": config_to_dict(self.config), **self.state_dict()})

    @classmethod
    def load(cls, path: str | Path, demonstrations: Demonstrations, env: str | VecEnv | None = None) -> "GAIL":
        """A saved GAIL, ready to `learn` on or to `predict`.

        Raises:
            InputError, CheckpointError: the file is damaged or not of this kind.
        """
        state = load_checkpoint(Path(path))
        if "config" not in state:
            raise InputError(f"{path} is not a file that GAIL.save wrote; give one, or use load_checkpoint for others")
        config = config_from_dict(state.pop("config"))
        gail = cls(env or config.env, demonstrations, config)
        gail.load_state_dict(state)
        return gail


class RewardUpdate(BaseCallback):
    """Trains the reward model once a round, when the policy's rollout is complete; ends the warm-up."""

    def __init__(self, gail: GAIL):
        super().__init__()
        self.gail = gail

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        gail = self.gail
        rewards = gail.learner.rewards
        critic = gail.reward_model.update(gail.demonstrations.transitions(), gail.learner.transitions)
        if bad := [name for name, value in critic.items() if not np.isfinite(value)]:
            raise FloatingPointError(f"the reward model's {bad[0]} is {critic[bad[0]]}")
        gail.n_rounds += 1
        gail.learner.policy_frozen = gail.n_rounds <= gail.config.frozen_rounds
        gail.metrics = {f"critic/{name}": value for name, value in critic.items()}
        gail.metrics |= {"reward/mean": float(rewards.mean()), "reward/std": float(rewards.std())}


def resolve_device(name: str) -> str:
    """`auto`, `cpu` or `cuda` -> what PyTorch has here.  Raises InputError for a device that is not there."""
    try:
        device = get_device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(
            f"--device {name} is not usable here ({str(error).splitlines()[0]}); use --device cpu"
        ) from error
    return str(device)


def make_training_venv(config: TrainConfig) -> VecEnv:
    """The environments of a run, seeded."""
    return envs.make_venv(
        config.env,
        config.n_envs,
        config.seed,
        config.parsed_env_kwargs(),
        config.threads,
        max_episode_steps=config.episode_steps,
    )
