"""An endless stream of shuffled minibatches whose place can be saved."""

from typing import Any

import torch
from torch import Tensor


class ShuffledBatches:
    """Endless iterator over (x,) or (x, context) minibatches: each epoch is a fresh permutation of the rows.

    Every batch has `batch_size` rows; the rows that do not fill one at the end of an epoch are left out of it.  Raises
    ValueError where the tensors differ in length or hold less than one batch.
    """

    def __init__(self, *tensors: Tensor, batch_size: int, seed: int = 0) -> None:
        lengths = {len(tensor) for tensor in tensors}
        if len(lengths) != 1:
            raise ValueError(f"all tensors must have the same number of rows, got {sorted(lengths)}")
        (self.n_rows,) = lengths
        if not 0 < batch_size <= self.n_rows:
            raise ValueError(f"batch_size must be between 1 and the number of rows, {self.n_rows}; got {batch_size}")
        self.tensors = tensors
        self.batch_size = batch_size
        self.generator = torch.Generator().manual_seed(seed)
        self.order = torch.randperm(self.n_rows, generator=self.generator)
        self.position = 0

    def __iter__(self) -> "ShuffledBatches":
        return self

    def __next__(self) -> tuple[Tensor, ...]:
        if self.position + self.batch_size > self.n_rows:
            self.order = torch.randperm(self.n_rows, generator=self.generator)
            self.position = 0
        rows = self.order[self.position : self.position + self.batch_size]
        self.position += self.batch_size
        return tuple(tensor[rows.to(tensor.device)] for tensor in self.tensors)

    def state_dict(self) -> dict[str, Any]:
        """The place in the stream, without the data."""
        return {"order": self.order, "position": self.position, "generator": self.generator.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved place.  Raises ValueError where that was in data of another length."""
        if len(state["order"]) != self.n_rows:
            raise ValueError(
                f"the saved place is in data of {len(state['order'])} rows, this has {self.n_rows}; "
                "resume with the data that the run began with"
            )
        self.order = state["order"]
        self.position = state["position"]
        self.generator.set_state(state["generator"])
