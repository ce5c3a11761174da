"""A whole run: demonstrations, training, the honest evaluation with its controls, and the files of the folder."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.status import Status

from envs import make_venv, reference_returns
from gail_suite.config import TrainConfig
from gail_suite.demonstrations import Demonstrations
from gail_suite.demonstrations.atomic import atomic_path
from gail_suite.demonstrations.rollout import simulator_versions
from gail_suite.errors import InputError, plain, printable
from gail_suite.evaluation import Episodes, RandomPolicy, Scale, evaluate_policy
from gail_suite.figures import draw_curve
from gail_suite.policies import read_sb3_zip
from gail_suite.recorder import ProgressDisplay, RunRecorder, StopTraining, restore
from gail_suite.reward.make import make_constant_control
from gail_suite.run_directory import RunDirectory, read_json, write_json
from gail_suite.run_off import run_off
from gail_suite.signals import interruptible, interruption
from gail_suite.trainer import GAIL
from generative_core.training.checkpoint import load_checkpoint, save_checkpoint


class Session:
    """Runs `config`, from the start or from where it stopped.

    Constructing it makes no folder, so that bad input leaves nothing behind: raises UnknownEnvironmentError for the
    task and InputError for the demonstrations.
    """

    run: RunDirectory

    def __init__(self, config: TrainConfig):
        self.config = config
        if config.threads:
            torch.set_num_threads(config.threads)
        task_spaces(config)  # a task that does not exist is said before anything about its demonstrations
        self.demonstrations = load_demonstrations(config)
        if config.warm_start and self.demonstrations.act_size == 0:
            raise InputError(
                "demonstrations without actions cannot be cloned: pass --no-warm-start --view state-next-state"
            )
        self.gail = GAIL(config.env, self.demonstrations, config)

    def execute(self, run: RunDirectory) -> dict[str, Any]:
        """Train, evaluate, write every file into `run`; returns what `evaluation.json` holds.

        Raises:
            KeyboardInterrupt: Ctrl-C came, or SIGTERM (then it is `Terminated`); with a message, the round was finished
                and saved first.
        """
        self.run = run
        with _noting_faults(self.gail, run):
            run.save_config(self.config)
            saved = restore(self.gail, run)
            self._train(saved)
            began = time.monotonic()
            with _status(f"{self.config.env}: a run-off of the best checkpoints"):
                run_off(self.gail, run)
            seconds = load_checkpoint(self.run.last)["recorder"]["wall_clock_s"] + time.monotonic() - began
            self._write_policy()
        control = self._train_control() if self.config.controls else None
        with _noting_faults(self.gail, run):
            with _status(f"{self.config.env}: {self.config.eval_episodes} episodes of each policy"):
                evaluation = self._evaluate(seconds, control)
            write_json(self.run.evaluation_file, evaluation)
            draw_curve(run.metrics(), evaluation, run.curve_file)
        if self.config.video:
            _film(run)
        return evaluation

    # -- training ------------------------------------------------------------------------------------------------------

    def _train(self, saved: dict[str, Any] | None) -> None:
        gail, config = self.gail, self.config
        started_at = time.monotonic()
        if saved is None and config.warm_start:
            with _status(f"{config.env}: cloning {len(self.demonstrations):,} pairs"):
                gail.warm_start()
            save_checkpoint(self.run.cloned, {"policy": gail.policy.state_dict()})
        if saved is not None and gail.env_steps >= config.total_env_steps and not saved.get("unlooked"):
            return
        with ProgressDisplay(config.env, config.total_env_steps, gail.env_steps) as show:
            recorder = RunRecorder(
                gail, self.run, show=show, started_at=started_at, seconds_before=saved["wall_clock_s"] if saved else 0.0
            )
            if saved:
                recorder.load_state_dict(saved)
            _learn(gail, recorder, self.run)

    def _write_policy(self) -> None:
        """policy.zip: a stock SB3 model of the selected checkpoint."""
        policy = self.gail.policy
        last = {name: value.clone() for name, value in policy.state_dict().items()}
        best = load_checkpoint(self.run.best)
        policy.load_state_dict(best["policy"])
        stock = self.gail.to_sb3()
        stock.num_timesteps = best["env_steps"]
        stock.checkpoint = {"select": self.config.select, "env_steps": best["env_steps"]}  # which one this is
        with atomic_path(self.run.policy_file) as temporary:
            stock.save(temporary)
        policy.load_state_dict(last)

    def _train_control(self) -> GAIL:
        """The same run with a constant reward, as far and from the same start: what the task gives for free."""
        config = replace(self.config, total_env_steps=self.gail.env_steps, select="last", select_episodes=1)
        control = GAIL(config.env, self.demonstrations, config, reward_model=make_constant_control(config))
        with _noting_faults(control, self.run):
            if config.warm_start:
                control.start_from(load_checkpoint(self.run.cloned)["policy"])
            run = self.run.control()
            saved = restore(control, run)
            if control.env_steps < config.total_env_steps or (saved and saved.get("unlooked")):
                with ProgressDisplay("constant reward", config.total_env_steps, control.env_steps) as show:
                    # it shows what a reward that says nothing leads to, so what it leads to is no warning
                    recorder = RunRecorder(
                        control, run, show=show, started_at=time.monotonic(), seconds_before=0.0, warns=False
                    )
                    if saved:
                        recorder.load_state_dict(saved)
                    _learn(control, recorder, self.run)
        return control

    # -- the honest part -----------------------------------------------------------------------------------------------

    def _evaluate(self, seconds: float, control: GAIL | None) -> dict[str, Any]:
        config, gail = self.config, self.gail
        random = self._episodes(RandomPolicy(gail.venv.action_space, config.seed))
        demonstrated = self.demonstrations.returns
        known = None if config.demos or config.parsed_env_kwargs() else config.env
        scale = Scale.of(known, random=float(random.returns.mean()), expert=demonstrated.mean if demonstrated else None)
        best = load_checkpoint(self.run.best)
        rows: dict[str, Any] = {"random": random.summary(scale)}
        if self.demonstrations.act_size:
            rows["behavioural_cloning"] = self._episodes(self._cloned_policy()).summary(scale)
        if control is not None:
            rows["constant_reward"] = self._episodes(control.policy).summary(scale)
        rows["last"] = self._episodes(gail.policy).summary(scale)
        spaces = gail.venv.observation_space, gail.venv.action_space
        rows["policy"] = self._episodes(read_sb3_zip(self.run.policy_file, *spaces)).summary(scale)
        rows["expert"] = expert_row(known, self.demonstrations, scale)
        return {
            "env": config.env,
            "seed": config.seed,
            "env_steps": gail.env_steps,
            "wall_clock_s": round(seconds, 1),
            "n_demos": self.demonstrations.n_episodes,
            "pairs": len(self.demonstrations),
            "subsample": config.subsample,
            "reward": config.reward,
            "algo": config.algo,
            **(read_json(self.run.origin_file) if self.run.origin_file.exists() else {}),
            "scale": {"random": scale.random, "expert": scale.expert},
            "demonstrations_return_mean": demonstrated.mean if demonstrated else None,
            "warm_start": config.warm_start,
            "episodes": config.eval_episodes,
            "select": config.select,
            "policy_env_steps": best["env_steps"],
            "diverged_episodes": getattr(gail.venv, "n_diverged", 0),
            "faults": self.run.n_faults(),
            "threads": torch.get_num_threads(),
            "versions": {**simulator_versions(), "torch": torch.__version__},
            **rows,
        }

    def _episodes(self, policy: Any) -> Episodes:
        config = self.config
        kwargs = config.parsed_env_kwargs()
        return evaluate_policy(policy, config.env, config.eval_episodes, env_kwargs=kwargs, threads=config.threads)

    def _cloned_policy(self) -> Any:
        """The run's own warm start; without one, a policy cloned now, for comparison only."""
        small = replace(self.config.off_policy, buffer_size=1)  # it is only asked for actions
        config = replace(self.config, off_policy=small)
        fresh = GAIL(config.env, self.demonstrations, config, reward_model=make_constant_control(config))
        if self.run.cloned.exists():
            fresh.policy.load_state_dict(load_checkpoint(self.run.cloned)["policy"])
        else:
            fresh.warm_start()
            save_checkpoint(self.run.cloned, {"policy": fresh.policy.state_dict()})
        return fresh.policy


