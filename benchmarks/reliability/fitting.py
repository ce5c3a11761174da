"""A process that fits one model of each family of the core by `generative_core.fit`, and goes on where it stopped."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from generative_core import (
    GAN,
    MADE,
    RBM,
    VAE,
    AdversarialStep,
    ContrastiveDivergenceStep,
    CycleGAN,
    Diffusion,
    ExponentialMovingAverage,
    MaximumLikelihoodStep,
    RealNVP,
    ShuffledBatches,
    fit,
    load_checkpoint,
)
from generative_core.training.hooks import SaveCheckpoint

VECTOR, IMAGE = (4,), (1, 8, 8)
N_UPDATES, EVERY, N_ROWS, BATCH = 40, 4, 64, 16

FAMILIES: dict[str, Callable[[], Any]] = {
    "autoregressive": lambda: MaximumLikelihoodStep(MADE(VECTOR, hidden=(16,))),
    "flow": lambda: MaximumLikelihoodStep(RealNVP(VECTOR, hidden=(16,)), max_grad_norm=10.0),
    "variational": lambda: MaximumLikelihoodStep(VAE(VECTOR, latent=2, hidden=(16,))),
    "diffusion": lambda: MaximumLikelihoodStep(Diffusion(VECTOR, hidden=(16,), n_steps=8)),
    "markov-chain": lambda: ContrastiveDivergenceStep(RBM(VECTOR, n_hidden=8), n_chains=16),
    "adversarial": lambda: AdversarialStep(GAN(VECTOR, latent=2, hidden=(16,))),
    "translation": lambda: AdversarialStep(
        CycleGAN(IMAGE, channels=(4, 4), blocks=1, critic_channels=(4, 4), history=8)
    ),
}
"""Name -> a step with a tiny model; its parameters are drawn from torch's global generator.  Mixtures are fitted in one
go and have nothing to resume."""


def rows(family: str) -> tuple[Tensor, ...]:
    """The data of a family, the same in every process."""
    generator = torch.Generator().manual_seed(7)
    if family in ("autoregressive", "markov-chain"):
        return (torch.randint(2, (N_ROWS, *VECTOR), generator=generator).float(),)
    if family == "translation":
        return tuple(torch.rand(2, N_ROWS, *IMAGE, generator=generator) * 2 - 1)
    return (torch.randn(N_ROWS, *VECTOR, generator=generator),)


def fit_family(
    family: str, folder: Path, *, n_updates: int = N_UPDATES, every: int = EVERY, hooks: tuple[Any, ...] = ()
) -> None:
    """Up to `n_updates`, with a checkpoint every `every`."""
    torch.manual_seed(3)
    step = FAMILIES[family]()
    batches = ShuffledBatches(*rows(family), batch_size=BATCH, seed=5)
    average = ExponentialMovingAverage(step.model, decay=0.9)
    parts = {"step": step, "batches": batches, "average": average}
    path, first_step = folder / f"{family}.safetensors", 0
    if path.exists():
        state = load_checkpoint(path)
        first_step = state["first_step"]
        for name, part in parts.items():
            part.load_state_dict(state[name])
    save = SaveCheckpoint(path, parts, every=every)
    fit(step, batches, n_updates, [average, save, *hooks], first_step=first_step)


def main() -> int:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    for family in FAMILIES:
        fit_family(family, folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
