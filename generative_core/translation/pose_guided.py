"""A person in another pose: a coarse image by regression, then a difference to it by a game."""

from collections.abc import Sequence
from typing import NamedTuple, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from generative_core import objectives
from generative_core.adversarial.networks import ConvCritic
from generative_core.families import Drawn, Terms
from generative_core.nets.unet import UNet
from generative_core.translation.translator import AbstractTranslator, require_weights


class TwoStages(NamedTuple):
    """What both stages make, (B, C, H, W) each."""

    coarse: Tensor
    """Of stage I, in [-1, 1]."""
    refined: Tensor
    """The coarse image and the difference of stage II."""


@final
class PG2(AbstractTranslator):
    """Stage I: x_1 = G_1(s, p).  Stage II: x_2 = x_1 + G_2(s, x_1), p the pose maps of the target.

        stage I:   E |(x_1 - x) (1 + m)|
        stage II:  l1 E |(x_2 - x) (1 + m)| - E log D(s, x_2),   D: E log D(s, x) + E log(1 - D(s, x_2))

    with m the mask of the target's pose, so that the background counts half.  A batch is (target, source, mask): images
    (B, C, H, W) in [-1, 1], sources (B, C + K, H, W) with the K pose maps behind the person's other image, masks
    (B, 1, H, W) in [0, 1].  `channels` are the U-Nets'.  Train with `AdversarialStep`'s defaults.

    Raises ValueError for a negative weight and, when called, on sources of another shape.

    Paper: Ma et al. 2017, https://arxiv.org/abs/1705.09368, sec. 3.  Differs: both stages learn at once, stage II from
    a copy of the coarse image without gradients; no fully connected layer in stage I.
    """

    generator: nn.ModuleDict
    critic: ConvCritic

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        pose_channels: int,
        channels: Sequence[int] = (32, 64, 128),
        critic_channels: Sequence[int] = (32, 64, 128),
        l1: float = 10.0,
    ) -> None:
        super().__init__()
        self.event_shape = tuple(event_shape)
        n = self.event_shape[0]
        self.source_shape = (n + pose_channels, *self.event_shape[1:])
        require_weights(l1=l1)
        self.l1 = l1
        self.generator = nn.ModuleDict(
            {
                "coarse": nn.Sequential(UNet(n + pose_channels, n, channels=channels), nn.Tanh()),
                "difference": UNet(2 * n, n, channels=channels),
            }
        )
        self.critic = ConvCritic((2 * n, *self.event_shape[1:]), channels=critic_channels, norm=nn.BatchNorm2d)

    def stages(self, source: Float[Tensor, "B S H W"]) -> TwoStages:
        """The images of both stages; the second passes no gradient to the first."""
        self.check_source(source)
        coarse = self.generator["coarse"](source)
        difference = self.generator["difference"](torch.cat([self._person(source), coarse.detach()], dim=1))
        return TwoStages(coarse, coarse.detach() + difference)

    def translate(
        self, source: Float[Tensor, "B S H W"], *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "B C H W"]:
        """The refined image, clipped to [-1, 1]; nothing is drawn from `generator`."""
        return self.stages(source).refined.clamp(-1, 1)

    def draw(self, *batch: Tensor, generator: torch.Generator | None = None) -> TwoStages:
        """Both stages' images of each source."""
        return self.stages(batch[1])

    def critic_terms(self, drawn: Drawn, *batch: Tensor, generator: torch.Generator | None = None) -> Terms:
        """Cross-entropy over (source image, image)."""
        target, source, _ = batch
        logits = (self._logit(source, x) for x in (target, TwoStages(*drawn).refined))
        return {"adversarial": objectives.bce_critic_loss(*logits)}

    def generator_terms(self, drawn: Drawn, *batch: Tensor, generator: torch.Generator | None = None) -> Terms:
        """The masked error of each stage and -log D of the second."""
        target, source, mask = batch
        coarse, refined = drawn
        terms = {
            "coarse": masked_l1(coarse, target, mask),
            "adversarial": objectives.bce_generator_loss(self._logit(source, refined)),
        }
        if self.l1 > 0:
            terms["refined"] = self.l1 * masked_l1(refined, target, mask)
        return terms

    def _person(self, source: Tensor) -> Tensor:
        return source[:, : self.event_shape[0]]

    def _logit(self, source: Tensor, x: Tensor) -> Tensor:
        return self.critic.logit(torch.cat([self._person(source), x], dim=1))


def masked_l1(
    x: Float[Tensor, "B C H W"], target: Float[Tensor, "B C H W"], mask: Float[Tensor, "B 1 H W"]
) -> Float[Tensor, ""]:
    """E |(x - target) (1 + mask)|, a mean over pixels (Ma et al. 2017, pose mask loss)."""
    return ((x - target).abs() * (1 + mask)).mean()
