"""Image to image from pairs: a U-Net, a critic of patches that sees both sides, and the L1 distance."""

from collections.abc import Sequence
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from generative_core import objectives
from generative_core.adversarial.networks import start_small
from generative_core.families import Terms
from generative_core.nets.patch import PatchNet
from generative_core.nets.unet import UNet
from generative_core.translation.translator import AbstractTranslator, require_some_weight


@final
class Pix2Pix(AbstractTranslator):
    """min_G max_D E log D(s, x) + E log(1 - D(s, G(s))) + l1 E |x - G(s)|, E log D the mean of log D over patches.

    A batch is (target, source), images in [-1, 1]; `event_shape` is the target's, the source has `source_channels` and
    the same sides.  The noise is dropout: the `dropout` rates follow the innermost layers of the U-Net's way up, and
    draw from torch's global generator in training mode only; in evaluation mode a source has one translation.
    `adversarial` is the weight of the game; at zero the critic rests and what remains is regression.  Train with
    `AdversarialStep`'s defaults, the paper's Adam(2e-4, 0.5).

    Raises ValueError for weights that are negative or both zero, for images without a patch, and, when called, on
    sources of another shape.

    Paper: Isola et al. 2017, https://arxiv.org/abs/1611.07004, eq. 1-4 and sec. 6.1.  Differs: the critic's loss is not
    halved; the output of a single source does not use batch statistics or dropout unless the model is in training mode.
    """

    critic: PatchNet

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        source_channels: int,
        channels: Sequence[int] = (64, 128, 256),
        critic_channels: Sequence[int] = (64, 128),
        dropout: Sequence[float] = (0.5,),
        l1: float = 100.0,
        adversarial: float = 1.0,
    ) -> None:
        super().__init__()
        self.event_shape = tuple(event_shape)
        self.source_shape = (source_channels, *self.event_shape[1:])
        require_some_weight(l1=l1, adversarial=adversarial)
        self.l1 = l1
        self.adversarial = adversarial
        n_out = self.event_shape[0]
        self.generator = nn.Sequential(UNet(source_channels, n_out, channels=channels, dropout=dropout), nn.Tanh())
        self.critic = PatchNet(source_channels + n_out, channels=critic_channels)
        self.critic.check_sides(self.event_shape[1:])
        self.apply(start_small)

    def translate(
        self, source: Float[Tensor, "B S H W"], *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "B C H W"]:
        """G(source) in [-1, 1]; nothing is drawn from `generator`."""
        self.check_source(source)
        return self.generator(source)

    def draw(self, *batch: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """A translation of each source."""
        _, source = batch
        return self.translate(source, generator=generator)

    def critic_terms(self, drawn: Tensor, *batch: Tensor, generator: torch.Generator | None = None) -> Terms:
        """Cross-entropy over patches of (source, target)."""
        if self.adversarial == 0:
            return {}
        target, source = batch
        return {"adversarial": objectives.bce_critic_loss(self._logits(source, target), self._logits(source, drawn))}

    def generator_terms(self, drawn: Tensor, *batch: Tensor, generator: torch.Generator | None = None) -> Terms:
        """-log D over patches, and the mean absolute error."""
        target, source = batch
        terms = {}
        if self.l1 > 0:
            terms["l1"] = self.l1 * (drawn - target).abs().mean()
        if self.adversarial > 0:
            terms["adversarial"] = self.adversarial * objectives.bce_generator_loss(self._logits(source, drawn))
        return terms

    def _logits(self, source: Tensor, x: Tensor) -> Tensor:
        return self.critic(torch.cat([source, x], dim=1)).flatten()  # (B, h, w) -> (B*h*w,)
