"""Translation that keeps what a fixed network sees: the domain transfer network."""

from collections.abc import Sequence
from typing import NamedTuple, final

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from generative_core.adversarial.networks import leaky_relu
from generative_core.families import Drawn, Terms
from generative_core.nets.conv import ConvDecoder, ConvEncoder
from generative_core.nets.frozen import Frozen
from generative_core.translation.perceptual import layers, total_variation
from generative_core.translation.translator import AbstractTranslator, require_weights

FROM_SOURCE, FROM_TARGET, REAL = range(3)
"""The three classes of the critic: G of a source event, G of a target event, a target event itself."""


class Transferred(NamedTuple):
    """G on both domains."""

    source: Tensor
    """G(x_S), (B, *E)."""
    target: Tensor
    """G(x_T), (B, *E)."""
    wanted: Tensor
    """f(x_S), (B, F): what f must find in G(x_S)."""


@final
class DTN(AbstractTranslator):
    """G = g(f(x)) with f fixed, against a critic D of three classes: `FROM_SOURCE`, `FROM_TARGET`, `REAL`.

        critic     -E_S log D_1(G(x)) - E_T log D_2(G(x)) - E_T log D_3(x)
        generator  -E_S log D_3(G(x)) - E_T log D_3(G(x))
                   + const E_S ||f(x) - f(G(x))||^2 + identity E_T ||x - G(x)||^2 + tv E_S TV(G(x))

    Squares are means over the elements.  A batch is (x_S, x_T), images in [-1, 1] without pairs.  `features` is f: it
    maps images of both domains to (B, n_features) and was trained before, with labels of the source; a frozen copy is
    kept.  `source_shape` is the target's where it is not given.  g ends in tanh; `channels` are those of its maps
    before each doubling of the sides, the critic's are their mirror image.

    Raises ValueError for negative weights, for features of another width and, when called, on sources of another shape.

    Paper: Taigman et al. 2017, https://arxiv.org/abs/1611.02200, eq. 3-7; the weights 15, 15, 0 are those of its
    digits.  Differs: the anisotropic total variation.
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        features: nn.Module,
        *,
        source_shape: Sequence[int] | None = None,
        n_features: int = 128,
        const: float = 15.0,
        identity: float = 15.0,
        tv: float = 0.0,
        channels: Sequence[int] = (128, 64),
    ) -> None:
        super().__init__()
        self.event_shape = tuple(event_shape)
        self.source_shape = tuple(source_shape) if source_shape is not None else self.event_shape
        require_weights(const=const, identity=identity, tv=tv)
        self.const = const
        self.identity = identity
        self.tv = tv
        self.features = Frozen(features)
        for shape in (self.event_shape, self.source_shape):
            (out,) = layers(self.features.probe(shape))
            if tuple(out.shape) != (1, n_features):
                raise ValueError(
                    f"features makes {tuple(out.shape[1:])} of an image {shape}, not ({n_features},): give its "
                    "width as n_features, and flatten maps"
                )
        self.generator = nn.Sequential(
            ConvDecoder(n_features, event_shape, channels=channels, norm=nn.BatchNorm2d), nn.Tanh()
        )
        self.critic = ConvEncoder(
            event_shape, 3, channels=tuple(channels)[::-1], activation=leaky_relu, norm=nn.BatchNorm2d
        )

    def embed(self, x: Float[Tensor, "B *S"]) -> Float[Tensor, "B F"]:
        """f(x), differentiable in x."""
        (out,) = layers(self.features(x))
        return out

    def translate(
        self, source: Float[Tensor, "B *S"], *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "B *E"]:
        """G(source) = g(f(source)); nothing is drawn from `generator`."""
        self.check_source(source)
        return self.generator(self.embed(source))

    def draw(self, *batch: Tensor, generator: torch.Generator | None = None) -> Transferred:
        """G of both; nothing random, so `generator` is not used."""
        source, target = batch
        self.check_source(source)
        wanted = self.embed(source)
        return Transferred(self.generator(wanted), self.generator(self.embed(target)), wanted)

    def critic_terms(self, drawn: Drawn, *batch: Tensor, generator: torch.Generator | None = None) -> Terms:
        """Cross-entropy of the three classes."""
        made_source, made_target, _ = drawn
        return {
            "from_source": self._surprise(made_source, FROM_SOURCE),
            "from_target": self._surprise(made_target, FROM_TARGET),
            "real": self._surprise(batch[1], REAL),
        }

    def generator_terms(self, drawn: Drawn, *batch: Tensor, generator: torch.Generator | None = None) -> Terms:
        """To pass for real, with f unchanged and the target domain mapped to itself."""
        _, target = batch
        made_source, made_target, wanted = drawn
        terms = {"adversarial": self._surprise(made_source, REAL) + self._surprise(made_target, REAL)}
        if self.const > 0:
            terms["const"] = self.const * F.mse_loss(self.embed(made_source), wanted)
        if self.identity > 0:
            terms["identity"] = self.identity * F.mse_loss(made_target, target)
        if self.tv > 0:
            terms["tv"] = self.tv * total_variation(made_source).mean()
        return terms

    def _surprise(self, x: Tensor, of_class: int) -> Tensor:
        """-E log D_class(x), nats."""
        return -F.log_softmax(self.critic(x), dim=1)[:, of_class].mean()
