"""The loop: it knows steps; the step knows optimisers; the model knows maths."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack

from torch import Tensor

from generative_core.protocols import TrainStep

Hook = Callable[[int, dict[str, float]], None]
"""(index of the update just made, counted from 0; its metrics) -> None."""


def fit(
    step: TrainStep,
    batches: Iterator[tuple[Tensor, ...]],
    n_steps: int,
    hooks: Sequence[Hook] = (),
    *,
    first_step: int = 0,
) -> None:
    """Make the updates `first_step` to `n_steps - 1`, one batch each; every hook sees every update.

    Batches are (x,) or (x, context).  A resumed run passes the number of updates already made as `first_step`.  Hooks
    that are context managers (a progress bar, a log file) are open while the loop runs, and closed however it ends.
    Raises ValueError where `batches` ends early.
    """
    with ExitStack() as stack:
        for hook in hooks:
            if isinstance(hook, AbstractContextManager):
                stack.enter_context(hook)
        for i in range(first_step, n_steps):
            try:
                batch = next(batches)
            except StopIteration:
                raise ValueError(
                    f"batches ended after {i - first_step} of {n_steps - first_step} updates; pass an endless "
                    "iterator, such as ShuffledBatches(x, batch_size=...)"
                ) from None
            metrics = step(*batch)
            for hook in hooks:
                hook(i, metrics)
