"""python -m benchmarks.imitation.peer --peer gail --env Ant-v4: `imitation`'s trainers, as they were tuned.

Its own settings are read from the installed package (for seals' task of the same body; other bodies get those of Ant).
It gets our demonstrations and our environments, with 8 of them stepped together, and is judged as our runs are; the
folder holds an `evaluation.json` and a `metrics.jsonl` that a study reads like any other.  It keeps no checkpoints: an
interrupted one begins anew.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stderr
from dataclasses import replace
from importlib.resources import files
from io import StringIO
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.imitation.cases import PEERS
from benchmarks.imitation.judge import evaluation, look, read_arguments
from envs import make_venv
from gail_suite.cli import run_verb
from gail_suite.config import TrainConfig
from gail_suite.demonstrations import Demonstrations
from gail_suite.errors import InputError
from gail_suite.imitation_plugin import to_transitions
from gail_suite.run_directory import RunDirectory, write_json
from gail_suite.session import load_demonstrations, task_spaces

N_ENVS = 8  # of its command line
TUNED_FOR = {"Ant": "ant", "HalfCheetah": "half_cheetah", "Hopper": "hopper", "Walker2d": "walker"}
MIN_BC_BATCHES = 5_000  # its epochs were tuned to many more pairs than every 20th of a few episodes

Look = Callable[[Any, int], None]


def tuned(peer: str, env_id: str = "Ant-v4") -> dict[str, Any]:
    """What `imitation` was tuned to for the body of a task."""
    body = TUNED_FOR.get(env_id.rpartition(":")[2].rpartition("-v")[0], "ant")
    name = f"{peer}_seals_{body}_best_hp_eval.json"
    return json.loads(files("imitation.scripts.config.tuned_hps").joinpath(name).read_text())


def policy_settings(found: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Its policy class and its arguments."""
    from imitation.policies.base import FeedForward32Policy, NormalizeFeaturesExtractor
    from imitation.util.networks import RunningNorm

    given = found["policy"]["policy_kwargs"]
    settings: dict[str, Any] = {
        "features_extractor_class": NormalizeFeaturesExtractor,
        "features_extractor_kwargs": {"normalize_class": RunningNorm},
    }
    if "net_arch" not in given:
        return FeedForward32Policy, settings
    activation = {"ReLU": nn.ReLU, "Tanh": nn.Tanh}[given["activation_fn"]["py/type"].rpartition(".")[2]]
    return "MlpPolicy", settings | {"net_arch": given["net_arch"][0], "activation_fn": activation}


def make_trainer(peer: str, config: TrainConfig, demonstrations: Any, folder: str) -> tuple[Any, Any]:
    """Its adversarial trainer with its learner, and the environments."""
    from imitation.algorithms.adversarial.airl import AIRL
    from imitation.algorithms.adversarial.gail import GAIL
    from imitation.rewards.reward_nets import BasicRewardNet, BasicShapedRewardNet, NormalizedRewardNet
    from imitation.util import logger
    from imitation.util.networks import RunningNorm
    from stable_baselines3 import PPO

    found = tuned(peer, config.env)
    venv = make_venv(config.env, N_ENVS, config.seed, config.parsed_env_kwargs(), config.threads)
    torch.manual_seed(config.seed)
    policy, policy_kwargs = policy_settings(found)
    learner = PPO(
        policy,
        venv,
        n_steps=found["rl"]["batch_size"] // N_ENVS,
        seed=config.seed,
        device="cpu",
        policy_kwargs=policy_kwargs,
        **found["rl"]["rl_kwargs"],
    )
    net = {"gail": BasicRewardNet, "airl": BasicShapedRewardNet}[peer](
        venv.observation_space, venv.action_space, normalize_input_layer=RunningNorm
    )
    settings = found["algorithm_kwargs"]
    trainer = {"gail": GAIL, "airl": AIRL}[peer](
        demonstrations=to_transitions(demonstrations),
        demo_batch_size=min(settings.pop("demo_batch_size"), len(demonstrations)),
        venv=venv,
        gen_algo=learner,
        reward_net=NormalizedRewardNet(net, RunningNorm),
        allow_variable_horizon=True,
        custom_logger=logger.configure(folder, []),
        log_dir=folder,
        **settings,
    )
    return trainer, venv


