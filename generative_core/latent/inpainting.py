"""Holes filled with the nearest image that a GAN can make."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from generative_core.families import AbstractCritic, AbstractGenerator
from generative_core.latent.inversion import Inversion, invert


def context_weights(
    known: Float[Tensor, "B 1 H W"] | Bool[Tensor, "B 1 H W"], *, window: int = 7
) -> Float[Tensor, "B 1 H W"]:
    """The share of unknown pixels in a window around each known one; 0 at the unknown ones.

    What is next to a hole says most of what is in it.  Yeh et al. 2017.  Raises ValueError on an even window.
    """
    if window % 2 == 0:
        raise ValueError(f"a window has its pixel in the middle: give an odd side, not {window}")
    known = known if known.is_floating_point() else known.float()
    share = F.avg_pool2d(F.pad(1 - known, [window // 2] * 4), window, stride=1)
    n_others = window**2 - 1  # the pixel itself is known
    return known * share * (window**2 / n_others)


def inpaint(
    model: AbstractGenerator,
    critic: AbstractCritic,
    x: Float[Tensor, "B C H W"],
    known: Float[Tensor, "B 1 H W"] | Bool[Tensor, "B 1 H W"],
    *,
    realism: float = 0.1,
    steps: int = 300,
    lr: float = 0.05,
    restarts: int = 1,
    generator: torch.Generator | None = None,
) -> tuple[Float[Tensor, "B C H W"], Inversion]:
    """known x + (1 - known) G(z*) and the inversion, z* = argmin ||W (G(z) - x)||_1 + realism log(1 - D(G(z))).

    `known` is 1, or True, where x is to be kept and 0 in the hole, whose content is never read.  W is
    `context_weights`.  Both networks in evaluation mode.

    Paper: Yeh et al. 2017, https://arxiv.org/abs/1607.07539, sec. 3.  Differs: pasted, without Poisson blending; the
    weight of realism is for pixels in [-1, 1].
    """
    weights = context_weights(known.to(x.dtype))

    def loss(made: Tensor, target: Tensor) -> Tensor:
        context = (weights * (made - target)).flatten(1).abs().sum(1)
        return context - realism * F.softplus(critic.logit(made))  # log(1 - D) = -softplus(logit)

    kept = torch.where(known > 0, x, 0)
    found = invert(model, kept, loss=loss, steps=steps, lr=lr, restarts=restarts, generator=generator)
    return torch.where(known > 0, x, found.made), found
