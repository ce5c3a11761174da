"""Inpainting: what is missing from an image, from all that is left of it."""

import math
from collections.abc import Sequence
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from generative_core import objectives
from generative_core.adversarial.networks import ConvCritic, leaky_relu, start_small
from generative_core.families import Terms
from generative_core.nets.conv import ConvDecoder, ConvEncoder, Norm
from generative_core.translation.translator import AbstractTranslator, require_some_weight


@final
class ContextEncoder(AbstractTranslator):
    """x' = (1 - m) s + m F(s, m): the damaged image s with its masked pixels (m = 1) made by F.

        min_F max_D  reconstruction E mean_m (x - x')^2 + adversarial (E log D(x) + E log(1 - D(x')))

    mean_m is over the masked pixels of the batch.  A batch is (x, damaged), where damaged (B, C + 1, H, W) is s in
    [-1, 1] with m behind it.  A mask of ones everywhere means that the place of the damage is unknown: then F makes
    the whole image.  `net` is F, without its tanh, (B, C + 1, H, W) -> (B, C, H, W): by default the paper's kind, an
    encoder to a few maps, a layer that connects the places of each map among themselves, and a decoder, so that nothing
    passes by unread.  With `adversarial=0` the critic rests.  Train with `AdversarialStep`'s defaults.

    Raises ValueError for weights that are negative or both zero, and, when called, on sources of another shape.

    Paper: Pathak et al. 2016, https://arxiv.org/abs/1604.07379, eq. 1 to 3.  Differs: the error is averaged over the
    masked pixels, and their rim does not weigh more; the critic sees the completed image, holes being anywhere.
    """

    critic: ConvCritic

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        reconstruction: float = 0.999,
        adversarial: float = 0.001,
        channels: Sequence[int] = (64, 128),
        critic_channels: Sequence[int] | None = None,
        net: nn.Module | None = None,
    ) -> None:
        super().__init__()
        require_some_weight(reconstruction=reconstruction, adversarial=adversarial)
        n_colours, *sides = event_shape
        self.event_shape = tuple(event_shape)
        self.source_shape = (n_colours + 1, *sides)
        self.reconstruction = reconstruction
        self.adversarial = adversarial
        if net is None:
            net = _Bottleneck(self.event_shape, channels).apply(start_small)
        self.generator = nn.Sequential(net, nn.Tanh())
        self.critic = ConvCritic(event_shape, channels=critic_channels or channels, norm=nn.BatchNorm2d)
        self.critic.apply(start_small)

    def translate(
        self, source: Float[Tensor, "B S H W"], *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "B C H W"]:
        """The completed images; nothing is drawn from `generator`."""
        self.check_source(source)
        damaged, mask = source[:, :-1], source[:, -1:]
        return torch.where(mask > 0, self.generator(source), damaged)

    def draw(self, *batch: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Each damaged image, completed."""
        _, source = batch
        return self.translate(source)

    def critic_terms(self, drawn: Tensor, *batch: Tensor, generator: torch.Generator | None = None) -> Terms:
        """Cross-entropy of whole images."""
        if self.adversarial == 0:
            return {}
        x, _ = batch
        return {"adversarial": objectives.bce_critic_loss(self.critic.logit(x), self.critic.logit(drawn))}

    def generator_terms(self, drawn: Tensor, *batch: Tensor, generator: torch.Generator | None = None) -> Terms:
        """The squared error under the mask, and -log D."""
        x, source = batch
        terms = {}
        if self.reconstruction > 0:
            terms["reconstruction"] = self.reconstruction * masked_mean_square(drawn - x, source[:, -1:])
        if self.adversarial > 0:
            terms["adversarial"] = self.adversarial * objectives.bce_generator_loss(self.critic.logit(drawn))
        return terms


def masked_mean_square(difference: Float[Tensor, "B C H W"], mask: Float[Tensor, "B 1 H W"]) -> Float[Tensor, ""]:
    """Mean square over the elements under the mask; 0 where there are none."""
    n_masked = (mask.sum() * difference.shape[1]).clamp(min=1)
    return (mask * difference.square()).sum() / n_masked


class _Bottleneck(nn.Module):
    """Strided convolutions, a channel-wise dense layer, and transposed convolutions back."""

    def __init__(self, event_shape: tuple[int, ...], channels: Sequence[int]) -> None:
        super().__init__()
        n_colours, *sides = event_shape
        norm: Norm = nn.BatchNorm2d
        self.encoder = ConvEncoder(
            (n_colours + 1, *sides), 1, channels=channels, activation=leaky_relu, norm=norm
        ).convolutions
        self.lowest = tuple(side // 2 ** len(channels) for side in sides)
        n_places, width = math.prod(self.lowest), channels[-1]
        self.places = nn.Parameter(torch.randn(width, n_places, n_places) / math.sqrt(n_places))
        self.mix = nn.Conv2d(width, width, 1, bias=False)  # the decoder begins with a norm
        self.decoder = ConvDecoder(1, event_shape, channels=tuple(channels)[::-1], norm=norm).convolutions

    def forward(self, x: Float[Tensor, "B S H W"]) -> Float[Tensor, "B C H W"]:
        maps = self.encoder(x).flatten(2)  # (B, C, h w)
        maps = torch.einsum("bcp,cpq->bcq", maps, self.places).unflatten(2, self.lowest)
        return self.decoder(self.mix(maps))