def train_adversarially(peer: str, config: TrainConfig, demonstrations: Demonstrations, folder: str, seen: Look) -> Any:
    """The policy after the configured steps; `seen` is called with it and the steps so far."""
    trainer, venv = make_trainer(peer, config, demonstrations, folder)
    next_look = 0

    def after_round(final: bool = False) -> None:
        nonlocal next_look
        steps = trainer.gen_algo.num_timesteps
        if steps >= next_look or final:
            seen(trainer.policy, steps)
            next_look = steps + config.eval_every

    after_round()
    with redirect_stderr(StringIO()):  # its progress bar
        trainer.train(config.total_env_steps, callback=lambda _: after_round())
    after_round(final=True)  # it trains whole rounds only, and may stop before the total
    venv.close()
    return trainer.policy


def clone(config: TrainConfig, demonstrations: Demonstrations, folder: str) -> Any:
    """Its behavioural cloning."""
    from imitation.algorithms.bc import BC
    from imitation.util import logger

    settings = tuned("bc", config.env)
    found = settings["bc"]
    observations, actions = task_spaces(config)
    torch.manual_seed(config.seed)
    policy, policy_kwargs = policy_settings(settings)
    batch_size = min(found["batch_size"], len(demonstrations))
    trainer = BC(
        observation_space=observations,
        action_space=actions,
        rng=np.random.default_rng(config.seed),
        # BC has an optimiser of its own, so the policy's gets no step size
        policy=policy(observations, actions, lambda _: torch.finfo(torch.float32).max, **policy_kwargs),
        demonstrations=to_transitions(demonstrations),
        batch_size=batch_size,
        l2_weight=found["l2_weight"],
        optimizer_kwargs=found["optimizer_kwargs"],
        device="cpu",
        custom_logger=logger.configure(folder, []),
    )
    batches = found["train_kwargs"]["n_epochs"] * len(demonstrations) // batch_size
    trainer.train(n_batches=min(max(batches, MIN_BC_BATCHES), config.cloning.max_updates), progress_bar=False)
    return trainer.policy


def train(peer: str, config: TrainConfig, run: RunDirectory) -> dict[str, Any]:
    """Train, looking as often as our runs do; returns what `evaluation.json` holds."""
    demonstrations = load_demonstrations(config)
    rows: list[dict[str, Any]] = []
    began = time.monotonic()

    def seen(policy: Any, steps: int) -> None:
        if rows and rows[-1]["env_steps"] == steps:
            return
        rows.append({"env_steps": steps, **look(policy, config), "wall_clock_s": round(time.monotonic() - began, 2)})
        share = "" if peer == "bc" else f"/{config.total_env_steps:,}"
        print(f"{steps:,}{share} steps  return {rows[-1]['eval/return_mean']:,.0f}", file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory() as folder:
        if peer == "bc":
            policy = clone(config, demonstrations, folder)
            seen(policy, 0)
        else:
            policy = train_adversarially(peer, config, demonstrations, folder, seen)
    seconds = time.monotonic() - began
    run.metrics_file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return evaluation(
        policy,
        config,
        demonstrations,
        label=f"imitation {peer}",
        algo="supervised" if peer == "bc" else "ppo",
        module="benchmarks.imitation.peer",
        env_steps=rows[-1]["env_steps"],
        seconds=seconds,
    )


def main(arguments: list[str]) -> int:
    peer, config, run = read_arguments("--peer", PEERS, arguments)
    try:
        round_ = 0 if peer == "bc" else tuned(peer, config.env)["rl"]["batch_size"]
        if config.total_env_steps < round_:
            raise InputError(
                f"a round of this trainer is {round_:,} steps; give it as many at least: --total-env-steps"
            )
        write_json(run.evaluation_file, train(peer, replace(config, resume=None), run))
    finally:
        run.unlock()
    return 0


if __name__ == "__main__":
    run_verb(lambda: main(sys.argv[1:]))
