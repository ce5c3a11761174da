"""A critic that judges every patch of an image: strided convolutions without a dense end."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from generative_core.nets.conv import Norm


class PatchNet(nn.Module):
    """x (B, in_channels, H, W) -> logits (B, h, w), one for each patch of side `receptive_field`.

    Convolutions of kernel 4: stride 2 for each entry of `channels` but the last, which has stride 1 like the one to a
    single channel after it.  LeakyReLU(0.2); `norm` after all but the first and the last.  With the default channels a
    logit sees 70 x 70 pixels.

    Paper: Isola et al. 2017, https://arxiv.org/abs/1611.07004, sec. 6.1.2, C64-C128-C256-C512.
    """

    def __init__(
        self,
        in_channels: int,
        *,
        channels: Sequence[int] = (64, 128, 256, 512),
        norm: Norm | None = nn.BatchNorm2d,
    ) -> None:
        super().__init__()
        if not channels:
            raise ValueError("channels has one entry for each convolution before the last: give at least one")
        self.strides = (*(2 for _ in channels[:-1]), 1, 1)
        self.layers = nn.ModuleList()
        widths = [in_channels, *channels, 1]
        for i, stride in enumerate(self.strides):
            is_inner = 0 < i < len(channels)
            conv = nn.Conv2d(widths[i], widths[i + 1], 4, stride=stride, padding=1, bias=norm is None or not is_inner)
            norms = [norm(widths[i + 1])] if norm is not None and is_inner else []
            activations = [nn.LeakyReLU(0.2)] if i < len(channels) else []
            self.layers.append(nn.Sequential(conv, *norms, *activations))

    @property
    def receptive_field(self) -> int:
        """Side of the patch that one logit sees, pixels: r <- (r - 1) stride + 4 from the last layer to the first."""
        side = 1
        for stride in reversed(self.strides):
            side = (side - 1) * stride + 4
        return side

    def check_sides(self, sides: Sequence[int]) -> None:
        """Raises ValueError for images so small that no logit is left."""
        smallest = min(sides)
        for stride in self.strides:
            smallest = (smallest - 2) // stride + 1
        if smallest < 1:
            raise ValueError(
                f"a critic of patches with {len(self.strides) - 1} channels leaves no logit of images with sides "
                f"{tuple(sides)}; give it fewer channels, or fewer scales where there are several"
            )

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B h w"]:
        return self.activations(x)[-1].squeeze(1)

    def activations(self, x: Float[Tensor, "B C H W"]) -> list[Tensor]:
        """The maps after each layer, the logits (B, 1, h, w) last: for feature matching."""
        maps = []
        for layer in self.layers:
            x = layer(x)
            maps.append(x)
        return maps


def feature_matching(maps: Sequence[Tensor], maps_data: Sequence[Tensor]) -> Float[Tensor, ""]:
    """The mean over layers of the mean absolute difference of the maps that a critic makes of two batches.

    Paper: Wang et al. 2018, https://arxiv.org/abs/1711.11585, eq. 4; the data's side is a target and gets no gradient.
    Differs: the mean over the layers where eq. 4 is their sum, so that a weight does not depend on the depth.
    """
    differences = [(a - b.detach()).abs().mean() for a, b in zip(maps, maps_data, strict=True)]
    return torch.stack(differences).mean()
