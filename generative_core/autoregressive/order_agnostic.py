"""NADE for every order at once: a deep network that is told which elements it knows."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import final

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from generative_core.autoregressive.conditionals import Bernoulli, Conditional
from generative_core.autoregressive.ensemble import OneOrder, mean_density, sample_members
from generative_core.autoregressive.protocols import Walk
from generative_core.autoregressive.vectors import check_context, flatten_events
from generative_core.families import AbstractTractable


@final
class OrderAgnosticNADE(AbstractTractable):
    """p(x_d | x_K, c) = conditional(f_d([x * k, k, c])) for every known set K, with k its 0-1 mask and f a deep MLP.

    Any order makes a density of it: `in_order(order)` is that model, and `complete` fills in any part of an event.
    `log_prob` is exact, log 1/M sum_m p(x | order m) over M = `n_orders` orders drawn from `seed` (the ensemble of the
    paper); it takes D passes an order.  `loss` takes one: with a random order o and a random number k of known
    elements an event,

        loss = D / (D - k) * sum_{t >= k} -log p(x_o[t] | x_o[<k]),    E[loss] = E_o[-log p(x | o)].

    `n_orders` and `seed` are no part of the state: weights trained once serve ensembles of any size.  Raises ValueError
    on another event or context shape than declared.

    Paper: Uria et al. 2014, https://arxiv.org/abs/1310.1757.
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        hidden: Sequence[int] = (500, 500),
        conditional: Conditional = Bernoulli(),  # noqa: B008  frozen, so one instance serves all
        context_features: int = 0,
        activation: Callable[[], nn.Module] = nn.ReLU,
        n_orders: int = 1,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if n_orders < 1:
            raise ValueError(f"n_orders must be at least 1, got {n_orders}")
        if len(hidden) == 0:
            raise ValueError("OrderAgnosticNADE needs at least one hidden layer, got hidden=()")
        self.event_shape = tuple(event_shape)
        self.context_features = context_features
        self.conditional = conditional
        self.n_dims = math.prod(self.event_shape)
        widths = [2 * self.n_dims + context_features, *hidden]
        self.first = nn.Linear(widths[0], widths[1])  # reads [x * k, k, c]
        deep = [layer for a, b in pairwise(widths[1:]) for layer in (activation(), nn.Linear(a, b))]
        self.deep = nn.Sequential(*deep, activation())
        self.output = nn.Linear(widths[-1], self.n_dims * conditional.n_parameters)
        generator = torch.Generator().manual_seed(seed)
        orders = torch.stack([torch.randperm(self.n_dims, generator=generator) for _ in range(n_orders)])
        self.register_buffer("orders", orders, persistent=False)

    def forward(
        self, flat: Float[Tensor, "B D"], known: Bool[Tensor, "B D"], context: Float[Tensor, "B K"] | None = None
    ) -> Float[Tensor, "B D P"]:
        """Parameters of every element's law given the known ones; what x holds elsewhere is not read."""
        inputs = [torch.where(known, flat, 0.0), known.to(flat.dtype)]
        inputs += [] if context is None else [context]
        out = self.output(self.deep(self.first(torch.cat(inputs, dim=1))))
        return out.to(flat.dtype).unflatten(1, (self.n_dims, self.conditional.n_parameters))  # (B, D*P) -> (B, D, P)

    def loss(
        self,
        x: Float[Tensor, "B *E"],
        context: Float[Tensor, "B K"] | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "B"]:
        """An unbiased estimate of -log p(x | order), nats, averaged over all orders, in one pass instead of D."""
        flat = flatten_events(self, x, context)
        draws = torch.rand(len(flat), self.n_dims + 1, generator=generator, device=flat.device)
        n_known = (draws[:, :1] * self.n_dims).long().clamp(max=self.n_dims - 1)  # 0 to D - 1, evenly
        known = draws[:, 1:].argsort(dim=1).argsort(dim=1) < n_known  # the first of a random order
        nll = -self.conditional.log_prob(self(flat, known, context), flat)
        return torch.where(known, 0.0, nll).sum(1) * self.n_dims / (self.n_dims - n_known.squeeze(1))

    def log_prob(self, x: Float[Tensor, "B *E"], context: Float[Tensor, "B K"] | None = None) -> Float[Tensor, "B"]:
        """log 1/M sum_m p(x | order m, context), nats."""
        flat = flatten_events(self, x, context)
        return mean_density([self.member_log_prob(flat, context, order) for order in self.get_buffer("orders")])

    def sample(
        self, n: int, context: Float[Tensor, "n K"] | None = None, *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "n *E"]:
        """n draws, each along one of the M orders, evenly."""
        check_context(self, n, context)
        return sample_members([self.in_order(order) for order in self.get_buffer("orders")], n, context, generator)

    @property
    def order(self) -> Int64[Tensor, "D"]:
        """The flat index of the element drawn first, second, and so on; of the first order, where there are several."""
        return self.get_buffer("orders")[0]

    def walk(self, n: int, context: Float[Tensor, "n K"] | None = None) -> Walk:
        """See `Autoregressive.walk`.  Raises ValueError with several orders."""
        orders = self.get_buffer("orders")
        if len(orders) > 1:
            raise ValueError(
                f"this OrderAgnosticNADE is a mean over {len(orders)} orders, which has no single order to walk along; "
                "take one with .in_order(order), or build it with n_orders=1"
            )
        return self.member_walk(n, context, orders[0])

    def in_order(self, order: Int64[Tensor, "D"]) -> OneOrder:
        """The model that visits the elements in this order, given by their flat indices."""
        if not torch.equal(order.sort().values, torch.arange(self.n_dims, device=order.device)):
            raise ValueError(f"an order lists the elements 0 to {self.n_dims - 1} once, got {order.tolist()}")
        return OneOrder(self, order)

    def member_order(self, member: Int64[Tensor, "D"]) -> Int64[Tensor, "D"]:
        """An order is its own name."""
        return member

    def member_log_prob(
        self, flat: Float[Tensor, "B D"], context: Float[Tensor, "B K"] | None, member: Int64[Tensor, "D"]
    ) -> Float[Tensor, "B"]:
        """log p(x | order), nats, in D passes of which the first layer costs one column each."""
        walk = self.member_walk(len(flat), context, member)
        parameters, total = next(walk), flat.new_zeros(len(flat))
        order = member.tolist()
        for t, d in enumerate(order):
            total = total + self.conditional.log_prob(parameters.to(flat.dtype), flat[:, d])
            if t + 1 < len(order):
                parameters = walk.send(flat[:, d])
        return total

    def member_walk(self, n: int, context: Float[Tensor, "n K"] | None, member: Int64[Tensor, "D"]) -> Walk:
        """Walk along any order; nothing is written in place, so gradients may pass."""
        check_context(self, n, context)
        n_dims, n_parameters = self.n_dims, self.conditional.n_parameters
        weight = self.first.weight  # columns: D of x * k, D of k, K of c
        a = self.first.bias.expand(n, -1)
        if context is not None:
            a = a + F.linear(context, weight[:, 2 * n_dims :])
        for d in member.tolist():
            rows = slice(d * n_parameters, (d + 1) * n_parameters)
            value = yield F.linear(self.deep(a), self.output.weight[rows], self.output.bias[rows])
            a = torch.addcmul(a + weight[:, n_dims + d], value.unsqueeze(1), weight[:, d])
