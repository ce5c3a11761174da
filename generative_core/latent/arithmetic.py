"""Arithmetic of codes: an attribute as a direction."""

from jaxtyping import Bool, Float
from torch import Tensor


def attribute_vector(codes: Float[Tensor, "n Z"], has: Bool[Tensor, "n"]) -> Float[Tensor, "Z"]:
    """E[z | with the attribute] - E[z | without it]: added to an event's code, it adds the attribute to the event.

    `has` says which of the events have it.  Raises ValueError where all have it or none.

    Papers: Radford et al. 2016, https://arxiv.org/abs/1511.06434, sec. 6.3.2, of a GAN's latents; by an encoder's codes
    of images, as here, Larsen et al. 2016, https://arxiv.org/abs/1512.09300, sec. 4.2.
    """
    n_with = int(has.sum())
    if n_with in (0, len(has)):
        raise ValueError(
            f"{n_with} of {len(has)} events have the attribute: give codes of events with it and of others without it"
        )
    return codes[has].mean(0) - codes[~has].mean(0)
