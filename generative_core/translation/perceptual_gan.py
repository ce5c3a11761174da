"""Small objects recognised by making their features those of large ones."""

from collections.abc import Sequence
from typing import final

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from generative_core import objectives
from generative_core.families import Terms
from generative_core.nets.frozen import Frozen
from generative_core.nets.mlp import MLP
from generative_core.nets.resnet import ResidualBlock
from generative_core.translation.translator import AbstractTranslator, require_some_weight


@final
class PerceptualGAN(AbstractTranslator):
    """F' = F(s) + G(f(s)): a residual, made of the first layer's maps f, on the last maps F of a small object s.

        critic:     E_large CE(task(F), label) - E_large log D(F) - E_small log(1 - D(F'))
        generator:  perception E_small CE(task(F'), label) - adversarial E_small log D(F')

    D and the task's classifier are the two branches of the critic, of three and two dense layers; the task is learned
    from large objects alone, so it stays with them and F' has to come.  `stem` maps images to f (B, stem_channels, h',
    w') and `trunk` maps f to F; copies of both are kept, frozen and in evaluation mode.  `event_shape` is that of F,
    `source_shape` that of the images.  A batch is (large, label_large, small, label_small): images of one shape, the
    small objects enlarged to it, and classes (B,); the two sides need not show the same objects.  G begins at zero.
    A branch whose weight is zero learns all the same, and the generator does not listen to it.

    Raises ValueError for weights that are negative or both zero, and, when called, on images of another shape.

    Paper: Li et al. 2017, https://arxiv.org/abs/1706.05274, sec. 3.  Differs: whole images are classified where the
    paper classifies and bounds the regions of a detector, and the network that makes the features does not learn.
    """

    critic: "_TwoBranches"

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        source_shape: Sequence[int],
        stem: nn.Module,
        trunk: nn.Module,
        stem_channels: int,
        n_classes: int,
        adversarial: float = 1.0,
        perception: float = 1.0,
        blocks: int = 2,
        hidden: int = 256,
    ) -> None:
        super().__init__()
        require_some_weight(adversarial=adversarial, perception=perception)
        self.event_shape = tuple(event_shape)
        self.source_shape = tuple(source_shape)
        self.adversarial = adversarial
        self.perception = perception
        self.stem = Frozen(stem)
        self.trunk = Frozen(trunk)
        self.generator = _Residual(stem_channels, self.event_shape, blocks)
        self.critic = _TwoBranches(self.event_shape, n_classes, hidden)

    def features(self, x: Float[Tensor, "B *S"]) -> Float[Tensor, "B *E"]:
        """F, as the fixed network has it."""
        return self.trunk(self.stem(x))

    def translate(
        self, source: Float[Tensor, "B *S"], *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "B *E"]:
        """F' of small objects; nothing is drawn from `generator`."""
        self.check_source(source)
        first = self.stem(source)
        return self.trunk(first) + self.generator(first)

    def classify(self, features: Float[Tensor, "B *E"]) -> Float[Tensor, "B K"]:
        """Logits of the classes, of F of large objects or F' of small ones."""
        return self.critic.task(features.flatten(1))

    def draw(self, *batch: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """F' of the small objects of the batch."""
        return self.translate(batch[2])

    def critic_terms(self, drawn: Tensor, *batch: Tensor, generator: torch.Generator | None = None) -> Terms:
        """The task on large objects, and cross-entropy of large and lifted features."""
        large, label, _, _ = batch
        features = self.features(large)
        return {
            "perception": F.cross_entropy(self.classify(features), label),
            "adversarial": objectives.bce_critic_loss(self.critic.logit(features), self.critic.logit(drawn)),
        }

    def generator_terms(self, drawn: Tensor, *batch: Tensor, generator: torch.Generator | None = None) -> Terms:
        """The task on the lifted features, and -log D."""
        terms = {}
        if self.perception > 0:
            terms["perception"] = self.perception * F.cross_entropy(self.classify(drawn), batch[3])
        if self.adversarial > 0:
            terms["adversarial"] = self.adversarial * objectives.bce_generator_loss(self.critic.logit(drawn))
        return terms


class _Residual(nn.Module):
    """f (B, stem_channels, h', w') -> (B, C, h, w): 3 x 3 and 1 x 1 convolutions, pooling, residual blocks, 3 x 3."""

    def __init__(self, stem_channels: int, event_shape: tuple[int, ...], blocks: int) -> None:
        super().__init__()
        channels, *sides = event_shape
        last = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)  # type: ignore[arg-type]  # it has one
        self.layers = nn.Sequential(
            nn.Conv2d(stem_channels, stem_channels, 3, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(tuple(sides)),
            nn.Conv2d(stem_channels, channels, 1),
            *(ResidualBlock(channels, norm=nn.BatchNorm2d) for _ in range(blocks)),
            last,
        )

    def forward(self, first: Float[Tensor, "B K h2 w2"]) -> Float[Tensor, "B C h w"]:
        return self.layers(first)


class _TwoBranches(nn.Module):
    """The critic: `real` says whether features are a large object's, `task` which class they show."""

    def __init__(self, event_shape: tuple[int, ...], n_classes: int, hidden: int) -> None:
        super().__init__()
        n_features = torch.Size(event_shape).numel()
        self.real = MLP(n_features, 1, hidden=(hidden, hidden), activation=nn.ReLU)
        self.task = MLP(n_features, n_classes, hidden=(hidden,), activation=nn.ReLU)

    def logit(self, features: Float[Tensor, "B *E"]) -> Float[Tensor, "B"]:
        """> 0: a large object's."""
        return self.real(features.flatten(1)).squeeze(1)
