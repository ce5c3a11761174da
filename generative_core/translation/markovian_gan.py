"""Texture in one pass: a critic of feature patches and a decoder of deep features."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import final

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from generative_core import objectives
from generative_core.adversarial.networks import leaky_relu
from generative_core.families import Drawn, Terms
from generative_core.nets.frozen import Frozen
from generative_core.translation.perceptual import layers, total_variation
from generative_core.translation.translator import AbstractTranslator, require_weights


@final
class MarkovianGAN(AbstractTranslator):
    """G decodes the deep maps Phi_d(x) of a content x; D judges each patch of the maps Phi_p of an image:

        critic     E max(0, 1 - D(Phi_p(texture))) + E max(0, 1 + D(Phi_p(G(Phi_d(x)))))
        generator  E max(0, 1 - D(Phi_p(G(Phi_d(x))))) + content ||Phi_d(G(Phi_d(x))) - Phi_d(x)||^2 + tv TV

    with means over patches and elements.  A batch is (x, texture), images in [-1, 1] without pairs.  `features` maps
    images (B, C, H, W) to a sequence of maps, the deeper the smaller, by powers of two; a frozen copy is kept.
    `patch_layer` and `deep_layer` are the indices of p and d.  Each further entry of `channels` doubles the sides of
    the decoder's maps; there is one more than doublings from Phi_d to the image, `critic_channels` are D's.  All is
    convolutional: images of other sides are translated too.

    Raises ValueError for negative weights, where `channels` does not fit the sides of the maps and, when called, on
    sources of other channels.

    Paper: Li & Wand 2016, https://arxiv.org/abs/1604.04382, sec. 3-4.  Differs: any feature network; the
    decoder repeats pixels before it convolves, against the checkerboard of strided ones; anisotropic total variation.
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        features: nn.Module,
        *,
        content: float = 1.0,
        tv: float = 0.0,
        patch_layer: int = 1,
        deep_layer: int = -1,
        channels: Sequence[int] = (128, 64, 32),
        critic_channels: int = 128,
    ) -> None:
        super().__init__()
        self.event_shape = tuple(event_shape)
        self.source_shape = self.event_shape
        require_weights(content=content, tv=tv)
        self.content = content
        self.tv = tv
        self.patch_layer = patch_layer
        self.deep_layer = deep_layer
        self.features = Frozen(features)
        maps = layers(self.features.probe(self.event_shape))
        n_patch, (n_deep, *deep_sides) = maps[patch_layer].shape[1], maps[deep_layer].shape[1:]
        for side, deep_side in zip(self.event_shape[1:], deep_sides, strict=True):
            doublings = math.log2(side / deep_side)
            if len(channels) - 1 != doublings:
                raise ValueError(
                    f"a side of {side} is {deep_side} in the deep maps: the decoder doubles it {doublings:g} times and "
                    f"needs one more entry of channels than that, got {len(channels)}"
                )
        self.generator = _decoder(n_deep, self.event_shape[0], channels)
        self.critic = nn.Sequential(
            nn.Conv2d(n_patch, critic_channels, 3, padding=1),
            leaky_relu(),
            nn.Conv2d(critic_channels, critic_channels, 1),
            leaky_relu(),
            nn.Conv2d(critic_channels, 1, 1),
        )

    def translate(
        self, source: Float[Tensor, "B C H W"], *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "B C H W"]:
        """G(Phi_d(source)): one pass, at any sides; nothing is drawn from `generator`."""
        if source.shape[1] != self.source_shape[0]:
            self.check_source(source)
        return self.generator(self._maps(source)[self.deep_layer])

    def draw(self, *batch: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """G of the contents; nothing random, so `generator` is not used."""
        return self.translate(batch[0])

    def critic_terms(self, drawn: Drawn, *batch: Tensor, generator: torch.Generator | None = None) -> Terms:
        """The hinge over all patches of both sides."""
        assert isinstance(drawn, Tensor)
        logits = (self._logits(self._maps(image)) for image in (batch[1], drawn))
        return {"adversarial": objectives.hinge_critic_loss(*logits)}

    def generator_terms(self, drawn: Drawn, *batch: Tensor, generator: torch.Generator | None = None) -> Terms:
        """The hinge to the data's side, the content and the roughness."""
        assert isinstance(drawn, Tensor)
        made = self._maps(drawn)
        terms = {"adversarial": F.relu(1 - self._logits(made)).mean()}
        if self.content > 0:
            wanted = self._maps(batch[0])[self.deep_layer]
            terms["content"] = self.content * F.mse_loss(made[self.deep_layer], wanted)
        if self.tv > 0:
            terms["tv"] = self.tv * total_variation(drawn).mean()
        return terms

    def _maps(self, x: Tensor) -> list[Tensor]:
        return layers(self.features(x))

    def _logits(self, maps: Sequence[Tensor]) -> Tensor:
        """Of all patches, (B h w,)."""
        return self.critic(maps[self.patch_layer]).flatten()


def _decoder(n_in: int, n_out: int, channels: Sequence[int]) -> nn.Module:
    """Maps -> an image in [-1, 1]."""
    layers: list[nn.Module] = [nn.Conv2d(n_in, channels[0], 3, padding=1, bias=False)]
    for a, b in pairwise(channels):
        layers += [
            nn.BatchNorm2d(a),
            leaky_relu(),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(a, b, 3, padding=1, bias=False),
        ]
    layers += [nn.BatchNorm2d(channels[-1]), leaky_relu(), nn.Conv2d(channels[-1], n_out, 3, padding=1), nn.Tanh()]
    return nn.Sequential(*layers)
