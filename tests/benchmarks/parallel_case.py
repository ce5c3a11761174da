"""A process of the tests of training together: `python -m tests.benchmarks.parallel_case FOLDER`, launched or alone.

Leaves the state of each model in FOLDER/NAME-RANK.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from benchmarks.images.parallel import Team, join
from generative_core import MADE, NICE, VAE, MaximumLikelihoodStep, ShuffledBatches, cosine_decay, fit, save_checkpoint

N_STEPS = 12
MODELS: dict[str, Callable[[], nn.Module]] = {
    "made": lambda: MADE((6,), hidden=(16,)),
    "nice": lambda: NICE((6,), hidden=(16,), couplings=2),
    "vae": lambda: VAE((6,), latent=2, hidden=(16,)),
}


def train(name: str, team: Team | None) -> nn.Module:
    """In double precision."""
    torch.manual_seed(1)
    model = MODELS[name]()
    x = torch.rand(40, 6, generator=torch.Generator().manual_seed(2)).round()
    if name != "made":
        x = x + 0.3 * torch.randn(40, 6, generator=torch.Generator().manual_seed(3))
    step = MaximumLikelihoodStep(
        model,
        lr=1e-2,
        schedule=cosine_decay(N_STEPS),
        weight_decay=0.1,
        max_grad_norm=1.0,
        average=None if team is None else team.average,
    )
    batches = ShuffledBatches(x, batch_size=10)
    fit(step, batches if team is None else team.parts(batches, step, seed=0, first_step=0), N_STEPS)
    return model


def main(folder: Path) -> None:
    torch.set_default_dtype(torch.float64)
    team = join(torch.device("cpu"))
    for name in MODELS:
        save_checkpoint(folder / f"{name}-{0 if team is None else team.rank}", train(name, team).state_dict())
    if team is not None:
        team.part()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
