"""Small labelled sets, enlarged by what a model draws."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from generative_core.protocols import Sampler


@torch.no_grad()
def augment(
    x: Float[Tensor, "n *E"],
    labels: Int[Tensor, "n"],
    model: Sampler,
    *,
    n_per_class: int,
    n_classes: int,
    generator: torch.Generator | None = None,
) -> tuple[Float[Tensor, "m *E"], Int[Tensor, "m"]]:
    """(x, labels) and behind them `n_per_class` draws of p(x | class) for each class, m = n + n_per_class n_classes.

    `model` draws on one-hot contexts (B, n_classes).  Whether this helps is to be measured: a model that was fitted to
    x alone knows nothing that x does not.  Raises ValueError on a label outside 0 .. n_classes - 1.
    """
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < n_classes:
        raise ValueError(f"labels must be 0 .. {n_classes - 1}, got {int(labels.min())} .. {int(labels.max())}")
    added = torch.arange(n_classes, device=labels.device).repeat_interleave(n_per_class)
    context = torch.nn.functional.one_hot(added, n_classes).to(x)
    drawn = model.sample(len(added), context, generator=generator)
    return torch.cat([x, drawn.to(x)]), torch.cat([labels, added])
