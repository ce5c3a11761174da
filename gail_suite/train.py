"""python -m gail_suite.train --env Ant-v4: imitate a task's demonstrations and say honestly how well."""

import argparse
import sys
from dataclasses import asdict, replace
from functools import partial
from typing import get_args

from gail_suite.cli import run_verb
from gail_suite.config import Algorithm, TrainConfig
from gail_suite.errors import InputError, printable
from gail_suite.presets import preset
from gail_suite.signals import die_at_the_next, exit_code

CHANGEABLE_ON_RESUME = {"resume", "total_env_steps", "controls", "eval_episodes", "threads", "video"}


def parse(arguments: list[str]) -> TrainConfig:
    """Flags over the preset of the task, or over the saved configuration of a run that is resumed."""
    import tyro

    early = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    early.add_argument("--env", default=TrainConfig.env)
    early.add_argument("--resume")
    early.add_argument("--no-warm-start", action="store_true")
    early.add_argument("--algo", choices=get_args(Algorithm), default=TrainConfig.algo)
    known, _ = early.parse_known_args(arguments)
    if known.resume is None:
        default = preset(known.env, warm_start=not known.no_warm_start, algo=known.algo)
    else:
        from gail_suite.run_directory import RunDirectory

        default = replace(RunDirectory.open(known.resume).config(), resume=known.resume)
    config = tyro.cli(TrainConfig, args=arguments, default=default, prog="python -m gail_suite.train")
    if config.resume is not None:
        before, after = asdict(default), asdict(config)
        changed = sorted(name for name in after if after[name] != before[name] and name not in CHANGEABLE_ON_RESUME)
        if changed:
            raise InputError(
                f"--resume goes on with the run's own settings; {changed[0]!r} cannot change (only "
                f"{', '.join(sorted(CHANGEABLE_ON_RESUME - {'resume'}))}): start a new run for that"
            )
    return config


def main() -> int:
    config = parse(sys.argv[1:])
    from gail_suite.run_directory import RunDirectory

    config.check()
    run = None if config.resume is None else RunDirectory.open(config.resume)
    if run is not None:
        run.lock()  # first of all: a run that is in use is said at once
    from gail_suite.report import print_table
    from gail_suite.session import Session

    try:
        session = Session(config)
        if run is None:
            run = RunDirectory.create(config)
        run.remove_leftovers()
        evaluation = session.execute(run)
    except KeyboardInterrupt as stopped:
        if run is None:
            raise
        die_at_the_next()
        go_on = f"interrupted; go on with: python -m gail_suite.train --resume {printable(str(run.path))}"
        print(str(stopped) or go_on, file=sys.stderr)
        return exit_code(stopped)
    except FloatingPointError as error:
        step_size = "--ppo.policy-lr" if config.algo == "ppo" else "--off-policy.critic-lr"
        state = f"the last sound state is in {run.last.parent}" if run and run.last.exists() else "nothing is saved yet"
        print(
            f"error: training stopped being finite ({error}); {state}: start again with a smaller --critic.lr or "
            f"{step_size}",
            file=sys.stderr,
        )
        return 1
    finally:
        if run is not None:
            run.unlock()
    print_table(evaluation, run.path)
    return 0


command = partial(run_verb, main)

if __name__ == "__main__":
    command()
