"""Who is measured in `gail`: the same sizes of everything on both sides, and on neither a log or an evaluation."""

import math
import tempfile
import time
from contextlib import redirect_stderr
from dataclasses import replace
from io import StringIO
from typing import Any

import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecEnv

from benchmarks.throughput.cases import SEED
from gail_suite.config import CriticConfig, PPOConfig, TrainConfig
from gail_suite.demonstrations import Demonstrations
from gail_suite.trainer import GAIL


def comparable(env_id: str, n_envs: int, n_steps: int, critic_updates: int, critic_batch: int) -> TrainConfig:
    """Our configuration without what would spare it work: no early stop, no frozen policy, no guard, no warm start."""
    return replace(
        TrainConfig(),
        env=env_id,
        n_envs=n_envs,
        seed=SEED,
        warm_start=False,
        warm_up_rounds=0,
        ppo=PPOConfig(
            n_steps=n_steps, minibatch_size=2048, n_epochs=5, hidden=(256, 128, 64), kl_stop=math.inf, initial_std=0.6
        ),
        critic=CriticConfig(
            hidden=(256, 256), updates_per_round=critic_updates, batch_size=critic_batch, accuracy_cap=1.0
        ),
    )


class Ours:
    """`gail_suite.GAIL`."""

    def __init__(self, config: TrainConfig, demonstrations: Demonstrations):
        self.gail = GAIL(config.env, demonstrations, config)
        self.steps_per_round = config.n_envs * config.ppo.n_steps

    def measure(self, n_rounds: int) -> float:
        """Env steps a second over so many training rounds."""
        n_steps = n_rounds * self.steps_per_round
        started = time.perf_counter()
        self.gail.learn(self.gail.env_steps + n_steps)
        return n_steps / (time.perf_counter() - started)

    def close(self) -> None:
        self.gail.venv.close()


class Imitations:
    """`imitation`'s GAIL on SB3's PPO, in an SB3 vector env of the caller's."""

    def __init__(self, config: TrainConfig, demonstrations: Demonstrations, venv: VecEnv):
        from imitation.algorithms.adversarial.gail import GAIL as ImitationGAIL
        from imitation.rewards.reward_nets import BasicRewardNet
        from imitation.util import logger
        from imitation.util.networks import RunningNorm

        self.venv = venv
        self._folder = tempfile.TemporaryDirectory()  # imitation wants one, and writes nothing without formats
        self.steps_per_round = config.n_envs * config.ppo.n_steps
        self.trainer = ImitationGAIL(
            demonstrations=as_imitation(demonstrations),
            demo_batch_size=config.critic.batch_size,
            n_disc_updates_per_round=config.critic.updates_per_round,
            gen_replay_buffer_capacity=self.steps_per_round,
            venv=venv,
            gen_algo=stock_ppo(config, venv),
            reward_net=BasicRewardNet(
                venv.observation_space,
                venv.action_space,
                hid_sizes=config.critic.hidden,
                normalize_input_layer=RunningNorm,
            ),
            allow_variable_horizon=True,
            custom_logger=logger.configure(self._folder.name, []),
            log_dir=self._folder.name,
        )

    def measure(self, n_rounds: int) -> float:
        """Env steps a second over so many training rounds."""
        n_steps = n_rounds * self.steps_per_round
        with redirect_stderr(StringIO()):  # its progress bar
            started = time.perf_counter()
            self.trainer.train(n_steps)
            return n_steps / (time.perf_counter() - started)

    def close(self) -> None:
        self.venv.close()
        self._folder.cleanup()


def stock_ppo(config: TrainConfig, venv: VecEnv) -> PPO:
    """SB3's PPO with the sizes of ours, and the same first exploration noise."""
    hidden = list(config.ppo.hidden)
    half_width = float(np.mean((venv.action_space.high - venv.action_space.low) / 2))  # type: ignore[attr-defined]  # a Box
    policy: dict[str, Any] = {
        "net_arch": {"pi": hidden, "vf": hidden},
        "activation_fn": torch.nn.ELU,
        "log_std_init": math.log(config.ppo.initial_std * half_width),
    }
    return PPO(
        "MlpPolicy",
        venv,
        learning_rate=config.ppo.policy_lr,
        n_steps=config.ppo.n_steps,
        batch_size=min(config.ppo.minibatch_size, config.ppo.n_steps * venv.num_envs),
        n_epochs=config.ppo.n_epochs,
        gamma=config.ppo.gamma,
        gae_lambda=config.ppo.gae_lambda,
        clip_range=config.ppo.clip_range,
        max_grad_norm=config.ppo.max_grad_norm,
        policy_kwargs=policy,
        seed=config.seed,
        device="cpu",
    )


def as_imitation(demonstrations: Demonstrations) -> Any:
    """As `imitation.data.types.Transitions`."""
    from imitation.data.types import Transitions

    return Transitions(
        obs=demonstrations.obs,
        acts=demonstrations.acts,
        next_obs=demonstrations.next_obs,
        dones=demonstrations.terminated,
        infos=np.array([{}] * len(demonstrations)),
    )
