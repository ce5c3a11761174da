"""Images by the chain rule, pixel by pixel: the likelihood in one pass, and sampling that computes each pixel once."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import final

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from generative_core.autoregressive.conditionals import Conditional
from generative_core.autoregressive.protocols import Autoregressive, Walk
from generative_core.autoregressive.vectors import check_context, empty_events, flatten_events
from generative_core.families import AbstractTractable
from generative_core.nets.pixel_cache import PixelCache


class AbstractPixelModel(AbstractTractable):
    """log p(x) = sum over rows i, columns j, colours c of log p(x_cij | all before).  Required: `element_parameters`.

    The order is by row, by pixel, and inside a pixel by colour.  A model is `Autoregressive`: it can be walked,
    continued from a known part and used by an entropy coder.
    """

    context_features: int
    conditional: Conditional

    @abstractmethod
    def element_parameters(
        self,
        x: Float[Tensor, "B C H W"],
        context: Float[Tensor, "B K"] | None = None,
        cache: PixelCache | None = None,
    ) -> Float[Tensor, "B C h w P"]:
        """The parameters of each element's law, which depend on the elements of x before it alone: (B, C, H, W, P).

        With a cache only those at its pixel, (B, C, 1, 1, P), and the pixels must be visited in order.
        """

    @final
    def log_prob(self, x: Float[Tensor, "B *E"], context: Float[Tensor, "B K"] | None = None) -> Float[Tensor, "B"]:
        """log p(x | context), nats.  Raises ValueError where x or context has another shape than declared."""
        flatten_events(self, x, context)
        return self.conditional.log_prob(self.element_parameters(x, context), x).flatten(1).sum(1)

    @final
    def sample(
        self,
        n: int,
        context: Float[Tensor, "n K"] | None = None,
        *,
        generator: torch.Generator | None = None,
        cached: bool = True,
    ) -> Float[Tensor, "n C H W"]:
        """n draws; each pixel computes its own column of activations only, so its cost does not grow with the image.

        `cached=False` makes the same draws by a pass over the whole image for each element: a reference.
        """
        return draw(self, self.walk(n, context, cached=cached), n, generator)

    @property
    @final
    def order(self) -> Int64[Tensor, "D"]:
        """Row by row, pixel by pixel, colour by colour."""
        return raster_order(self.event_shape)

    @final
    def walk(self, n: int, context: Float[Tensor, "n K"] | None = None, *, cached: bool = True) -> Walk:
        """See `Autoregressive.walk`; no gradient is recorded."""
        check_context(self, n, context)
        x = empty_events(self, n, next(self.parameters()))
        yield from walk_pixels(lambda x, cache: self.element_parameters(x, context, cache), x, cached=cached)


def walk_pixels(
    element_parameters: Callable[[Tensor, PixelCache | None], Tensor],
    x: Float[Tensor, "n C H W"],
    is_known: Bool[Tensor, "H W"] | None = None,
    *,
    cached: bool = True,
) -> Walk:
    """Visit the pixels of x in order and fill in, in place, what is sent; known pixels are passed by."""
    element_parameters = torch.no_grad()(element_parameters)  # the buffers are written in place
    _, n_colours, height, width = x.shape
    cache = PixelCache(x, height, width) if cached else None
    for row in range(height):
        for column in range(width):
            if cache is not None:
                cache.move_to(row, column)
            if is_known is not None and is_known[row, column]:
                if cache is not None:
                    element_parameters(x, cache)  # its activations are what the next pixels will look at
                continue
            for colour in range(n_colours):
                parameters = element_parameters(x, cache)[:, colour]  # (n, h, w, P)
                x[:, colour, row, column] = yield parameters[:, 0, 0] if cached else parameters[:, row, column]


@torch.no_grad()
def draw(model: Autoregressive, walk: Walk, n: int, generator: torch.Generator | None) -> Float[Tensor, "n C H W"]:
    """The events that come of answering each law of a walk with a draw from it."""
    order = model.order
    parameters = next(walk)
    x = parameters.new_empty(n, len(order))
    for t, d in enumerate(order.tolist()):
        x[:, d] = model.conditional.sample(parameters, generator=generator)
        if t + 1 < len(order):
            parameters = walk.send(x[:, d])
    walk.close()
    return x.unflatten(1, model.event_shape)  # (n, D) -> (n, C, H, W)


def raster_order(event_shape: tuple[int, ...]) -> Int64[Tensor, "D"]:
    """The flat indices of (C, H, W) by row, by pixel and inside a pixel by colour."""
    n_colours, height, width = event_shape
    return torch.arange(n_colours * height * width).view(n_colours, height * width).T.flatten()


def image_shape(event_shape: Sequence[int]) -> tuple[int, ...]:
    """event_shape as (C, H, W).  Raises ValueError where it is of another kind."""
    if len(event_shape) != 3 or min(event_shape) < 1:
        raise ValueError(f"images have an event_shape (C, H, W), got {tuple(event_shape)}")
    return tuple(event_shape)


def check_channels(channels: int, multiple: int, n_colours: int) -> None:
    """Raises ValueError unless the features can be shared out among the colours."""
    if channels < 1 or channels % (multiple * n_colours) != 0:
        raise ValueError(
            f"the features are shared out among {n_colours} colours, so channels must be a multiple of "
            f"{multiple * n_colours}, got {channels}"
        )
