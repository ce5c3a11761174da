"""The U-Net that is told the time: from a noisy image to an image of the same size, for diffusion and flow matching."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class TimeUNet(nn.Module):
    """x (B, C, H, W), t (B,), context (B, K) -> (B, C, H, W); zeros before training.

    `blocks` residual blocks at each of the sizes, which halve from one entry of `channels` to the next, on the way down
    and again, beside the maps of the way down, on the way up.  Group norm and SiLU before each convolution; time and
    context enter every block as a scale and a shift of its second norm.  With `attention` the places of the lowest size
    attend to each other between two further blocks.  `patch` > 1 first folds squares of so many pixels into channels,
    and unfolds them at the end: full images at the cost of smaller maps.

    Raises ValueError for sides that `patch` and the halvings do not divide, an odd first entry of `channels` and, when
    called, a context of another width than declared.

    Papers: Ho et al. 2020, https://arxiv.org/abs/2006.11239, app. B; scale and shift: Dhariwal & Nichol 2021,
    https://arxiv.org/abs/2105.05233, sec. 3.
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        channels: Sequence[int] = (64, 128),
        blocks: int = 1,
        context_features: int = 0,
        attention: bool = True,
        patch: int = 1,
    ) -> None:
        super().__init__()
        colours, *sides = event_shape
        divisor = patch * 2 ** (len(channels) - 1)
        if not channels or any(side % divisor for side in sides):
            raise ValueError(
                f"patches of {patch} and {len(channels)} sizes need sides that {divisor} divides, got {tuple(sides)}; "
                "give `channels` fewer entries, or pad the images"
            )
        if channels[0] % 2:
            raise ValueError(
                f"the first of `channels` holds cos and sin of the time, so it must be even: {channels[0]}"
            )
        self.context_features = context_features
        width = 4 * channels[0]
        self.embed_time = FourierFeatures(channels[0])
        self.embed = nn.Sequential(nn.Linear(channels[0] + context_features, width), nn.SiLU(), nn.Linear(width, width))
        self.stem = nn.Sequential(nn.PixelUnshuffle(patch), nn.Conv2d(colours * patch**2, channels[0], 3, padding=1))
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        skips, n_in = [channels[0]], channels[0]
        for level, n_out in enumerate(channels):
            if level > 0:
                self.down.append(_Resample(n_in, n_in, scale=0.5))
                skips.append(n_in)
            for _ in range(blocks):
                self.down.append(TimedResidualBlock(n_in, n_out, width))
                skips.append(n_out)
                n_in = n_out
        middle = [TimedResidualBlock(n_in, n_in, width), SelfAttention(n_in), TimedResidualBlock(n_in, n_in, width)]
        self.middle = nn.ModuleList(middle if attention else [])
        for level, n_out in reversed(list(enumerate(channels))):
            for _ in range(blocks + 1):  # one for each map of the way down at this size
                self.up.append(TimedResidualBlock(n_in + skips.pop(), n_out, width))
                n_in = n_out
            if level > 0:
                self.up.append(_Resample(n_in, n_in, scale=2.0))
        head = nn.Conv2d(n_in, colours * patch**2, 3, padding=1)
        nn.init.zeros_(head.weight)
        nn.init.zeros_(head.bias)  # type: ignore[arg-type]  # it has one
        self.head = nn.Sequential(_norm(n_in), nn.SiLU(), head, nn.PixelShuffle(patch))

    def forward(
        self, x: Float[Tensor, "B C H W"], t: Float[Tensor, "B"], context: Float[Tensor, "B K"] | None = None
    ) -> Float[Tensor, "B C H W"]:
        n_context = 0 if context is None else context.shape[1]
        if n_context != self.context_features:
            raise ValueError(f"this TimeUNet was built with {self.context_features} context features, got {n_context}")
        time = self.embed_time(t)
        code = F.silu(self.embed(time if context is None else torch.cat([time, context], dim=1)))
        maps = self.stem(x)
        skips = [maps]
        for layer in self.down:
            maps = layer(maps, code)
            skips.append(maps)
        for layer in self.middle:
            maps = layer(maps, code)
        for layer in self.up:
            if isinstance(layer, TimedResidualBlock):
                maps = torch.cat([maps, skips.pop()], dim=1)
            maps = layer(maps, code)
        return self.head(maps)


