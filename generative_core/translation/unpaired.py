"""Two translators between two domains that are learned together, from batches without pairs."""

from typing import NamedTuple, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from generative_core.families import AbstractTwoPlayer


class Translated(NamedTuple):
    """Both ways at once."""

    y: Tensor
    """G(x), (B, *E): made from the batch of the source."""
    x: Tensor
    """F(y), (B, *S): made from the batch of the target."""


class AbstractUnpairedTranslator(AbstractTwoPlayer):
    """G: X -> Y and F: Y -> X, each with a critic of its range.  Required: `critic_terms` and `generator_terms`.

    A batch is (x, y) with as many rows of both, which have nothing to do with one another.  The networks of a player
    are `generator["to_y"]` and `["to_x"]`, `critic["y"]` and `["x"]`.  `event_shape` is the target's, of y.
    """

    generator: nn.ModuleDict
    critic: nn.ModuleDict
    source_shape: tuple[int, ...]

    @final
    def translate(self, x: Float[Tensor, "B *S"]) -> Float[Tensor, "B *E"]:
        """G(x)."""
        return self.generator["to_y"](x)

    @final
    def translate_back(self, y: Float[Tensor, "B *E"]) -> Float[Tensor, "B *S"]:
        """F(y)."""
        return self.generator["to_x"](y)

    @final
    def draw(self, *batch: Tensor, generator: torch.Generator | None = None) -> Translated:
        """(G(x), F(y)); nothing random, so `generator` is not used."""
        x, y = batch
        return Translated(self.translate(x), self.translate_back(y))

    @final
    def sample(
        self, n: int, context: Float[Tensor, "n *S"] | None = None, *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "n *E"]:
        """G(context), the context being the n events to translate.  Raises ValueError where it is not that."""
        if context is None or tuple(context.shape) != (n, *self.source_shape):
            got = None if context is None else tuple(context.shape)
            raise ValueError(
                f"{type(self).__name__} translates: give the events as context {(n, *self.source_shape)}, got {got}"
            )
        return self.translate(context)
