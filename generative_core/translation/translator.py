"""What the games from image to image share: a source in, an image out."""

from abc import abstractmethod
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from generative_core.families import AbstractTwoPlayer


class AbstractTranslator(AbstractTwoPlayer):
    """A game whose generator makes an event of a source.  Required: `translate`, `draw` and `*_terms`.

    The order of a batch: of pairs it is (target, source, ...), the target first, since it is the x that is generated;
    without pairs it is (source, target), as the translation goes.  `PerceptualGAN` differs: its sides have classes and
    no pairs, and it takes (large, label_large, small, label_small), the large ones being the target's side.
    """

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


def require_weights(**weights: float) -> None:
    """Raises ValueError unless all weights of loss terms are at least 0."""
    wrong = {name: weight for name, weight in weights.items() if not weight >= 0}  # nan is wrong too
    if wrong:
        raise ValueError(f"weights of losses must not be negative, 0 leaves a term out; got {_listed(wrong)}")


def require_some_weight(**weights: float) -> None:
    """`require_weights`, and ValueError where all are 0, so that nothing would be learned."""
    require_weights(**weights)
    if not any(weights.values()):
        raise ValueError(f"the weights {_listed(weights)} must not all be zero: nothing would be left to learn")


def _listed(weights: dict[str, float]) -> str:
    return ", ".join(f"{name}={weight}" for name, weight in weights.items())
