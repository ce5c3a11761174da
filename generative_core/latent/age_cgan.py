"""The same individual under another condition: an encoder's guess, mended until the identity is right."""

from collections.abc import Callable
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from generative_core.latent.encoder import LatentEncoder
from generative_core.latent.inversion import Inversion, invert


@final
class AgeCGAN:
    """x under the condition y' is G(z*, y'), with z* = argmin_z ||FR(x) - FR(G(z, y))||^2 + prior/2 ||z||^2 from E(x).

    G is the generator of a conditional GAN, y the bin that x is in (one-hot ages), E a trained `LatentEncoder`, which
    holds G, and FR a network that tells individuals apart whatever their bin.  `optimise` finds z*, by pixels where
    `features` is None, which is what the paper argues against: pixels keep the background and lose the person.

    Paper: Antipov et al. 2017, https://arxiv.org/abs/1702.01983, sec. 2.  Differs: Adam in the place of L-BFGS, and the
    prior, which the paper has not (0): it keeps the search among latents that the generator was trained on.
    """

    def __init__(
        self,
        encoder: LatentEncoder,
        *,
        features: Callable[[Tensor], Tensor] | None,
        prior: float = 0.0,
        steps: int = 100,
        lr: float = 0.05,
    ) -> None:
        self.encoder = encoder
        self.features = features
        self.prior = prior
        self.steps = steps
        self.lr = lr

    def guess(self, x: Float[Tensor, "B *E"]) -> Float[Tensor, "B Z"]:
        """z_0 = E(x)."""
        return self.encoder(x)

    def optimise(self, x: Float[Tensor, "B *E"], y: Float[Tensor, "B K"]) -> Inversion:
        """z*, from the guess; nothing random."""
        with torch.no_grad():
            start = self.guess(x)
        return invert(
            self.encoder.generator,
            x,
            context=y,
            features=self.features,
            prior=self.prior,
            steps=self.steps,
            lr=self.lr,
            start=start,
        )

    def change(
        self, x: Float[Tensor, "B *E"], y: Float[Tensor, "B K"], y_new: Float[Tensor, "B K"]
    ) -> Float[Tensor, "B *E"]:
        """x, whose condition is y, under the condition y_new."""
        z = self.optimise(x, y).z
        with torch.no_grad():
            return self.encoder.generator(z, y_new)
