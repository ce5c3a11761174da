"""The U-Net for image translation: an encoder, its mirror image, and a skip at every size."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from generative_core.nets.conv import Norm


class UNet(nn.Module):
    """x (B, in_channels, H, W) -> (B, out_channels, H, W), linear at its end.

    Down: convolutions (kernel 4, stride 2), LeakyReLU(0.2), `norm` after all but the first and the innermost.  Up:
    transposed ones, ReLU, with the maps of the same size from the way down beside their input.  `channels` are those of
    the maps on the way down.  Sides of any length that can be halved so often; an odd one is rounded down on the way
    and restored.  `dropout` follows the innermost layers of the way up, as many as are given rates: the noise of
    pix2pix, drawn in training mode.  Raises ValueError where a side is too short, and for
    more rates than there are inner layers.

    Paper: Ronneberger et al. 2015, https://arxiv.org/abs/1505.04597; this form: Isola et al. 2017,
    https://arxiv.org/abs/1611.07004, sec. 6.1.1.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        channels: Sequence[int] = (64, 128, 256),
        norm: Norm | None = nn.BatchNorm2d,
        dropout: Sequence[float] = (),
    ) -> None:
        super().__init__()
        self.depth = len(channels)
        if len(dropout) >= max(self.depth, 1):
            raise ValueError(
                f"dropout is for the layers of the way up but the outermost, at most {self.depth - 1} rates; got "
                f"{len(dropout)}"
            )
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        widths = [in_channels, *channels]
        for i in range(self.depth):
            layers: list[nn.Module] = [] if i == 0 else [nn.LeakyReLU(0.2)]
            has_norm = norm is not None and 0 < i < self.depth - 1
            layers.append(nn.Conv2d(widths[i], widths[i + 1], 4, stride=2, padding=1, bias=not has_norm))
            self.down.append(nn.Sequential(*layers, *([norm(widths[i + 1])] if norm is not None and has_norm else [])))
        for i in reversed(range(self.depth)):
            n_in = widths[i + 1] * (1 if i == self.depth - 1 else 2)
            n_out = out_channels if i == 0 else widths[i]
            self.up.append(_Up(n_in, n_out, norm if i > 0 else None, dropout[self.depth - 1 - i : self.depth - i]))

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D H W"]:
        if min(x.shape[2:]) < 2**self.depth:
            raise ValueError(
                f"a U-Net of {self.depth} halvings needs sides of {2**self.depth} or more, got {tuple(x.shape[2:])}; "
                f"give it at most {int(math.log2(min(x.shape[2:])))} channels"
            )
        skips = [x]
        for layer in self.down:
            skips.append(layer(skips[-1]))
        maps = skips[-1]
        for i, layer in enumerate(self.up):
            maps = layer(maps, skips[self.depth - 1 - i].shape[2:])
            if i < self.depth - 1:
                maps = torch.cat([maps, skips[self.depth - 1 - i]], dim=1)
        return maps


class _Up(nn.Module):
    """Doubles the sides, plus one where the way down rounded."""

    def __init__(self, n_in: int, n_out: int, norm: Norm | None, dropout: Sequence[float]) -> None:
        super().__init__()
        self.activation = nn.ReLU()
        self.conv = nn.ConvTranspose2d(n_in, n_out, 4, stride=2, padding=1, bias=norm is None)
        self.rest = nn.Sequential(*([norm(n_out)] if norm is not None else []), *(nn.Dropout(rate) for rate in dropout))

    def forward(self, x: Tensor, size: Sequence[int]) -> Tensor:
        return self.rest(self.conv(self.activation(x), output_size=list(size)))
