"""The GAN whose critic is a classifier: few labels, many events without."""

from collections.abc import Sequence
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from generative_core import objectives
from generative_core.adversarial.improved_gan import conv_trunk
from generative_core.adversarial.networks import ConvGenerator
from generative_core.families import AbstractCritic, AbstractGenerator, AbstractTwoPlayer, Terms


@final
class SemiSupervisedGAN(AbstractTwoPlayer):
    """A classifier of K classes and one more, "made by G", whose logit is fixed at 0.

        D(x) = Z / (Z + 1),  Z = sum_k exp l_k(x)
        critic      -E_labelled log p(y | x, y <= K) - E_unlabelled log D(x) - E_z log(1 - D(G(z)))
        generator   ||E_unlabelled f(x) - E_z f(G(z))||^2, f the layer before the classes

    A batch is (x, x_labelled, label): events without labels, events with, and their classes 0 .. K - 1 as integers; the
    two sides need not be of one size.  The classifier is `classify`.  `trunk` maps x (B, *E) to f (B, features) in the
    place of the strided convolutions, `generator` replaces the convolutional one, whose events lie in [-1, 1].

    Paper: Salimans et al. 2016, https://arxiv.org/abs/1606.03498, sec. 5.  Differs: no weight normalisation and no
    noise in the layers, unless the trunk has them.
    """

    generator: AbstractGenerator
    critic: "_ClassCritic"

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        n_classes: int,
        latent: int = 100,
        channels: Sequence[int] = (128, 64),
        features: int = 128,
        generator: AbstractGenerator | None = None,
        trunk: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.event_shape = tuple(event_shape)
        self.n_classes = n_classes
        if generator is None:
            generator = ConvGenerator(event_shape, latent=latent, channels=channels)
        if trunk is None:
            trunk = conv_trunk(event_shape, features, channels=tuple(channels)[::-1])
        self.generator = generator
        self.critic = _ClassCritic(event_shape, trunk, features, n_classes)

    def draw(self, *batch: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """One event for each without a label; `generator` is the random one."""
        return self.generator.sample(len(batch[0]), generator=generator)

    def critic_terms(self, drawn: Tensor, *batch: Tensor, generator: torch.Generator | None = None) -> Terms:
        """Cross-entropy of the classes on the labelled, of D on the rest."""
        x, x_labelled, label = batch
        return {
            "classes": nn.functional.cross_entropy(self.critic.classes(x_labelled), label),
            "adversarial": objectives.bce_critic_loss(self.critic.logit(x), self.critic.logit(drawn)),
        }

    def generator_terms(self, drawn: Tensor, *batch: Tensor, generator: torch.Generator | None = None) -> Terms:
        """The distance of mean features."""
        with torch.no_grad():
            features_data = self.critic.embed(batch[0])
        return {"feature_matching": objectives.feature_matching_loss(features_data, self.critic.embed(drawn))}

    def classify(self, x: Float[Tensor, "B *E"]) -> Float[Tensor, "B K"]:
        """Logits of the K classes, given that x is no drawing."""
        return self.critic.classes(x)

    def sample(
        self, n: int, context: Float[Tensor, "n *K"] | None = None, *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "n *E"]:
        """n draws G(z), of no class in particular; `generator` is the random one."""
        return self.generator.sample(n, context, generator=generator)


@final
class _ClassCritic(AbstractCritic):
    """logit(x) = log sum_k exp l_k(x) = log D / (1 - D), with l = W f(x) + b."""

    def __init__(self, event_shape: Sequence[int], trunk: nn.Module, features: int, n_classes: int) -> None:
        super().__init__()
        self.event_shape = tuple(event_shape)
        self.trunk = trunk
        self.output = nn.Linear(features, n_classes)

    def embed(self, x: Float[Tensor, "B *E"]) -> Float[Tensor, "B F"]:
        """f: what feature matching compares."""
        return self.trunk(x)

    def classes(self, x: Float[Tensor, "B *E"]) -> Float[Tensor, "B K"]:
        """l."""
        return self.output(self.embed(x))

    def logit(self, x: Float[Tensor, "B *E"], context: Float[Tensor, "B *K"] | None = None) -> Float[Tensor, "B"]:
        """> 0: looks like the data.  Raises ValueError on a context."""
        if context is not None:
            raise ValueError("SemiSupervisedGAN is unconditional: call its critic without context")
        return self.classes(x).logsumexp(1)
