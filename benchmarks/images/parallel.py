"""One training on several devices, a process each: https://huggingface.co/docs/accelerate.

    accelerate launch --multi-gpu --num-processes 2 -m benchmarks.images --model made

With `--device cpu`, which is the preset cpu's own, the same trains on processors.

Every process draws the same batches and takes its part of each, so that the recipe's batch is the whole batch and its
step size stays right; loss and gradients are averaged before the optimiser's step, so that all parameters stay equal.
A model without noise in its loss learns what one process would teach it, to rounding.  What is drawn (a VAE's latents,
dropout) is each process's own, from the seed, the update and the process; so the checkpoint of the main process, which
alone looks, writes and speaks, is all that an exact resume needs, and any number of processes may go on from it.
A statistic of the batch itself (the free bits of `iaf-vae`) is of a process's part.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from benchmarks.images import launched
from benchmarks.images.looks import EnoughLooks, Looks
from gail_suite.errors import InputError
from generative_core import HasLoss, MaximumLikelihoodStep

if TYPE_CHECKING:
    from accelerate import PartialState

PATIENCE = timedelta(days=1)  # of those that wait while the main process looks
GRACE_S = 1.0  # in which the signal that ended another process reaches this one too


def join(device: torch.device) -> "Team | None":
    """Meet the processes that were launched together; None where this one is alone.

    Raises InputError where accelerate is not installed, or `device` is not one for each process.
    """
    n = launched.n_processes()
    if n == 1:
        return None
    if device.type not in ("cpu", "cuda"):
        raise InputError(f"{n} processes train on cpu or cuda, not on {device.type}")
    if device.index is not None:
        raise InputError(f"{device} is one device and {n} processes need one each: give --device {device.type}")
    n_here = int(os.environ.get("LOCAL_WORLD_SIZE", n))
    if device.type == "cuda" and torch.cuda.device_count() < n_here:
        raise InputError(f"{n_here} processes need a GPU each and there are {torch.cuda.device_count()}; launch fewer")
    if os.environ.get("ACCELERATE_MIXED_PRECISION", "no") != "no":
        raise InputError("leave --mixed-precision of accelerate launch out: benchmarks.images takes --precision")
    try:
        from accelerate import PartialState
    except ImportError as error:
        raise InputError(f"{n} processes need accelerate, which is not installed: pip install -e '.[scale]'") from error
    return Team(PartialState(cpu=device.type == "cpu", timeout=PATIENCE))


class Team:
    """The processes that train one model, seen from one of them."""

    def __init__(self, state: "PartialState") -> None:
        self.state = state
        self.size: int = state.num_processes
        self.rank: int = state.process_index
        self.device: torch.device = state.device
        self.is_main: bool = state.is_main_process
        self._launcher = os.getppid()

    def require_even(self, batch_size: int) -> None:
        """Raise InputError where a batch has no equal parts."""
        if batch_size % self.size:
            raise InputError(f"a batch of {batch_size} has no {self.size} equal parts; launch a number that divides it")

    def average(self, tensors: Sequence[Tensor]) -> None:
        """`generative_core`'s `Average`: one message for all tensors."""
        from accelerate.utils import reduce

        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        with _of_all():
            flat = reduce(flat, reduction="mean")
        for tensor, mean in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(mean.view_as(tensor))

    def equalise(self, model: HasLoss) -> None:
        """Give every process the main one's parameters and buffers."""
        from accelerate.utils import broadcast

        with _of_all():
            for tensor in model.state_dict().values():
                broadcast(tensor)

    def _require_same(self, first_step: int) -> None:
        from accelerate.utils import broadcast

        of_main = torch.tensor([first_step], device=self.device)
        with _of_all():
            broadcast(of_main)
        if of_main != first_step:
            raise InputError("a process sees other checkpoints than the main one: all need the same folder")

    def parts(
        self, batches: Iterator[tuple[Tensor, ...]], step: MaximumLikelihoodStep, *, seed: int, first_step: int
    ) -> Iterator[tuple[Tensor, ...]]:
        """This process's rows of each batch, with noise of its own to come.

        The first batch of a training is everybody's as a whole, for layers that start from it (ActNorm).
        """
        self._require_same(first_step)
        self.equalise(step.model)
        for i, batch in enumerate(batches, first_step):
            if i == first_step + 1:
                self.equalise(step.model)  # what has started from a batch may differ by rounding
            if os.getppid() != self._launcher:
                raise InputError("the launcher of this training has ended; go on with --resume")
            noise, dropout = np.random.SeedSequence([seed, i, self.rank]).generate_state(2, np.uint64) >> np.uint64(1)
            step.generator.manual_seed(int(noise))
            torch.manual_seed(int(dropout))
            yield batch if i == 0 else tuple(rows[self.rank :: self.size] for rows in batch)

    def look(self, looks: Looks) -> Callable[[int, dict[str, float]], None]:
        """A hook in the place of `looks`: the main process looks, and all hear whether it was enough."""
        from accelerate.utils import broadcast

        def hook(i: int, metrics: dict[str, float]) -> None:
            is_enough = torch.zeros(1, device=self.device)
            if self.is_main:
                try:
                    looks(i, metrics)
                except EnoughLooks:
                    is_enough += 1
            if looks.is_due(i + 1):
                with _of_all():
                    broadcast(is_enough)
                if is_enough:
                    raise EnoughLooks

        return hook

    def part(self) -> None:
        """The training is over, and only the main process has more to do."""
        with _of_all():
            self.state.wait_for_everyone()
        self.state.destroy_process_group()


@contextmanager
def _of_all() -> Iterator[None]:
    """Around what needs all processes.  Raises InputError where one is no longer there."""
    try:
        yield
    except RuntimeError as error:
        time.sleep(GRACE_S)
        raise InputError(
            "another process of this training has ended, see its message; go on with --resume once that is mended"
        ) from error
