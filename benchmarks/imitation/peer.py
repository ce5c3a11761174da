"""python -m benchmarks.imitation.peer --peer gail --env Ant-v4: `imitation`'s trainer, as it was tuned for Ant.

Its own settings are read from the installed package (for the task seals/Ant-v1; there are none for others).  It gets
our demonstrations and our environments, with 8 of them stepped together, and is judged as our runs are; the folder
holds an `evaluation.json` and a `metrics.jsonl` that a study reads like any other.
"""

import json
import sys
import tempfile
import time
from contextlib import redirect_stderr
from dataclasses import replace
from importlib.resources import files
from io import StringIO
from pathlib import Path
from typing import Any

import torch

from envs import make_venv
from gail_suite.cli import run_verb
from gail_suite.config import TrainConfig
from gail_suite.errors import InputError
from gail_suite.evaluation import Scale, evaluate_policy
from gail_suite.imitation_plugin import to_transitions
from gail_suite.recorder import SELECTION_SEED
from gail_suite.run_directory import RunDirectory, origin, write_json
from gail_suite.session import load_demonstrations
from gail_suite.train import parse

PEERS = ("gail", "airl")
N_ENVS = 8  # of its command line


def tuned(peer: str) -> dict[str, Any]:
    """What `imitation` was tuned to for Ant."""
    name = f"{peer}_seals_ant_best_hp_eval.json"
    return json.loads(files("imitation.scripts.config.tuned_hps").joinpath(name).read_text())


def make_trainer(peer: str, config: TrainConfig, demonstrations: Any, folder: str) -> tuple[Any, Any]:
    """Its trainer with its learner, and the environments."""
    from imitation.algorithms.adversarial.airl import AIRL
    from imitation.algorithms.adversarial.gail import GAIL
    from imitation.policies.base import FeedForward32Policy, NormalizeFeaturesExtractor
    from imitation.rewards.reward_nets import BasicRewardNet, BasicShapedRewardNet, NormalizedRewardNet
    from imitation.util import logger
    from imitation.util.networks import RunningNorm
    from stable_baselines3 import PPO

    found = tuned(peer)
    venv = make_venv(config.env, N_ENVS, config.seed, config.parsed_env_kwargs(), config.threads)
    torch.manual_seed(config.seed)
    learner = PPO(
        FeedForward32Policy,
        venv,
        n_steps=found["rl"]["batch_size"] // N_ENVS,
        seed=config.seed,
        device="cpu",
        policy_kwargs={
            "features_extractor_class": NormalizeFeaturesExtractor,
            "features_extractor_kwargs": {"normalize_class": RunningNorm},
        },
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


def train(peer: str, config: TrainConfig, run: RunDirectory) -> dict[str, Any]:
    """Train for the configured steps, looking as often as our runs do; returns what `evaluation.json` holds."""
    demonstrations = load_demonstrations(config)
    scale = Scale.of(config.env)
    judged: dict[str, Any] = {"env_kwargs": config.parsed_env_kwargs(), "threads": config.threads}
    rows: list[dict[str, Any]] = []
    seconds = 0.0
    with tempfile.TemporaryDirectory() as folder:
        trainer, venv = make_trainer(peer, config, demonstrations, folder)

        def look(final: bool = False) -> None:
            steps = trainer.gen_algo.num_timesteps
            if rows and steps - rows[-1]["env_steps"] < (1 if final else config.eval_every):
                return
            episodes = evaluate_policy(
                trainer.policy, config.env, config.select_episodes, seed=SELECTION_SEED, **judged
            )
            rows.append({"env_steps": steps, "eval/return_mean": float(episodes.returns.mean())})

        began = time.monotonic()
        look()
        with redirect_stderr(StringIO()):  # its progress bar
            trainer.train(config.total_env_steps, callback=lambda _: look())
        look(final=True)  # it trains whole rounds only, and may stop before the total
        seconds = time.monotonic() - began
        final = evaluate_policy(trainer.policy, config.env, config.eval_episodes, **judged).summary(scale)
        venv.close()
    run.metrics_file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return {
        "env": config.env,
        "seed": config.seed,
        "env_steps": rows[-1]["env_steps"],
        "pairs": len(demonstrations),
        "wall_clock_s": round(seconds, 1),
        "reward": f"imitation {peer}",
        "scale": {"random": scale.random, "expert": scale.expert},
        **origin("benchmarks.imitation.peer"),
        "policy": final,
        "last": final,
    }


def main(arguments: list[str]) -> int:
    if arguments[:1] != ["--peer"] or arguments[1:2] == [] or arguments[1] not in PEERS:
        raise InputError(f"say whose trainer first: --peer {' or --peer '.join(PEERS)}")
    peer, config = arguments[1], parse(arguments[2:])
    config.check()
    if config.out is None:
        raise InputError("name the folder that is to hold the run: --out FOLDER")
    if config.threads:
        torch.set_num_threads(config.threads)
    if config.total_env_steps < (round_ := tuned(peer)["rl"]["batch_size"]):
        raise InputError(f"a round of this trainer is {round_:,} steps; give it as many at least: --total-env-steps")
    run = RunDirectory(Path(config.out))
    run.path.mkdir(parents=True, exist_ok=True)
    write_json(run.evaluation_file, train(peer, replace(config, resume=None), run))
    return 0


if __name__ == "__main__":
    run_verb(lambda: main(sys.argv[1:]))
