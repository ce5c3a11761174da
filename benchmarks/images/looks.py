"""What happens between the updates of a run: looks at the validation images, the best kept, the whole state saved."""

import math
import time
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.images.evaluation import Evaluation
from benchmarks.images.folder import Folder
from generative_core import save_checkpoint
from generative_core.training.hooks import Stateful

LOOK_SEED = 600_011  # of the noise in looks; apart from the training's and from the final judgement's


class EnoughLooks(Exception):
    """Leaves `fit` early: no look has been better for a while.  Everything is saved."""


class Looks:
    """A hook of `fit`: every `every` updates one row of the curve, the best parameters and a checkpoint.

    A resumed run repeats an unbroken one to the bit: the looks draw from their own seed, and the checkpoint holds the
    parts' states, this hook's and torch's global random state, which dropout draws from.
    """

    def __init__(
        self,
        model: nn.Module,
        x_validation: Tensor,
        evaluation: Evaluation,
        folder: Folder,
        parts: Mapping[str, Stateful],
        *,
        every: int,
        n_steps: int,
        patience: int | None = None,
    ) -> None:
        self.model = model
        self.x_validation = x_validation
        self.evaluation = evaluation
        self.folder = folder
        self.parts = parts
        self.every = every
        self.n_steps = n_steps
        self.patience = patience
        self.rows: list[dict[str, float]] = []
        self.best = {"step": 0, "nats": math.inf}
        self.seconds_before = 0.0
        self.seconds_looking = 0.0
        self._began = time.monotonic()
        self._losses: list[float] = []

    @property
    def seconds(self) -> float:
        """Of training and looks, over all sessions of a resumed run."""
        return self.seconds_before + time.monotonic() - self._began

    def __call__(self, i: int, metrics: dict[str, float]) -> None:
        self._losses.append(metrics["loss"])
        done = i + 1
        if not self.is_due(done):
            return
        began = time.monotonic()
        nats = self.look()
        self.seconds_looking += time.monotonic() - began
        self.rows.append(
            {
                "step": done,
                "loss": sum(self._losses) / len(self._losses),
                "validation_nats": nats,
                "seconds": round(self.seconds, 2),
            }
        )
        self._losses.clear()
        if nats < self.best["nats"]:
            self.best = {"step": done, "nats": nats}
            save_checkpoint(self.folder.best, {"model": self.model.state_dict(), **self.best})
        self._save(done)
        if self.is_enough:
            raise EnoughLooks

    def is_due(self, done: int) -> bool:
        """Whether there is a look after so many updates."""
        return done % self.every == 0 or done == self.n_steps

    @property
    def is_enough(self) -> bool:
        """No look has been better for `patience` looks."""
        since_best = sum(row["step"] > self.best["step"] for row in self.rows)
        return self.patience is not None and since_best >= self.patience

    @torch.no_grad()
    def look(self) -> float:
        """Minus log p of the validation images, or what stands for it, nats."""
        self.model.eval()  # the next train step turns the training mode on again
        nats = self.evaluation.look(self.model, self.x_validation, seed=LOOK_SEED)
        if not math.isfinite(nats):
            raise FloatingPointError(f"the validation images have {nats} nats")
        return nats

    def state_dict(self) -> dict[str, Any]:
        return {
            "rows": self.rows,
            "best": self.best,
            "seconds": self.seconds,
            "seconds_looking": self.seconds_looking,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.rows, self.best = state["rows"], state["best"]
        self.seconds_before, self.seconds_looking = state["seconds"], state["seconds_looking"]
        self._began = time.monotonic()

    def _save(self, done: int) -> None:
        states = {name: part.state_dict() for name, part in self.parts.items()}
        save_checkpoint(
            self.folder.last,
            {"first_step": done, "looks": self.state_dict(), "random": random_state(), **states},
        )


def random_state() -> dict[str, Any]:
    """torch's global generators."""
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return {"cpu": torch.get_rng_state(), "cuda": cuda}


def set_random_state(state: dict[str, Any]) -> None:
    torch.set_rng_state(state["cpu"])
    if torch.cuda.is_available() and state["cuda"]:
        torch.cuda.set_rng_state_all(state["cuda"])
