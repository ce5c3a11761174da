"""An encoder and a generator that share one side of a game."""

from typing import Generic, NamedTuple, TypeVar

from jaxtyping import Float
from torch import Tensor, nn

from generative_core.families import AbstractGenerator

E = TypeVar("E", bound=nn.Module)


class Coder(nn.Module, Generic[E]):
    """z = encoder(x), x' = decoder(z): the generator's side of a game that reconstructs as well as it draws."""

    encoder: E
    decoder: AbstractGenerator

    def __init__(self, encoder: E, decoder: AbstractGenerator) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder


class Decoded(NamedTuple):
    """One batch, decoded three ways; the values of the first two are equal."""

    reconstruction: Float[Tensor, "B *E"]
    """decoder(z), with gradients in z."""
    fixed_code: Float[Tensor, "B *E"]
    """decoder(z) with z a constant: what asks something of the decoder alone."""
    sample: Float[Tensor, "B *E"]
    """decoder(noise)."""


def decode_three_ways(decoder: AbstractGenerator, z: Float[Tensor, "B Z"], noise: Float[Tensor, "B Z"]) -> Decoded:
    """Three passes: in one, batch norm would carry gradients from one way to another."""
    return Decoded(decoder(z), decoder(z.detach()), decoder(noise))
