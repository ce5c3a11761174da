"""Residual networks from image to image: of one size, and enlarging by pixel shuffle."""

from collections.abc import Callable, Sequence
from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, nn

from generative_core.nets.conv import Norm


class ResidualBlock(nn.Module):
    """x + conv(activation(conv(x))), 3 x 3, with `norm` after both convolutions.

    Paper: He et al. 2016, https://arxiv.org/abs/1512.03385.  Differs: nothing after the sum, as in Johnson et al. 2016.
    """

    def __init__(
        self, channels: int, *, norm: Norm | None = nn.InstanceNorm2d, activation: Callable[[], nn.Module] = nn.ReLU
    ) -> None:
        super().__init__()
        norms: list[list[nn.Module]] = [[norm(channels)] if norm is not None else [] for _ in range(2)]
        self.layers = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect", bias=norm is None),
            *norms[0],
            activation(),
            nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect", bias=norm is None),
            *norms[1],
        )

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        return x + self.layers(x)


class ResNetTranslator(nn.Module):
    """x (B, in_channels, H, W) -> (B, out_channels, H, W), linear at its end.

    A 7 x 7 convolution, one of stride 2 for each further entry of `channels`, `blocks` residual blocks, as many
    transposed ones back, and a 7 x 7 one: c7s1-64, d128, d256, R256 x blocks, u128, u64, c7s1-3 with the defaults.
    Raises ValueError, when called, on sides that 2^(len(channels) - 1) does not divide: another size would come out.

    Paper: Johnson et al. 2016, https://arxiv.org/abs/1603.08155; this form: Zhu et al. 2017,
    https://arxiv.org/abs/1703.10593, sec. 7.2.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        channels: Sequence[int] = (64, 128, 256),
        blocks: int = 6,
        norm: Norm = nn.InstanceNorm2d,
    ) -> None:
        super().__init__()
        self.n_halvings = len(channels) - 1
        layers: list[nn.Module] = [
            nn.Conv2d(in_channels, channels[0], 7, padding=3, padding_mode="reflect", bias=False),
            norm(channels[0]),
            nn.ReLU(),
        ]
        for n_in, n_out in pairwise(channels):
            layers += [nn.Conv2d(n_in, n_out, 3, stride=2, padding=1, bias=False), norm(n_out), nn.ReLU()]
        layers += [ResidualBlock(channels[-1], norm=norm) for _ in range(blocks)]
        for n_in, n_out in pairwise(tuple(channels)[::-1]):
            transposed = nn.ConvTranspose2d(n_in, n_out, 3, stride=2, padding=1, output_padding=1, bias=False)
            layers += [transposed, norm(n_out), nn.ReLU()]
        layers.append(nn.Conv2d(channels[0], out_channels, 7, padding=3, padding_mode="reflect"))
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D H W"]:
        check_halvings(x.shape[2:], self.n_halvings)
        return self.layers(x)


class SRResNet(nn.Module):
    """x (B, in_channels, H, W) -> (B, out_channels, scale H, scale W), linear at its end; `scale` a power of two.

    A 9 x 9 convolution, residual blocks with batch norm and PReLU around one long skip, a sub-pixel convolution for
    each doubling, and a 9 x 9 convolution.

    Paper: Ledig et al. 2017, https://arxiv.org/abs/1609.04802, fig. 4; pixel shuffle: Shi et al. 2016,
    https://arxiv.org/abs/1609.05158.  Differs: the residual blocks pad by reflection, where the paper pads with zeros.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        scale: int = 4,
        channels: int = 64,
        blocks: int = 16,
        norm: Norm | None = nn.BatchNorm2d,
    ) -> None:
        super().__init__()
        if scale < 1 or scale & (scale - 1):
            raise ValueError(f"scale must be a power of two, got {scale}")
        self.head = nn.Sequential(nn.Conv2d(in_channels, channels, 9, padding=4), nn.PReLU())
        body: list[nn.Module] = [ResidualBlock(channels, norm=norm, activation=nn.PReLU) for _ in range(blocks)]
        body.append(nn.Conv2d(channels, channels, 3, padding=1, bias=norm is None))
        self.body = nn.Sequential(*body, *([norm(channels)] if norm is not None else []))
        ups: list[nn.Module] = []
        for _ in range(scale.bit_length() - 1):
            ups += [nn.Conv2d(channels, 4 * channels, 3, padding=1), nn.PixelShuffle(2), nn.PReLU()]
        self.tail = nn.Sequential(*ups, nn.Conv2d(channels, out_channels, 9, padding=4))

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D H2 W2"]:
        head = self.head(x)
        return self.tail(head + self.body(head))


def check_halvings(sides: Sequence[int], n: int) -> None:
    """Raises ValueError for sides that cannot be halved n times without a rest."""
    if any(side % 2**n for side in sides):
        raise ValueError(
            f"{n} halvings need sides that {2**n} divides, got {tuple(sides)}; give `channels` fewer entries, or pad "
            "the images"
        )