class FourierFeatures(nn.Module):
    """t (B,) -> cos and sin of w t, w from 1/2 to 64 radians in equal ratios, (B, features): t of a few units."""

    frequencies: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        exponents = torch.linspace(math.log(0.5), math.log(64), features // 2)
        self.register_buffer("frequencies", exponents.exp(), persistent=False)

    def forward(self, t: Float[Tensor, "B"]) -> Float[Tensor, "B F"]:
        phase = t.unsqueeze(1) * self.frequencies
        return torch.cat([phase.cos(), phase.sin()], dim=1)


class TimedResidualBlock(nn.Module):
    """shortcut(x) + conv(silu((1 + scale(code)) norm(conv(silu(norm(x)))) + shift(code))), 3 x 3; at first shortcut."""

    def __init__(self, n_in: int, n_out: int, code_features: int) -> None:
        super().__init__()
        self.norm_1, self.norm_2 = _norm(n_in), _norm(n_out)
        self.conv_1 = nn.Conv2d(n_in, n_out, 3, padding=1)
        self.conv_2 = nn.Conv2d(n_out, n_out, 3, padding=1)
        self.modulate = nn.Linear(code_features, 2 * n_out)
        self.shortcut = nn.Conv2d(n_in, n_out, 1) if n_in != n_out else nn.Identity()
        nn.init.zeros_(self.conv_2.weight)
        nn.init.zeros_(self.conv_2.bias)  # type: ignore[arg-type]  # it has one

    def forward(self, x: Float[Tensor, "B C H W"], code: Float[Tensor, "B F"]) -> Float[Tensor, "B D H W"]:
        maps = self.conv_1(F.silu(self.norm_1(x)))
        scale, shift = self.modulate(code)[:, :, None, None].chunk(2, dim=1)
        maps = self.conv_2(F.silu((1 + scale) * self.norm_2(maps) + shift))
        return self.shortcut(x) + maps


class SelfAttention(nn.Module):
    """x + project(softmax(q k' / sqrt C) v) over the places of a map; one head; at first the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = _norm(channels)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.project = nn.Conv2d(channels, channels, 1)
        nn.init.zeros_(self.project.weight)
        nn.init.zeros_(self.project.bias)  # type: ignore[arg-type]  # it has one

    def forward(self, x: Float[Tensor, "B C H W"], code: Tensor | None = None) -> Float[Tensor, "B C H W"]:
        tokens = self.qkv(self.norm(x)).flatten(2).transpose(1, 2)  # (B, 3C, H, W) -> (B, H W, 3C)
        query, key, value = tokens.chunk(3, dim=2)
        attended = F.scaled_dot_product_attention(query, key, value)
        return x + self.project(attended.transpose(1, 2).unflatten(2, x.shape[2:]))  # (B, H W, C) -> (B, C, H, W)


class _Resample(nn.Module):
    """Halves the sides by means of 2 x 2, or doubles them by copies; then a 3 x 3 convolution."""

    def __init__(self, n_in: int, n_out: int, *, scale: float) -> None:
        super().__init__()
        self.scale = scale
        self.conv = nn.Conv2d(n_in, n_out, 3, padding=1)

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        resized = F.avg_pool2d(x, 2) if self.scale < 1 else F.interpolate(x, scale_factor=self.scale, mode="nearest")
        return self.conv(resized)


def _norm(channels: int) -> nn.GroupNorm:
    """Groups of four channels or more, at most 32 groups."""
    groups = min(32, max(channels // 4, 1))
    while channels % groups:
        groups -= 1
    return nn.GroupNorm(groups, channels)
