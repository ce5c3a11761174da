"""PixelCNN: the chain rule by masked convolutions."""

from collections.abc import Sequence
from typing import final

from jaxtyping import Float
from torch import Tensor, nn

from generative_core.autoregressive.conditionals import Bernoulli, Conditional
from generative_core.autoregressive.pixel_model import AbstractPixelModel, check_channels, image_shape
from generative_core.autoregressive.pixel_trunk import Condition, PixelTrunk, as_condition
from generative_core.nets.masked_conv import OffsetConv2d, masked_conv
from generative_core.nets.pixel_cache import PixelCache


@final
class PixelCNN(AbstractPixelModel):
    """p(x) = prod p(x_cij | x before cij), every factor from one stack of masked convolutions.

    Events (C, H, W) in the values of `conditional`: {0, 1} for `Bernoulli()`, levels of [-1, 1] for `Categorical(256)`
    or `DiscretisedLogisticMixture`.  Red, green and blue of a pixel are drawn in this order, each given those before.
    `channels` must be a multiple of 2 C (ValueError).  A context (B, K) shifts the features of every layer.

    The stack has a blind spot: r rows above a pixel, what lies more than r + 2 columns to its right is not seen at any
    depth, because each 3 x 3 layer climbs one row for each column.  `GatedPixelCNN` has none.

    Paper: van den Oord et al. 2016, https://arxiv.org/abs/1601.06759, sec. 3.4 and table 1.  Differs: takes a context.
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        conditional: Conditional = Bernoulli(),  # noqa: B008  frozen, so one instance serves all
        channels: int = 96,
        layers: int = 7,
        context_features: int = 0,
    ) -> None:
        super().__init__()
        self.event_shape = image_shape(event_shape)
        self.conditional = conditional
        self.context_features = context_features
        n_colours = self.event_shape[0]
        check_channels(channels, 2, n_colours)
        self.trunk = PixelTrunk(
            n_colours,
            conditional.n_parameters,
            channels=channels,
            layers=[ResidualConv(channels, n_colours, context_features) for _ in range(layers)],
        )

    def element_parameters(
        self,
        x: Float[Tensor, "B C H W"],
        context: Float[Tensor, "B K"] | None = None,
        cache: PixelCache | None = None,
    ) -> Float[Tensor, "B C h w P"]:
        """Parameters of each element's law, from the elements before it in its field of view."""
        return self.trunk(x, as_condition(context), cache)


class ResidualConv(nn.Module):
    """y + (1 x 1: h -> 2h) relu (masked 3 x 3: h -> h) relu (1 x 1: 2h -> h) relu y, with 2h channels (figure 5)."""

    def __init__(self, channels: int, n_groups: int, condition_features: int) -> None:
        super().__init__()
        hidden = channels // 2
        self.narrow = OffsetConv2d(channels, hidden, mask="B", n_groups=n_groups)
        self.look = masked_conv(hidden, hidden, 3, mask="B", n_groups=n_groups)
        self.widen = OffsetConv2d(hidden, channels, mask="B", n_groups=n_groups)
        self.condition = Condition(condition_features, hidden)

    def forward(self, y: Tensor, x: Tensor, condition: Tensor | None = None, cache: PixelCache | None = None) -> Tensor:
        h = self.narrow(y.relu(), cache)
        h = self.look(h.relu(), cache) + self.condition(condition)
        return y + self.widen(h.relu(), cache)
