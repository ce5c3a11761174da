"""python -m gail_suite.expert --env Hopper-v4: train an expert on the task's own reward, with the same PPO."""

import sys
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from gail_suite.bounds import check_bounds
from gail_suite.cli import run_verb
from gail_suite.config import PPOConfig


@dataclass(frozen=True, kw_only=True)
class ExpertConfig:
    """Reinforcement learning from scratch; the result demonstrates for `gail_suite.train`."""

    env: str = "Hopper-v4"
    """gymnasium id of the task."""
    total_env_steps: int = 5_000_000
    """Steps summed over all parallel environments."""
    n_envs: int = 64
    """Environments stepped together."""
    threads: int = 0
    """Processor threads; 0 is one a core."""
    seed: int = 0
    """Of networks and environments."""
    eval_every: int = 250_000
    """Steps between two looks at the deterministic policy, which keep the best one."""
    out: Path | None = None
    """Folder for <env>.safetensors, its card and <env>.zip (for --demos); by default where `gail_suite.train` looks for
    experts of tasks that have no bundled one."""
    ppo: PPOConfig = field(default_factory=PPOConfig)
    """The learner."""


def available_in(folder: Path, env_id: str) -> Path:
    """The tensor file that `save_expert` wrote for this task."""
    return folder / f"{env_id.replace('/', '%2F')}.safetensors"


def train_expert(config: ExpertConfig) -> Path:
    """Train, keep the best policy on disk as it goes, and return its file."""
    import torch
    from stable_baselines3.common.callbacks import BaseCallback

    import envs
    from gail_suite.demonstrations.experts import save_expert, user_folder
    from gail_suite.demonstrations.spaces import check_spaces
    from gail_suite.evaluation import evaluate_policy
    from gail_suite.ppo import AdaptivePPO
    from gail_suite.recorder import ProgressDisplay
    from gail_suite.training_policy import to_plain

    if config.threads:
        torch.set_num_threads(config.threads)
    folder = config.out or user_folder()
    venv = envs.make_venv(config.env, config.n_envs, config.seed, n_threads=config.threads)
    check_spaces(venv.observation_space, venv.action_space, config.env)
    ppo = AdaptivePPO(venv, config.ppo, seed=config.seed)
    started = time.monotonic()

    class KeepBest(BaseCallback):
        """Looks every `eval_every` steps; saves where the return is the best so far."""

        def __init__(self, show: ProgressDisplay):
            super().__init__()
            self.show, self.next_look, self.best = show, config.eval_every, -float("inf")

        def _on_step(self) -> bool:
            return True

        def _on_rollout_start(self) -> None:
            row: dict[str, Any] = {"env_steps": self.num_timesteps}
            seconds = time.monotonic() - started
            row["env_steps_per_s"] = self.num_timesteps / max(seconds, 1e-9)
            if self.num_timesteps >= self.next_look:
                self.next_look += config.eval_every
                row |= {"wall_clock_s": seconds, **self.look()}
            self.show.update(row)

        def _on_training_end(self) -> None:
            self.look()

        def look(self) -> dict[str, Any]:
            episodes = evaluate_policy(ppo.policy, config.env, 20, seed=700_001, threads=config.threads)
            mean = float(episodes.returns.mean())
            if mean > self.best:
                self.best = mean
                displacement = None if episodes.displacements is None else float(episodes.displacements.mean())
                card = {
                    "command": f"python -m gail_suite.expert {' '.join(sys.argv[1:])}",
                    "env_steps": self.num_timesteps,
                    "deterministic": {
                        "return_mean": mean,
                        "return_std": float(episodes.returns.std()),
                        "episode_length_mean": float(episodes.lengths.mean()),
                        "displacement_mean": displacement,
                        "episodes": len(episodes.returns),
                    },
                }
                path = save_expert(folder, config.env, to_plain(ppo.policy), card)
                ppo.to_sb3().save(path.with_suffix(".zip"))
            found = {"eval/return_mean": mean}
            if episodes.displacements is not None:
                found["eval/displacement"] = float(episodes.displacements.mean())
            return found

    with ProgressDisplay(f"expert {config.env}", config.total_env_steps) as show:
        ppo.learn(config.total_env_steps, callback=KeepBest(show), log_interval=None)  # type: ignore[arg-type]
    return available_in(folder, config.env)


def main() -> int:
    import tyro

    config = tyro.cli(ExpertConfig, prog="python -m gail_suite.expert")
    check_bounds(config)
    print(train_expert(config))
    return 0


command = partial(run_verb, main)

if __name__ == "__main__":
    command()