@contextmanager
def _noting_faults(gail: GAIL, run: RunDirectory) -> Iterator[None]:
    """What stops the session is a line in the run's `faults.jsonl`, and goes on."""
    try:
        yield
    except (FloatingPointError, MemoryError, OSError, RuntimeError) as error:
        with suppress(OSError):  # the disk may be what is full; the error itself goes on
            run.note_fault(gail.env_steps, error)
        raise


def _learn(gail: GAIL, recorder: RunRecorder, run: RunDirectory) -> None:
    try:
        with interruptible(recorder.stop), suppress(StopTraining):
            gail.learn(callbacks=[recorder])
            recorder.make_up()
    finally:
        recorder.close()
    if recorder.interrupted is not None:
        raise interruption(
            recorder.interrupted, f"saved; go on with: python -m gail_suite.train --resume {printable(str(run.path))}"
        )


def _status(text: str) -> Status:
    """A spinner on stderr; nothing where that is no terminal."""
    return Console(stderr=True).status(plain(text))


def _film(run: RunDirectory) -> None:
    """policy.mp4, in a process of its own: a bad graphics driver must not take the result with it."""
    command = [sys.executable, "-m", "gail_suite.record", str(run.path)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        print(f"no video: {reason.removeprefix('error: ')}", file=sys.stderr)


def task_spaces(config: TrainConfig) -> tuple[Any, Any]:
    """Observation and action space of a run's task."""
    venv = make_venv(config.env, 1, None, config.parsed_env_kwargs(), n_threads=1)
    venv.close()
    return venv.observation_space, venv.action_space


def load_demonstrations(config: TrainConfig) -> Demonstrations:
    """What the configuration asks to imitate."""
    source = config.demos or config.env
    demonstrations = Demonstrations.load(source, n_episodes=config.n_demos, env_id=config.env, seed=config.demos_seed)
    if config.subsample > 1:
        demonstrations = demonstrations.subsample(config.subsample, seed=config.seed)
    return demonstrations


def expert_row(env_id: str | None, demonstrations: Demonstrations, scale: Scale) -> dict[str, Any]:
    """The measured deterministic expert of the task, or else (`env_id` None) what was demonstrated."""
    known = (reference_returns(env_id) if env_id else None) or {}
    if "expert" in known:
        row = {name: value for name, value in known["expert"].items() if name != "command"}
        return {**row, "normalised_return": scale.normalise(row["return_mean"])}
    lengths = demonstrations.provenance.lengths
    returns = demonstrations.provenance.returns
    if returns is None:
        return {"episode_length_mean": sum(lengths) / len(lengths), "episodes": len(lengths)}
    return Episodes(np.array(returns), np.array(lengths), None).summary(scale)
