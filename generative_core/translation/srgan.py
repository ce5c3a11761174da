"""Super-resolution: small images enlarged to ones that a fixed network and a critic take for real."""

from collections.abc import Sequence
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from generative_core import objectives
from generative_core.adversarial.networks import ConvCritic
from generative_core.families import Terms
from generative_core.nets.frozen import Frozen
from generative_core.nets.resnet import SRResNet
from generative_core.translation.translator import AbstractTranslator, require_some_weight


@final
class SRGAN(AbstractTranslator):
    """min_G content mean (Phi(x) - Phi(G(s)))^2 - adversarial E log D(G(s)),   D by cross-entropy of x and G(s).

    A batch is (x, s): images (B, C, H, W) in [-1, 1] and the same ones `scale` times smaller.  Phi is `features`, from
    images to one tensor (B, ...): a copy of it is kept, frozen and in evaluation mode; never the network that judges.
    Without it Phi(x) = x, and with `adversarial=0`, where the critic rests, what remains is SRResNet trained by its
    squared error: the paper's first stage, whose parameters its second starts from: load the one `generator`'s
    `state_dict` into the other's.  `content` is the weight of the mean: by default 1 over pixels, and over features the
    paper's 6e-3, for features of the order of 1.  Train with `AdversarialStep(model, lr=1e-4, betas=(0.9, 0.999))`.

    Raises ValueError for sides that `scale` does not divide, for weights that are negative or both zero, and, when
    called, on sources of another shape.

    Paper: Ledig et al. 2017, https://arxiv.org/abs/1609.04802, eq. 3 to 6.  Differs: the critic is `ConvCritic`, a
    convolution of stride 2 for each of the paper's pairs.
    """

    critic: ConvCritic

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        scale: int = 4,
        features: nn.Module | None = None,
        content: float | None = None,
        adversarial: float = 1e-3,
        channels: int = 64,
        blocks: int = 16,
        critic_channels: Sequence[int] = (64, 128, 256),
    ) -> None:
        super().__init__()
        n_colours, *sides = event_shape
        if any(side % scale for side in sides):
            raise ValueError(f"the sides {tuple(sides)} must be divisible by the scale, {scale}")
        if content is None:
            content = 1.0 if features is None else 6e-3
        require_some_weight(content=content, adversarial=adversarial)
        self.event_shape = tuple(event_shape)
        self.source_shape = (n_colours, *(side // scale for side in sides))
        self.content = content
        self.adversarial = adversarial
        self.features = None if features is None else Frozen(features)
        self.generator = SRResNet(n_colours, n_colours, scale=scale, channels=channels, blocks=blocks)
        self.critic = ConvCritic(event_shape, channels=critic_channels, norm=nn.BatchNorm2d)

    def translate(
        self, source: Float[Tensor, "B C h w"], *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "B C H W"]:
        """The enlarged images, not clipped to [-1, 1]; nothing is drawn from `generator`."""
        self.check_source(source)
        return self.generator(source)

    def draw(self, *batch: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Each small image, enlarged."""
        _, source = batch
        return self.translate(source)

    def critic_terms(self, drawn: Tensor, *batch: Tensor, generator: torch.Generator | None = None) -> Terms:
        """Cross-entropy of the large images, real and made."""
        if self.adversarial == 0:
            return {}
        x, _ = batch
        return {"adversarial": objectives.bce_critic_loss(self.critic.logit(x), self.critic.logit(drawn))}

    def generator_terms(self, drawn: Tensor, *batch: Tensor, generator: torch.Generator | None = None) -> Terms:
        """The distance of the features, and -log D."""
        x, _ = batch
        terms = {}
        if self.content > 0:
            terms["content"] = self.content * (self._phi(x) - self._phi(drawn)).square().mean()
        if self.adversarial > 0:
            terms["adversarial"] = self.adversarial * objectives.bce_generator_loss(self.critic.logit(drawn))
        return terms

    def _phi(self, x: Tensor) -> Tensor:
        return x if self.features is None else self.features(x)
