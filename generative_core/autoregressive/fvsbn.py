"""The fully visible sigmoid belief network: one logistic regression an element."""

import math
from collections.abc import Sequence
from typing import final

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from generative_core.autoregressive.conditionals import Bernoulli, Conditional
from generative_core.autoregressive.protocols import Walk, continue_from
from generative_core.autoregressive.vectors import check_context, empty_events, flatten_events
from generative_core.densities import log_odds
from generative_core.families import AbstractTractable


@final
class FVSBN(AbstractTractable):
    """p(x_d = 1 | x_<d, c) = sigmoid(b_d + w_d . x_<d + u_d . c) for binary x, in the flattened order.

    O(D^2) parameters, one matrix product a batch.  Raises ValueError on another event or context shape than declared.

    Papers: Neal 1992, "Connectionist learning of belief networks"; Frey 1998, "Graphical models for machine learning
    and digital communication".
    """

    conditional: Conditional = Bernoulli()

    def __init__(self, event_shape: Sequence[int], *, context_features: int = 0) -> None:
        super().__init__()
        self.event_shape = tuple(event_shape)
        self.context_features = context_features
        n_dims = math.prod(self.event_shape)
        width = 1 / math.sqrt(n_dims)
        # w_d in row d; entries on and above the diagonal are never read
        self.weight = nn.Parameter(torch.empty(n_dims, n_dims).uniform_(-width, width))
        self.bias = nn.Parameter(torch.zeros(n_dims))  # b
        self.context_net = nn.Linear(context_features, n_dims, bias=False) if context_features else None  # u

    @torch.no_grad()
    def initialise(self, x: Float[Tensor, "N *E"]) -> None:
        """Biases from the data's rates, for a model that has not been trained yet: see `MADE.initialise`."""
        self.bias.copy_(log_odds(x.flatten(1).mean(0), len(x)))

    @property
    def order(self) -> Int64[Tensor, "D"]:
        """The flattened order."""
        return torch.arange(len(self.bias))

    def log_prob(self, x: Float[Tensor, "B *E"], context: Float[Tensor, "B K"] | None = None) -> Float[Tensor, "B"]:
        """log p(x | context), nats."""
        flat = flatten_events(self, x, context)
        logits = F.linear(flat, self.weight.tril(-1)) + self._start(len(x), context)  # (B, D)
        return self.conditional.log_prob(logits.to(flat.dtype).unsqueeze(-1), flat).sum(1)

    def sample(
        self, n: int, context: Float[Tensor, "n K"] | None = None, *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "n *E"]:
        """n draws, element after element: O(D^2) each."""
        return continue_from(self, empty_events(self, n, self.bias), 0, context, generator=generator)

    def walk(self, n: int, context: Float[Tensor, "n K"] | None = None) -> Walk:
        """See `Autoregressive.walk`."""
        check_context(self, n, context)
        start = self._start(n, context)
        seen = self.bias.new_zeros(n, len(self.bias))
        for d in range(len(self.bias)):
            logit = start[:, d] + seen[:, :d] @ self.weight[d, :d]
            seen[:, d] = yield logit.unsqueeze(-1)

    def _start(self, n: int, context: Tensor | None) -> Float[Tensor, "n D"]:
        """The logits before any element is seen."""
        start = self.bias.expand(n, -1)
        return start if context is None or self.context_net is None else start + self.context_net(context)
