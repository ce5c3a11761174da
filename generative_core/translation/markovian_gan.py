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
from generative_core.families import AbstractTwoPlayer, Drawn, Terms
from generative_core.translation.perceptual import FrozenFeatures, total_variation


@final
class MarkovianGAN(AbstractTwoPlayer):
    """G decodes the deep maps Phi_d(x) of a content x; D judges each patch of the maps Phi_p of an image:

        critic     E max(0, 1 - D(Phi_p(texture))) + E max(0, 1 + D(Phi_p(G(Phi_d(x)))))
        generator  E max(0, 1 - D(Phi_p(G(Phi_d(x))))) + content ||Phi_d(G(Phi_d(x))) - Phi_d(x)||^2 + tv TV

    with means over patches and elements.  A batch is (x, texture), images in [-1, 1] without pairs.  `features` maps
    images (B, C, H, W) to a sequence of maps, the deeper the smaller, by powers of two; a frozen copy is kept.
    `patch_layer` and `deep_layer` are the indices of p and d.  Each further entry of `channels` doubles the sides of
    the decoder's maps; there is one more than doublings from Phi_d to the image, `critic_channels` are D's.  All is
    convolutional: images of other sides are translated too.

    Raises ValueError where `channels` does not fit the sides of the maps.

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
        self.content = content
        self.tv = tv
        self.patch_layer = patch_layer
        self.deep_layer = deep_layer
        self.features = FrozenFeatures(features)
        with torch.no_grad():
            maps = self.features(torch.zeros(1, *event_shape))
        n_patch, (n_deep, side) = maps[patch_layer].shape[1], maps[deep_layer].shape[1:3]
        doublings = math.log2(self.event_shape[1] / side)
        if len(channels) - 1 != doublings:
            raise ValueError(
                f"the deep maps have side {side} and the image {self.event_shape[1]}: the decoder doubles it "
                f"{doublings:g} times and needs one more entry of channels than that, got {len(channels)}"
            )
        self.generator = _decoder(n_deep, self.event_shape[0], channels)
        self.critic = nn.Sequential(
            nn.Conv2d(n_patch, critic_channels, 3, padding=1),
            leaky_relu(),
            nn.Conv2d(critic_channels, critic_channels, 1),
            leaky_relu(),
            nn.Conv2d(critic_channels, 1, 1),
        )

    def translate(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """G(Phi_d(x)): one pass."""
        return self.generator(self.features(x)[self.deep_layer])

    def sample(
        self, n: int, context: Float[Tensor, "n *E"] | None = None, *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "n *E"]:
        """The contexts in the texture.  Raises ValueError where there are not n of them."""
        if context is None or len(context) != n:
            got = None if context is None else tuple(context.shape)
            raise ValueError(f"MarkovianGAN translates: give the {n} contents as context, got {got}")
        return self.translate(context)

    def draw(self, *batch: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """G of the contents; nothing random, so `generator` is not used."""
        return self.translate(batch[0])

    def critic_terms(self, drawn: Drawn, *batch: Tensor, generator: torch.Generator | None = None) -> Terms:
        """The hinge over all patches of both sides."""
        assert isinstance(drawn, Tensor)
        logits = (self._logits(self.features(image)) for image in (batch[1], drawn))
        return {"adversarial": objectives.hinge_critic_loss(*logits)}

    def generator_terms(self, drawn: Drawn, *batch: Tensor, generator: torch.Generator | None = None) -> Terms:
        """The hinge to the data's side, the content and the roughness."""
        assert isinstance(drawn, Tensor)
        made = self.features(drawn)
        terms = {"adversarial": F.relu(1 - self._logits(made)).mean()}
        if self.content > 0:
            wanted = self.features(batch[0])[self.deep_layer]
            terms["content"] = self.content * F.mse_loss(made[self.deep_layer], wanted)
        if self.tv > 0:
            terms["tv"] = self.tv * total_variation(drawn).mean()
        return terms

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
