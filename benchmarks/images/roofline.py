"""How near a run comes to what its device can do: achieved FLOP/s and bytes/s beside ceilings measured here and now.

FLOPs are those of matrix products, convolutions and attention, forwards and backwards, two a multiply-add, as they are
executed: a masked weight counts like any other, and everything else (activations, normalisers, the optimiser) counts
nothing.  They are torch's count: `torch.utils.flop_counter`.  Bytes are a lower bound, see `Work`, so a small share of
the copy's says little, and a large one that memory is what the run waits for.

Paper: Williams et al. 2009, "Roofline: an insightful visual performance model", https://doi.org/10.1145/1498765.1498785.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

SMALLEST_SIDE, LARGEST_SIDE = 256, 8192  # of the square matrices
COPIED_BYTES = 2**27  # with the copy, more than caches hold
BUDGET = 0.1  # seconds of each kind of call, and of the longest product


@dataclass(frozen=True)
class Ceilings:
    """What the device can do."""

    flops_per_s: float
    """Of the fastest product of two square matrices."""
    bytes_per_s: float
    """Of a copy: read once, written once."""
    product: str
    """Precision of the product's inputs: float32, tf32 or bfloat16."""


@dataclass(frozen=True)
class Work:
    """What an update or a draw cannot do without."""

    flops: int
    bytes_lower_bound: int
    """Update: parameters, gradients and the optimiser's state read and written once, the batch read once.  Draw:
    parameters read once, events written once.  No activations, and nothing twice."""
    convolves: bool = False
    """Whether there are convolutions among the products: on CUDA those may run in TF32 where products do not."""


def count(call: Callable[[], object]) -> tuple[int, bool]:
    """(FLOPs, whether some of them are of convolutions) of a call, which is made."""
    with FlopCounterMode(display=False) as counter:
        call()
    by_operation = counter.get_flop_counts().get("Global", {})
    return counter.get_total_flops(), any("conv" in str(operation) for operation in by_operation)


def work_of_update(step: Any, batch: Sequence[Tensor]) -> Work:
    """Of a train step, which makes one update; the state is that of all its optimisers."""
    flops, convolves = count(lambda: step(*batch))
    moved = sum(map(_bytes, batch))
    for optimiser in (part for part in vars(step).values() if isinstance(part, torch.optim.Optimizer)):
        moved += 2 * sum(map(_bytes, _state(optimiser)))
    return Work(flops, moved, convolves)


def work_of_draw(model: nn.Module, draw: Callable[[], Tensor]) -> Work:
    """Of a call that samples, which is made."""
    drawn: list[Tensor] = []
    flops, convolves = count(lambda: drawn.append(draw()))
    return Work(flops, sum(map(_bytes, [*model.parameters(), *drawn])), convolves)


def place(work: Work, seconds: float, n_images: int, ceilings: Ceilings) -> dict[str, Any]:
    """What was achieved over `seconds`, in which the work was done once and `n_images` went through."""
    flops_per_s, bytes_per_s = work.flops / seconds, work.bytes_lower_bound / seconds
    return {
        "seconds": seconds,
        "images_per_s": n_images / seconds,
        "flops": work.flops,
        "flops_per_s": flops_per_s,
        "share_of_flops": flops_per_s / ceilings.flops_per_s,
        "bytes_lower_bound": work.bytes_lower_bound,
        "bytes_per_s": bytes_per_s,
        "share_of_bytes": bytes_per_s / ceilings.bytes_per_s,
        "ceilings": asdict(ceilings),
    }


def ceilings_for(work: Work, device: torch.device, dtype: torch.dtype) -> Ceilings:
    """Of the precision that the work's products take, with as many threads as torch has; measured once a process."""
    tf32 = torch.get_float32_matmul_precision() != "highest" or (work.convolves and torch.backends.cudnn.allow_tf32)
    tf32 = tf32 and device.type == "cuda" and dtype == torch.float32
    return _measure_ceilings(device, dtype, tf32, torch.get_num_threads())


@cache
def _measure_ceilings(device: torch.device, dtype: torch.dtype, tf32: bool, threads: int) -> Ceilings:
    before = torch.get_float32_matmul_precision()
    if tf32:
        torch.set_float32_matmul_precision("high")
    try:
        flops_per_s = _best_product(device, dtype)
    finally:
        if tf32:
            torch.set_float32_matmul_precision(before)
    source = torch.ones(COPIED_BYTES, dtype=torch.uint8, device=device)
    target = torch.zeros_like(source)
    bytes_per_s = 2 * COPIED_BYTES / _seconds(lambda: target.copy_(source), device)
    return Ceilings(flops_per_s, bytes_per_s, "tf32" if tf32 else str(dtype).removeprefix("torch."))


def synchronise(device: torch.device) -> None:
    """Wait until an accelerator has done what it was asked for."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type != "cpu":
        getattr(torch, device.type).synchronize()


def _best_product(device: torch.device, dtype: torch.dtype) -> float:
    best, side = 0.0, SMALLEST_SIDE
    while side <= LARGEST_SIDE:
        a = torch.rand(side, side, device=device, dtype=dtype)
        out = torch.empty_like(a)
        seconds = _seconds(partial(torch.mm, a, a, out=out), device)
        best = max(best, 2 * side**3 / seconds)
        if seconds > BUDGET:
            break
        side *= 2
    return best


def _seconds(call: Callable[[], object], device: torch.device) -> float:
    """Of the quickest of the calls that fit into the budget, one at least, after one to warm up."""
    call()
    synchronise(device)
    quickest, spent = math.inf, 0.0
    while spent < BUDGET:
        began = time.perf_counter()
        call()
        synchronise(device)
        taken = time.perf_counter() - began
        quickest, spent = min(quickest, taken), spent + taken
    return quickest


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _state(optimiser: torch.optim.Optimizer) -> Iterator[Tensor]:
    """Parameters with their gradients and what the optimiser remembers of them."""
    for group in optimiser.param_groups:
        for parameter in group["params"]:
            if parameter.grad is not None:
                yield from (parameter, parameter.grad)
            yield from (value for value in optimiser.state[parameter].values() if torch.is_tensor(value))
