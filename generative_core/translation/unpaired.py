"""Two translators between two domains that are learned together, from batches without pairs."""

from typing import NamedTuple, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from generative_core.translation.translator import AbstractTranslator


class Translated(NamedTuple):
    """Both ways at once."""

    y: Tensor
    """G(x), (B, *E): made from the batch of the source."""
    x: Tensor
    """F(y), (B, *S): made from the batch of the target."""


class AbstractUnpairedTranslator(AbstractTranslator):
    """G: X -> Y and F: Y -> X, each with a critic of its range.  Required: `critic_terms` and `generator_terms`.

    A batch is (x, y) with as many rows of both, which have nothing to do with one another.  The networks of a player
    are `generator["to_y"]` and `["to_x"]`, `critic["y"]` and `["x"]`.  `event_shape` is the target's, of y, and
    `source_shape` that of x.
    """

    generator: nn.ModuleDict
    critic: nn.ModuleDict

    @final
    def translate(
        self, source: Float[Tensor, "B *S"], *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "B *E"]:
        """G(source); nothing is drawn from `generator`.  Raises ValueError on sources of another shape."""
        self.check_source(source)
        return self.generator["to_y"](source)

    @final
    def translate_back(self, y: Float[Tensor, "B *E"]) -> Float[Tensor, "B *S"]:
        """F(y)."""
        return self.generator["to_x"](y)

    @final
    def draw(self, *batch: Tensor, generator: torch.Generator | None = None) -> Translated:
        """(G(x), F(y)); nothing random, so `generator` is not used."""
        x, y = batch
        return Translated(self.translate(x), self.translate_back(y))
