"""A history of what a generator has made, so that its critic does not forget."""

from collections.abc import Sequence
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn


@final
class ImageBuffer(nn.Module):
    """Keeps `size` events that were made before and mixes them with new ones.

    Until it is full it keeps each new event and returns it.  After that, with probability 1/2 the new event itself is
    returned and not kept; otherwise an old one is returned, drawn uniformly, and the new one takes its place.  The
    events of a batch go through in their order.  What is kept is part of `state_dict`.

    Paper: Shrivastava et al. 2017, https://arxiv.org/abs/1612.07828, sec. 2.3; this form: Zhu et al. 2017,
    https://arxiv.org/abs/1703.10593, sec. 4, with 50 images.
    """

    images: Tensor
    n_kept: Tensor

    def __init__(self, event_shape: Sequence[int], *, size: int = 50) -> None:
        super().__init__()
        if size < 0:
            raise ValueError(f"size counts the events that are kept, 0 for none; got {size}")
        self.size = size
        self.register_buffer("images", torch.zeros(size, *event_shape))
        self.register_buffer("n_kept", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def forward(self, x: Float[Tensor, "B *E"], *, generator: torch.Generator | None = None) -> Float[Tensor, "B *E"]:
        """As many events as x, without gradients; in evaluation mode x itself, and nothing is kept."""
        if self.size == 0 or not self.training:
            return x.detach()
        returned = x.detach().clone()
        # drawn at once and for every event, so that the draws do not depend on how full the buffer is
        is_old = (torch.rand(len(x), generator=generator, device=x.device) < 0.5).tolist()
        places = torch.randint(self.size, (len(x),), generator=generator, device=x.device).tolist()
        n_kept = int(self.n_kept)
        for i, new in enumerate(x.detach()):
            if n_kept < self.size:
                self.images[n_kept] = new
                n_kept += 1
            elif is_old[i]:
                returned[i] = self.images[places[i]]
                self.images[places[i]] = new
        self.n_kept.fill_(n_kept)
        return returned
