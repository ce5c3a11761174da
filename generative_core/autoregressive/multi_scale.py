"""Multi-scale PixelRNN: a model of a coarse sub-grid of the image, and a model of the rest given that."""

from collections.abc import Sequence
from typing import final

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from generative_core.autoregressive.diagonal_bilstm import DiagonalLayer
from generative_core.autoregressive.pixel_model import check_channels, draw, image_shape, raster_order, walk_pixels
from generative_core.autoregressive.pixel_trunk import PixelTrunk, as_condition
from generative_core.autoregressive.protocols import Autoregressive, Walk
from generative_core.autoregressive.vectors import check_context, empty_events, flatten_events
from generative_core.families import AbstractTractable
from generative_core.nets.pixel_cache import PixelCache


@final
class MultiScalePixelRNN(AbstractTractable):
    """log p(x) = log p(x_s) + log p(x | x_s), x_s = every k-th row and column of x: exact.

    `small` is any autoregressive model of x_s (C, H / k, W / k): its size gives k, and its `conditional` and
    `context_features` hold for the whole.  The rest follows in raster order from a diagonal BiLSTM that sees x_s,
    scaled up by a transposed convolution, in every layer, and passes over the pixels that x_s has fixed.

    Raises ValueError where the sizes do not divide, where `small` is not autoregressive, and where `channels` is not a
    multiple of 2 C.  Paper: van den Oord et al. 2016, https://arxiv.org/abs/1601.06759, sec. 3.6.  Differs: the pixels
    of x_s are not predicted a second time, so that the two terms add up to log p(x); takes a context.
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        small: AbstractTractable,
        channels: int = 48,
        layers: int = 4,
        guide_channels: int = 32,
    ) -> None:
        super().__init__()
        self.event_shape = image_shape(event_shape)
        n_colours = self.event_shape[0]
        check_channels(channels, 2, n_colours)
        if not isinstance(small, Autoregressive):
            raise ValueError(
                f"small must be an autoregressive model, such as DiagonalBiLSTM, got {type(small).__name__}"
            )
        self.factor = _factor(self.event_shape, small.event_shape)
        self.conditional = small.conditional
        self.context_features: int = getattr(small, "context_features", 0)
        self.small = small
        self.enlarge = nn.Sequential(
            nn.Conv2d(n_colours, guide_channels, 3, padding=1),
            nn.ReLU(),
            # each of the k x k pixels sees the three nearest of x_s in either direction
            nn.ConvTranspose2d(
                guide_channels, guide_channels, 3 * self.factor, stride=self.factor, padding=self.factor
            ),
            nn.ReLU(),
        )
        condition_features = guide_channels + self.context_features
        self.trunk = PixelTrunk(
            n_colours,
            self.conditional.n_parameters,
            channels=channels,
            layers=[DiagonalLayer(channels, n_colours, condition_features) for _ in range(layers)],
        )

    def log_prob(self, x: Float[Tensor, "B *E"], context: Float[Tensor, "B K"] | None = None) -> Float[Tensor, "B"]:
        """log p(x | context), nats."""
        log_prob_small, log_prob_rest = self.log_prob_by_scale(x, context)
        return log_prob_small + log_prob_rest

    def log_prob_by_scale(
        self, x: Float[Tensor, "B *E"], context: Float[Tensor, "B K"] | None = None
    ) -> tuple[Float[Tensor, "B"], Float[Tensor, "B"]]:
        """(log p(x_s), log p(x | x_s)), nats."""
        flatten_events(self, x, context)
        log_prob = self.conditional.log_prob(self.element_parameters(x, context), x)
        log_prob_rest = log_prob.masked_fill(self.is_in_sub_grid, 0.0).flatten(1).sum(1)
        return self.small.log_prob(self.sub_grid(x), context), log_prob_rest

    def sample(
        self,
        n: int,
        context: Float[Tensor, "n K"] | None = None,
        *,
        generator: torch.Generator | None = None,
        cached: bool = True,
    ) -> Float[Tensor, "n C H W"]:
        """n draws, the sub-grid first; `cached=False` passes over the whole image for each element of the rest."""
        return draw(self, self.walk(n, context, cached=cached), n, generator)

    @property
    def order(self) -> Int64[Tensor, "D"]:
        """The sub-grid in the order of `small`, then the rest in raster order."""
        flat = torch.arange(self.is_in_sub_grid.numel() * self.event_shape[0]).view(self.event_shape)
        raster = raster_order(self.event_shape)
        in_sub_grid = self.is_in_sub_grid.cpu().expand(self.event_shape).flatten()[raster]
        return torch.cat([self.sub_grid(flat).flatten()[self.small.order], raster[~in_sub_grid]])

    def walk(self, n: int, context: Float[Tensor, "n K"] | None = None, *, cached: bool = True) -> Walk:
        """See `Autoregressive.walk`; no gradient is recorded."""
        check_context(self, n, context)
        like = next(self.parameters())
        order = self.small.order.tolist()
        x_small = like.new_zeros(n, len(order))
        steps = self.small.walk(n, context)
        parameters = next(steps)
        for t, d in enumerate(order):
            x_small[:, d] = yield parameters.detach()
            if t + 1 < len(order):
                parameters = steps.send(x_small[:, d])
        steps.close()
        x = empty_events(self, n, like)
        self.sub_grid(x).copy_(x_small.unflatten(1, self.small.event_shape))
        known = self.is_in_sub_grid
        yield from walk_pixels(lambda x, cache: self.element_parameters(x, context, cache), x, known, cached=cached)

    def sub_grid(self, x: Tensor) -> Tensor:
        """x_s, a view of x (*, C, H, W)."""
        return x[..., :: self.factor, :: self.factor]

    @property
    def is_in_sub_grid(self) -> Bool[Tensor, "H W"]:
        """The pixels that `small` draws."""
        _, height, width = self.event_shape
        mask = torch.zeros(height, width, dtype=torch.bool, device=next(self.parameters()).device)
        self.sub_grid(mask).fill_(True)
        return mask

    def element_parameters(
        self, x: Float[Tensor, "B C H W"], context: Float[Tensor, "B K"] | None, cache: PixelCache | None = None
    ) -> Float[Tensor, "B C h w P"]:
        """Parameters of each element's law given the pixels before it and all of x_s; of no use where x_s itself is."""

        def condition() -> Tensor:
            guide = self.enlarge(self.sub_grid(x))  # (B, G, H, W)
            told = as_condition(context)  # (B, K, 1, 1)
            return guide if told is None else torch.cat([guide, told.expand(-1, -1, *guide.shape[2:])], dim=1)

        return self.trunk(x, condition() if cache is None else cache.per_walk(self, condition), cache)


def _factor(event_shape: tuple[int, ...], small_shape: tuple[int, ...]) -> int:
    """k.  Raises ValueError unless small_shape is (C, H / k, W / k)."""
    n_colours, height, width = event_shape
    factor = height // small_shape[1] if len(small_shape) == 3 else 0
    if factor < 2 or (n_colours, height, width) != (small_shape[0], factor * small_shape[1], factor * small_shape[2]):
        raise ValueError(
            f"small must be over (C, H / k, W / k) with a whole k of at least 2; the image is {event_shape}, "
            f"small is over {tuple(small_shape)}"
        )
    return factor
