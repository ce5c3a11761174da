"""python -m benchmarks.imitation.baseline --baseline cloning --env Ant-v4: what no reward was needed for.

`random` draws its actions; `cloning` is the warm start of our runs, judged by itself.  The folder holds an
`evaluation.json` and a `metrics.jsonl` that a study reads like any other.
"""

import json
import sys
import time
from typing import Any

from benchmarks.imitation.judge import evaluation, look, read_arguments
from gail_suite.cli import run_verb
from gail_suite.config import TrainConfig
from gail_suite.demonstrations import Demonstrations
from gail_suite.evaluation import Policy, RandomPolicy
from gail_suite.reward.make import make_constant_control
from gail_suite.run_directory import write_json, write_text
from gail_suite.session import load_demonstrations, task_spaces
from gail_suite.trainer import GAIL

BASELINES = ("random", "cloning")


def make_policy(name: str, config: TrainConfig, demonstrations: Demonstrations) -> Policy:
    """Random actions, or the clone."""
    if name == "random":
        return RandomPolicy(task_spaces(config)[1], config.seed)
    gail = GAIL(config.env, demonstrations, config, reward_model=make_constant_control(config))
    gail.warm_start()
    gail.venv.close()
    return gail.policy


def main(arguments: list[str]) -> int:
    name, config, run = read_arguments("--baseline", BASELINES, arguments)
    try:
        demonstrations = load_demonstrations(config)
        began = time.monotonic()
        policy = make_policy(name, config, demonstrations)
        seconds = time.monotonic() - began
        seen: dict[str, Any] = {"env_steps": 0, "wall_clock_s": round(seconds, 2), **look(policy, config)}
        write_text(run.metrics_file, json.dumps(seen) + "\n")
        found = evaluation(
            policy,
            config,
            demonstrations,
            label=name,
            algo="supervised" if name == "cloning" else "none",
            module="benchmarks.imitation.baseline",
            env_steps=0,
            seconds=seconds,
        )
        write_json(run.evaluation_file, found)
    finally:
        run.unlock()
    return 0


if __name__ == "__main__":
    run_verb(lambda: main(sys.argv[1:]))
