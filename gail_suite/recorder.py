"""What happens between two rounds of a run: look, log, keep the best, save, and stop when asked to."""

import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from stable_baselines3.common.callbacks import BaseCallback

from gail_suite.diagnosis import of_curve
from gail_suite.errors import InputError, plain, printable
from gail_suite.evaluation import Episodes, evaluate_policy
from gail_suite.run_directory import RunDirectory
from gail_suite.run_off import candidate_file
from gail_suite.scalars import Scalars
from gail_suite.trainer import GAIL
from generative_core.training.checkpoint import load_checkpoint, save_checkpoint

SELECTION_SEED = 500_009  # the first seed of the looks that choose the best checkpoint; none is used elsewhere
N_BEST_LOOKS = 4


class RunRecorder(BaseCallback):
    """Keeps a run's folder.

    A look at the true return, and a checkpoint, come before the first round, every `config.eval_every` env steps, and
    at the end.  Selection only ever sees its own seeds, and consumes none of the training's random numbers, so a
    resumed run repeats an unbroken one.
    """

    def __init__(
        self,
        gail: GAIL,
        run: RunDirectory,
        *,
        show: "ProgressDisplay",
        started_at: float,
        seconds_before: float,
        warns: bool = True,
    ):
        super().__init__()
        self.warns = warns
        self.gail, self.run, self.show = gail, run, show
        self._started_at, self._seconds_before = started_at, seconds_before
        self._round_began = time.monotonic()
        self._recorded_round = gail.n_rounds
        self._next_look = 0
        self.best_score = -np.inf
        self.candidates: list[tuple[float, int]] = []  # (score, env steps)
        self.interrupted: int | None = None
        """The number of the signal that asked for the end."""
        self._looking = False
        self._unlooked: dict[str, Any] | None = None  # the row of a look that was cut off
        self._warned: set[str] = set()
        # steps after the checkpoint that a resume goes on from were logged by the interrupted session
        self._tensorboard = Scalars(run.tensorboard, first_step=gail.env_steps + 1 if run.metrics() else 0)

    @property
    def wall_clock_s(self) -> float:
        """From the start of cloning until now, without the time between two sessions of a resumed run."""
        return self._seconds_before + time.monotonic() - self._started_at

    def state_dict(self) -> dict[str, Any]:
        return {
            "wall_clock_s": self.wall_clock_s,
            "next_look": self._next_look,
            "best_score": float(self.best_score),
            "candidates": [list(candidate) for candidate in self.candidates],
            "unlooked": self._unlooked,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._next_look, self.best_score = state["next_look"], state["best_score"]
        self.candidates = [(score, env_steps) for score, env_steps in state["candidates"]]
        self._unlooked = state.get("unlooked")

    # -- signals -------------------------------------------------------------------------------------------------------

    def stop(self, number: int) -> None:
        """End after this round; a look is given up at once, and is the first thing that a resume does."""
        self.interrupted = number
        if self._looking:
            raise LookCutOff

    def make_up(self) -> None:
        """The look that was cut off at the very end of the training."""
        if self._unlooked is not None and self.interrupted is None:
            self._between_rounds(final=True)

    # -- SB3's hooks ---------------------------------------------------------------------------------------------------

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        self._between_rounds()
        if self.interrupted is not None:
            raise StopTraining
        self._round_began = time.monotonic()

    def _on_training_end(self) -> None:
        self._between_rounds(final=True)

    def _between_rounds(self, final: bool = False) -> None:
        gail = self.gail
        fresh = gail.n_rounds > self._recorded_round
        self._recorded_round = gail.n_rounds
        row: dict[str, Any] = self._unlooked or {"env_steps": gail.env_steps, "round": gail.n_rounds}
        if fresh:
            row |= self._round_metrics()
        due = gail.env_steps >= self._next_look
        if due or self._unlooked or (final and fresh):
            episodes = self._play()
            if episodes is None:
                self._unlooked = row
                self.save()
                return
            self._unlooked, due = None, True
            row |= self._look(episodes, row)
            self._next_look = gail.env_steps + gail.config.eval_every
        if fresh or due:
            row["wall_clock_s"] = round(self.wall_clock_s, 2)
            self._log(row)
        if self.warns and (due or final):
            self._warn()
        if due or final or self.interrupted is not None:
            self.save()

    def _round_metrics(self) -> dict[str, float]:
        gail = self.gail
        episodes = list(gail.learner.ep_info_buffer or [])
        metrics = {"env_steps_per_s": round(gail.config.steps_per_round / (time.monotonic() - self._round_began), 1)}
        if episodes:
            metrics["rollout/return"] = float(np.mean([e["r"] for e in episodes]))
            metrics["rollout/episode_length"] = float(np.mean([e["l"] for e in episodes]))
        diverged = getattr(gail.venv, "n_diverged", 0)
        if diverged:
            metrics["rollout/diverged_episodes"] = diverged
        metrics |= gail.metrics
        metrics |= {f"{gail.config.algo}/{name}": value for name, value in gail.learner.metrics.items()}
        return metrics

    def _play(self) -> Episodes | None:
        """The current policy on the true reward; None where a signal came before the end."""
        config = self.gail.config
        if self.interrupted is not None:
            return None
        try:
            try:
                self._looking = True
                return evaluate_policy(
                    self.gail.policy,
                    config.env,
                    config.select_episodes,
                    seed=SELECTION_SEED,
                    env_kwargs=config.parsed_env_kwargs(),
                    threads=config.threads,
                )
            finally:
                self._looking = False
        except LookCutOff:
            return None

    def _look(self, episodes: Episodes, row: dict[str, Any]) -> dict[str, Any]:
        """Judge the current policy by the episodes it played; keep it where it is the best so far."""
        gail, config = self.gail, self.gail.config
        score = self._score(episodes, row)
        kept = {"policy": gail.policy.state_dict(), "env_steps": gail.env_steps, "score": score}
        if score > self.best_score or config.select == "last" or not self.run.best.exists():
            self.best_score = score
            save_checkpoint(self.run.best, kept)
        if config.select == "return":
            self._keep_candidate(kept)
        found = {
            "eval/return_mean": float(episodes.returns.mean()),
            "eval/return_std": float(episodes.returns.std()),
            "eval/episode_length": float(episodes.lengths.mean()),
        }
        if episodes.displacements is not None:
            found["eval/displacement"] = float(episodes.displacements.mean())
        return found

    def _keep_candidate(self, kept: dict[str, Any]) -> None:
        """The best looks, the first and the latest stay on disk for the run-off."""
        save_checkpoint(candidate_file(self.run, kept["env_steps"]), kept)
        self.candidates.append((kept["score"], kept["env_steps"]))
        in_time = sorted(self.candidates, key=lambda candidate: candidate[1])
        stay = {in_time[0], in_time[-1], *sorted(self.candidates, reverse=True)[:N_BEST_LOOKS]}
        for candidate in set(self.candidates) - stay:
            candidate_file(self.run, candidate[1]).unlink(missing_ok=True)
        self.candidates = sorted(stay)

    def _score(self, episodes: Episodes, row: dict[str, Any]) -> float:
        """What `config.select` ranks checkpoints by."""
        if self.gail.config.select == "reward":
            return row.get("reward/mean", -np.inf)  # before the first round there is none
        return float(episodes.returns.mean())

    def _log(self, row: dict[str, Any]) -> None:
        self.run.append_metrics(row)
        points = {name if "/" in name else f"time/{name}": value for name, value in row.items()}
        self._tensorboard.add(points, row["env_steps"])
        self.show.update(row)

    def _warn(self) -> None:
        """Say once what `gail_suite.doctor` would find in the curve so far."""
        for finding in of_curve(self.run.metrics(), self.gail.config):
            if finding.name not in self._warned:
                self._warned.add(finding.name)
                self.show.warn(str(finding))

    def save(self) -> None:
        """The whole state, between two rounds; one with NaN in its networks does not take a sound one's place."""
        networks = [self.gail.learner.policy.state_dict(), *_trees(self.gail.reward_model.state_dict())]
        for name, value in (item for tree in networks for item in tree.items()):
            if isinstance(value, torch.Tensor) and bool(value.isnan().any()):
                raise FloatingPointError(f"{name} has become NaN")
        save_checkpoint(self.run.last, {"gail": self.gail.state_dict(), "recorder": self.state_dict()})

    def close(self) -> None:
        self._tensorboard.close()


def _trees(tree: Any) -> Iterator[dict[Any, Any]]:
    """The dictionary and all in it."""
    if isinstance(tree, dict):
        yield tree
        for value in tree.values():
            yield from _trees(value)


class StopTraining(Exception):
    """Leaves SB3's `learn` between two rounds; everything is saved."""


class LookCutOff(Exception):
    """Leaves the episodes of a look; they have changed nothing."""


def restore(gail: GAIL, run: RunDirectory) -> dict[str, Any] | None:
    """Load the last checkpoint of a run into `gail`; returns the recorder's part, or None where there is none yet."""
    if not run.last.exists():
        run.forget_log()
        return None
    state = load_checkpoint(run.last)
    try:
        gail.load_state_dict(state["gail"])
        recorder = dict(state["recorder"])
    except InputError:  # it says already what is wrong
        raise
    except (AttributeError, KeyError, IndexError, OverflowError, RuntimeError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{run.last} is not a checkpoint of this run ({reason}); start a new run") from error
    if not run.best.exists() and not recorder.get("unlooked"):  # the very first look may be the one to make up for
        raise InputError(f"{run.best} is missing; put it back, or start a new run")
    if state["gail"]["venv"] is None and gail.env_steps:
        print("note: these environments cannot be restored, so their episodes begin anew", file=sys.stderr)
    run.cut_metrics(gail.env_steps)
    return recorder


class ProgressDisplay:
    """One live bar on stderr; where stderr is no terminal, a line at each look instead."""

    def __init__(self, title: str, total_env_steps: int, done: int = 0):
        self._console = Console(stderr=True)
        self._live = self._console.is_terminal
        self._title, self._total = title, total_env_steps
        self._shown: dict[str, Any] = {}
        self._bar = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[numbers]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._live,
        )
        self._task: TaskID = self._bar.add_task(plain(title), total=total_env_steps, completed=done, numbers="")

    def __enter__(self) -> "ProgressDisplay":
        self._bar.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._bar.stop()

    def warn(self, text: str) -> None:
        """A line that stays."""
        self._console.print(f"warning: {printable(text)}", highlight=False, soft_wrap=True, markup=False)

    def update(self, row: dict[str, Any]) -> None:
        self._shown |= row
        numbers = self._numbers()
        self._bar.update(self._task, completed=row["env_steps"], numbers=numbers)
        if not self._live and "eval/return_mean" in row:
            share = f"{row['env_steps']:,}/{self._total:,} steps"
            self._console.print(
                f"{plain(self._title)}  {share}  {numbers}  {row['wall_clock_s']:.0f} s",
                highlight=False,
                soft_wrap=True,
            )

    def _numbers(self) -> str:
        names = {
            "eval/return_mean": "return {:,.0f}",
            "eval/displacement": "{:.0f} m",
            "critic/accuracy": "critic {:.0%}",
            "env_steps_per_s": "{:,.0f} steps/s",
        }
        return "  ".join(text.format(self._shown[name]) for name, text in names.items() if name in self._shown)
