"""What the games from image to image share: a source in, an image out."""

from abc import abstractmethod
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from generative_core.families import AbstractTwoPlayer


class AbstractTranslator(AbstractTwoPlayer):
    """A game whose generator makes an event of a source.  Required: `translate`, `draw` and `*_terms`."""

    source_shape: tuple[int, ...]

    @abstractmethod
    def translate(
        self, source: Float[Tensor, "B *S"], *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "B *E"]:
        """One event for each source."""

    @final
    def sample(
        self, n: int, context: Float[Tensor, "n *S"] | None = None, *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "n *E"]:
        """`translate` the n sources in `context`.  Raises ValueError without them."""
        if context is None or len(context) != n:
            raise ValueError(
                f"{type(self).__name__} makes events of sources: give {n} of them, each {self.source_shape}, as the "
                f"context; got {'none' if context is None else len(context)}"
            )
        return self.translate(context, generator=generator)

    @final
    def check_source(self, source: Tensor) -> None:
        """Raises ValueError on a source of another shape than declared."""
        if tuple(source.shape[1:]) != self.source_shape:
            raise ValueError(
                f"this {type(self).__name__} was built for sources {self.source_shape}, got {tuple(source.shape[1:])}"
            )
