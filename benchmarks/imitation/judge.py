"""One judge for whoever does not train with gail_suite: the episodes, seeds and fields of a run's `evaluation.json`."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from gail_suite.config import TrainConfig
from gail_suite.demonstrations import Demonstrations
from gail_suite.demonstrations.rollout import simulator_versions
from gail_suite.errors import InputError
from gail_suite.evaluation import Episodes, Policy, RandomPolicy, Scale, evaluate_policy
from gail_suite.recorder import SELECTION_SEED
from gail_suite.run_directory import RunDirectory, origin
from gail_suite.session import task_spaces
from gail_suite.train import parse


def read_arguments(flag: str, choices: tuple[str, ...], arguments: list[str]) -> tuple[str, TrainConfig, RunDirectory]:
    """`flag NAME` first, then flags of gail_suite.train; the run's folder, made and locked.  Raises InputError."""
    if arguments[:1] != [flag] or arguments[1:2] == [] or arguments[1] not in choices:
        raise InputError(f"say first which: {flag} {f' or {flag} '.join(choices)}")
    config = parse(arguments[2:])
    config.check()
    if config.out is None:
        raise InputError("name the folder that is to hold the run: --out FOLDER")
    if config.threads:
        torch.set_num_threads(config.threads)
    run = RunDirectory(Path(config.out))
    run.path.mkdir(parents=True, exist_ok=True)
    run.lock()
    return arguments[1], config, run


def look(policy: Policy, config: TrainConfig) -> dict[str, float]:
    """What a line of `metrics.jsonl` says of the true return."""
    episodes = evaluate_policy(
        policy,
        config.env,
        config.select_episodes,
        seed=SELECTION_SEED,
        env_kwargs=config.parsed_env_kwargs(),
        threads=config.threads,
    )
    return {"eval/return_mean": float(episodes.returns.mean())}


def scale_of(config: TrainConfig, demonstrations: Demonstrations) -> Scale:
    """As a run of gail_suite.train has it: the task's own figures, or for other data or another reward what random
    actions and the demonstrations reach.
    """
    known = None if config.demos or config.parsed_env_kwargs() else config.env
    demonstrated = demonstrations.returns
    scale = Scale.of(known, expert=demonstrated.mean if demonstrated else None)
    if scale.random is None:
        random = _episodes(RandomPolicy(task_spaces(config)[1], config.seed), config)
        scale = replace(scale, random=float(random.returns.mean()))
    return scale


def _episodes(policy: Policy, config: TrainConfig) -> Episodes:
    kwargs = config.parsed_env_kwargs()
    return evaluate_policy(policy, config.env, config.eval_episodes, env_kwargs=kwargs, threads=config.threads)


def evaluation(
    policy: Policy,
    config: TrainConfig,
    demonstrations: Demonstrations,
    *,
    label: str,
    algo: str,
    module: str,
    env_steps: int,
    seconds: float,
) -> dict[str, Any]:
    """What `evaluation.json` holds of a policy that learned for `env_steps` and `seconds`."""
    scale = scale_of(config, demonstrations)
    found = _episodes(policy, config).summary(scale)
    return {
        "env": config.env,
        "seed": config.seed,
        "env_steps": env_steps,
        "n_demos": demonstrations.n_episodes,
        "pairs": len(demonstrations),
        "subsample": config.subsample,
        "wall_clock_s": round(seconds, 1),
        "reward": label,
        "algo": algo,
        "warm_start": False,
        "select": "last",
        "scale": {"random": scale.random, "expert": scale.expert},
        "episodes": config.eval_episodes,
        "threads": torch.get_num_threads(),
        "versions": {**simulator_versions(), "torch": torch.__version__},
        **origin(module),
        "policy": found,
        "last": found,
    }
