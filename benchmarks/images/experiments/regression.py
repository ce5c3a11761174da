"""Networks that read numbers off images by least squares: the instruments of experiments whose truth is drawn."""

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor, nn

from benchmarks.images.experiments.lab import Lab
from generative_core import MaximumLikelihoodStep


class Regression(nn.Module):
    """`net` with the mean square error as its loss: a batch is (target, input)."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)

    def loss(
        self, x: Float[Tensor, "B *T"], context: Tensor | None = None, *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "B"]:
        """Square error, a mean over the target's elements; `context` is the input."""
        assert context is not None
        return (self.net(context) - x).square().flatten(1).mean(1)


def train_reader(
    lab: Lab, name: str, net: nn.Module, batches: Iterator[tuple[Tensor, ...]], *, n_steps: int, seed: int
) -> nn.Module:
    """`net` after `n_steps` batches of (numbers, images), in evaluation mode and without gradients."""
    step = MaximumLikelihoodStep(Regression(net).to(lab.device), lr=2e-3, seed=seed)
    lab.train(name, step, batches, n_steps=n_steps if not lab.smoke else 2)
    return net.eval().requires_grad_(False)
