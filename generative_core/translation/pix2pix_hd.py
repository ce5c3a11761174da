"""Image to image at higher resolution: a generator from coarse to fine, and critics at several scales."""

from collections.abc import Sequence
from typing import final

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from generative_core import objectives
from generative_core.families import Terms
from generative_core.nets.conv import Norm
from generative_core.nets.patch import PatchNet, feature_matching
from generative_core.nets.resnet import ResidualBlock, ResNetTranslator, check_halvings
from generative_core.translation.translator import AbstractTranslator, require_weights


@final
class CoarseToFine(nn.Module):
    """x (B, in_channels, H, W) -> (B, out_channels, H, W), linear at its end: a global and a local network.

    The global one, a `ResNetTranslator`, sees the image at half its size; its maps are added to those of the local
    one's front end at that size, and residual blocks and a transposed convolution make the image of their sum.  Raises
    ValueError, when called, on sides that 2^len(channels) does not divide.

    Paper: Wang et al. 2018, https://arxiv.org/abs/1711.11585, sec. 3.2, figure 3.  Differs: both are trained at once,
    from the start.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        channels: Sequence[int] = (64, 128),
        blocks: int = 3,
        norm: Norm = nn.InstanceNorm2d,
    ) -> None:
        super().__init__()
        width = channels[0]
        self.n_halvings = len(channels)
        self.coarse = ResNetTranslator(in_channels, width, channels=channels, blocks=blocks, norm=norm)
        self.front = nn.Sequential(
            nn.Conv2d(in_channels, width // 2, 7, padding=3, padding_mode="reflect", bias=False),
            norm(width // 2),
            nn.ReLU(),
            nn.Conv2d(width // 2, width, 3, stride=2, padding=1, bias=False),
            norm(width),
            nn.ReLU(),
        )
        self.back = nn.Sequential(
            ResidualBlock(width, norm=norm),
            nn.ConvTranspose2d(width, width // 2, 3, stride=2, padding=1, output_padding=1, bias=False),
            norm(width // 2),
            nn.ReLU(),
            nn.Conv2d(width // 2, out_channels, 7, padding=3, padding_mode="reflect"),
        )

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D H W"]:
        check_halvings(x.shape[2:], self.n_halvings)
        return self.back(self.front(x) + self.coarse(halve(x)))


@final
class MultiScaleCritic(nn.Module):
    """`n_scales` critics of patches; the k-th sees the image halved k times.

    Paper: Wang et al. 2018, https://arxiv.org/abs/1711.11585, sec. 3.2.
    """

    def __init__(
        self,
        in_channels: int,
        *,
        n_scales: int = 2,
        channels: Sequence[int] = (64, 128),
        norm: Norm | None = nn.InstanceNorm2d,
    ) -> None:
        super().__init__()
        if n_scales < 1:
            raise ValueError(f"n_scales counts the critics, at least one; got {n_scales}")
        self.critics = nn.ModuleList(PatchNet(in_channels, channels=channels, norm=norm) for _ in range(n_scales))

    def check_sides(self, sides: Sequence[int]) -> None:
        """Raises ValueError for images so small that the critic of the last scale has no logit."""
        for critic in self.critics:
            assert isinstance(critic, PatchNet)
            critic.check_sides(sides)
            sides = [(side + 1) // 2 for side in sides]

    def activations(self, x: Float[Tensor, "B C H W"]) -> list[list[Tensor]]:
        """The maps of each critic after each of its layers, its logits (B, 1, h, w) last."""
        maps = []
        for i, critic in enumerate(self.critics):
            assert isinstance(critic, PatchNet)
            x = halve(x) if i > 0 else x
            maps.append(critic.activations(x))
        return maps

    def forward(self, x: Float[Tensor, "B C H W"]) -> list[Tensor]:
        """The logits of each critic, (B * h * w,)."""
        return [maps[-1].flatten() for maps in self.activations(x)]


@final
class Pix2PixHD(AbstractTranslator):
    """min_G sum_k [ 1/2 E (D_k(s, G(s)) - 1)^2 + feature_matching mean_l |D_k^l(s, x) - D_k^l(s, G(s))| ].

    Each critic D_k has the loss of least squares, at its own scale; D_k^l are its maps after layer l.  No distance of
    pixels.  A batch is (target, source), images in [-1, 1]; `event_shape` is the target's, whose sides 2^len(channels)
    divides; the source has `source_channels` and the same sides.  `generator` takes the place of the network from
    coarse to fine: any module (B, source_channels, H, W) -> (B, C, H, W) that ends in [-1, 1].  Nothing is random.
    Train with `AdversarialStep`'s defaults, the paper's Adam(2e-4, 0.5).

    Raises ValueError for a negative weight, for sides that the channels or the scales do not fit and, when called, on
    sources of another shape.

    Paper: Wang et al. 2018, https://arxiv.org/abs/1711.11585, sec. 3.2.  Differs: no instance maps, which need labels,
    and no pretrained perceptual network; feature matching is the mean over layers, not their sum; logits are regressed
    to +1 and -1, which doubles the adversarial term beside feature matching against targets 1 and 0 without the 1/2.
    """

    critic: MultiScaleCritic

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        source_channels: int,
        channels: Sequence[int] = (64, 128),
        blocks: int = 3,
        n_scales: int = 2,
        critic_channels: Sequence[int] = (64, 128),
        feature_matching: float = 10.0,
        generator: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.event_shape = tuple(event_shape)
        self.source_shape = (source_channels, *self.event_shape[1:])
        require_weights(feature_matching=feature_matching)
        self.feature_matching = feature_matching
        n_out = self.event_shape[0]
        if generator is None:
            check_halvings(self.event_shape[1:], len(channels))
            generator = nn.Sequential(CoarseToFine(source_channels, n_out, channels=channels, blocks=blocks), nn.Tanh())
        self.generator = generator
        self.critic = MultiScaleCritic(source_channels + n_out, n_scales=n_scales, channels=critic_channels)
        self.critic.check_sides(self.event_shape[1:])

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
        """Least squares, one term a scale, largest image first."""
        target, source = batch
        logits = zip(
            self.critic(torch.cat([source, target], 1)), self.critic(torch.cat([source, drawn], 1)), strict=True
        )
        losses = (objectives.least_squares_critic_loss(data, model) for data, model in logits)
        return {f"adversarial_{k}": loss for k, loss in enumerate(losses)}

    def generator_terms(self, drawn: Tensor, *batch: Tensor, generator: torch.Generator | None = None) -> Terms:
        """Least squares and feature matching, the sums over scales."""
        target, source = batch
        maps = self.critic.activations(torch.cat([source, drawn], 1))
        losses = [objectives.least_squares_generator_loss(layers[-1].flatten()) for layers in maps]
        terms = {"adversarial": torch.stack(losses).sum()}
        if self.feature_matching > 0:
            with torch.no_grad():
                maps_data = self.critic.activations(torch.cat([source, target], 1))
            distances = [feature_matching(a[:-1], b[:-1]) for a, b in zip(maps, maps_data, strict=True)]
            terms["feature_matching"] = self.feature_matching * torch.stack(distances).sum()
        return terms


def halve(x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C h w"]:
    """Half the sides, by means over 3 x 3 pixels, only those inside the image counted."""
    return F.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False)
