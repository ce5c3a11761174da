"""The content of one image in the style of another: by moving pixels, and by a network that does it in one pass."""

from collections.abc import Sequence
from typing import NamedTuple, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from generative_core.nets.frozen import Frozen
from generative_core.nets.resnet import ResNetTranslator, check_halvings
from generative_core.translation.perceptual import (
    content_distance,
    gram_matrix,
    layers,
    style_distance,
    total_variation,
)
from generative_core.translation.translator import require_weights


class StyleLosses(NamedTuple):
    """Of each image, without their weights."""

    content: Tensor
    """||Phi_c(y) - Phi_c(x)||^2, the mean over its elements, (B,)."""
    style: Tensor
    """sum_l ||G_l(y) - G_l(s)||_F^2, (B,)."""
    tv: Tensor
    """Total variation of y, (B,)."""


@final
class StyleTransfer(nn.Module):
    """loss(y) = content ||Phi_c(y) - Phi_c(x)||^2 + style sum_l ||G_l(y) - G_l(s)||_F^2 + tv TV(y).

    Phi_l are the layers of a fixed network, G_l their Gram matrices, x the content and s the style.  `optimise` moves
    the pixels of y down this loss (Gatys et al.); `translate` is the network that `loss` trains on many contents, for
    the one style (Johnson et al.): `MaximumLikelihoodStep(model)` on batches (x,).

    `features` maps images (B, C, H, W) to a sequence of maps (B, C_l, H_l, W_l); a frozen copy is kept.  `styles`,
    images (n, C, H', W') of any sides, give the mean of their Gram matrices.  `content_layer` is the index of c.
    `translator` maps (B, C, H, W) to the same, within [-1, 1].

    Papers: Gatys et al. 2016, https://doi.org/10.1109/CVPR.2016.265, eq. 1-7; Johnson et al. 2016,
    https://arxiv.org/abs/1603.08155, sec. 3.  Differs: Adam where Gatys et al. have L-BFGS; layers weigh alike and Gram
    matrices are divided as in the second paper; instance norm in the translator; the anisotropic total variation.
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        features: nn.Module,
        styles: Float[Tensor, "n C H W"],
        *,
        content: float = 1.0,
        style: float = 10.0,
        tv: float = 0.0,
        content_layer: int = -1,
        translator: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.event_shape = tuple(event_shape)
        self.content = content
        require_weights(content=content, style=style, tv=tv)
        self.style = style
        self.tv = tv
        self.content_layer = content_layer
        self.features = Frozen(features)
        with torch.no_grad():
            grams = [gram_matrix(maps).mean(0, keepdim=True) for maps in self._maps(styles)]
        self.n_layers = len(grams)
        for i, gram in enumerate(grams):
            self.register_buffer(f"target_{i}", gram)
        n_channels = self.event_shape[0]
        if translator is None:
            channels = (32, 64, 128)
            check_halvings(self.event_shape[1:], len(channels) - 1)
            translator = nn.Sequential(ResNetTranslator(n_channels, n_channels, channels=channels, blocks=5), nn.Tanh())
        self.translator = translator

    def losses(self, y: Float[Tensor, "B *E"], x: Float[Tensor, "B *E"]) -> StyleLosses:
        """How far y is from the content x and from the style; differentiable in y."""
        return self._losses(y, self._content(x))

    def _losses(self, y: Tensor, content: Tensor) -> StyleLosses:
        maps = self._maps(y)
        targets = [self.get_buffer(f"target_{i}") for i in range(self.n_layers)]
        return StyleLosses(
            content=content_distance(maps[self.content_layer], content),
            style=style_distance([gram_matrix(layer) for layer in maps], targets),
            tv=total_variation(y),
        )

    @torch.no_grad()
    def _content(self, x: Tensor) -> Tensor:
        """Phi_c(x)."""
        return self._maps(x)[self.content_layer]

    def _maps(self, x: Tensor) -> list[Tensor]:
        return layers(self.features(x))

    def loss(
        self,
        x: Float[Tensor, "B *E"],
        context: Float[Tensor, "B *K"] | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "B"]:
        """The weighted sum at y = translate(x); nothing random.  Raises ValueError on a context."""
        if context is not None:
            raise ValueError("StyleTransfer has one style: train it without context")
        return self._weighted(self.losses(self.translate(x), x))

    def translate(self, x: Float[Tensor, "B *E"]) -> Float[Tensor, "B *E"]:
        """One pass of the translator."""
        return self.translator(x)

    def optimise(
        self,
        x: Float[Tensor, "B *E"],
        *,
        start: Float[Tensor, "B *E"] | None = None,
        n_steps: int = 300,
        lr: float = 0.05,
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "B *E"]:
        """y after `n_steps` of Adam on its pixels, which stay in [-1, 1], from `start` or from uniform noise."""
        if start is None:
            start = 2 * torch.rand(x.shape, generator=generator, device=x.device, dtype=x.dtype) - 1
        y = start.detach().clone().requires_grad_(True)
        content = self._content(x)
        optimiser = torch.optim.Adam([y], lr=lr)
        with torch.enable_grad():
            for _ in range(n_steps):
                (y.grad,) = torch.autograd.grad(self._weighted(self._losses(y, content)).sum(), y)
                optimiser.step()
                y.data.clamp_(-1, 1)
        return y.detach()

    def _weighted(self, losses: StyleLosses) -> Tensor:
        return self.content * losses.content + self.style * losses.style + self.tv * losses.tv
