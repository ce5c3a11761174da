"""The masked autoencoder for distribution estimation: all conditionals in one pass of one network."""

import math
from collections.abc import Callable, Sequence
from typing import final

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from generative_core.autoregressive.conditionals import Bernoulli, Conditional
from generative_core.autoregressive.ensemble import OneOrder, mean_density, sample_members
from generative_core.autoregressive.protocols import Walk, continue_from
from generative_core.autoregressive.vectors import check_context, empty_events, flatten_events
from generative_core.densities import log_odds
from generative_core.families import AbstractTractable
from generative_core.nets.masked import MaskedMLP


@final
class MADE(AbstractTractable):
    """log p(x | c) = sum_d log conditional(x_d; f_d(x_<d, c)) with f a `MaskedMLP`.

    With the default x is binary.  For real vectors (standardised ones, in tens of dimensions) take
    `MixtureOfGaussians(10)`, whose bounded scales keep the density finite where the data repeat a value.

    `n_masks` > 1 shares the weights between that many random sets of masks, of random orders with `random_order`, all
    from `seed`.  In training mode each `log_prob` is that of the next set in turn, and the turn is part of the state;
    in evaluation mode it is that of their mean, log 1/M sum_m p_m(x), and `member(m)` gives one set as a model.

    `direct` connects inputs to outputs, `residual` joins hidden layers of equal width.  Raises ValueError on another
    event or context shape than declared.

    Paper: Germain et al. 2015, https://arxiv.org/abs/1502.03509, sec. 4.  Differs: with one set of masks the hidden
    degrees are spread evenly instead of drawn at random; other laws than Bernoulli's.
    """

    n_calls: Tensor

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        hidden: Sequence[int] = (500,),
        conditional: Conditional = Bernoulli(),  # noqa: B008  frozen, so one instance serves all
        context_features: int = 0,
        activation: Callable[[], nn.Module] = nn.ReLU,
        direct: bool = False,
        residual: bool = False,
        n_masks: int = 1,
        random_order: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if n_masks < 1:
            raise ValueError(f"n_masks must be at least 1, got {n_masks}")
        self.event_shape = tuple(event_shape)
        self.context_features = context_features
        self.conditional = conditional
        self.n_masks = n_masks
        n_dims = math.prod(self.event_shape)
        generator = torch.Generator().manual_seed(seed)
        natural = torch.arange(n_dims)
        orders = [torch.randperm(n_dims, generator=generator) if random_order else natural for _ in range(n_masks)]
        self.net = MaskedMLP(
            n_dims,
            conditional.n_parameters,
            hidden=hidden,
            context_features=context_features,
            activation=activation,
            order=torch.stack(orders),
            residual=residual,
            direct=direct,
            degree_seed=seed if n_masks > 1 else None,
        )
        self.register_buffer("n_calls", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def initialise(self, x: Float[Tensor, "N *E"]) -> None:
        """Output biases from the rates of binary data, for a model that has not been trained yet.

        Elements that are nearly always 0 have log-odds which an optimiser with bounded steps is long in reaching.
        Raises ValueError where the law of the elements is not Bernoulli's.
        """
        if not isinstance(self.conditional, Bernoulli):
            raise ValueError(f"initialise starts from rates of binary data, this MADE has {self.conditional}")
        rows = x.flatten(1)
        self.net.layer(-1).bias.copy_(log_odds(rows.mean(0), len(rows)))

    @property
    def order(self) -> Int64[Tensor, "D"]:
        """The flat index of the element drawn first, second, and so on; of the first set, where there are several."""
        return self.member_order(0)

    def log_prob(self, x: Float[Tensor, "B *E"], context: Float[Tensor, "B K"] | None = None) -> Float[Tensor, "B"]:
        """log p(x | context), nats; with several masks see the class."""
        flat = flatten_events(self, x, context)
        if self.training and self.n_masks > 1:
            turn = int(self.n_calls) % self.n_masks
            self.n_calls += 1
            return self.member_log_prob(flat, context, turn)
        return mean_density([self.member_log_prob(flat, context, m) for m in range(self.n_masks)])

    def sample(
        self, n: int, context: Float[Tensor, "n K"] | None = None, *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "n *E"]:
        """n draws, element after element; with several masks each from one of them, evenly."""
        check_context(self, n, context)
        if self.n_masks > 1:
            return sample_members([self.member(m) for m in range(self.n_masks)], n, context, generator)
        empty = empty_events(self, n, next(self.parameters()))
        return continue_from(self, empty, 0, context, generator=generator)

    def walk(self, n: int, context: Float[Tensor, "n K"] | None = None) -> Walk:
        """See `Autoregressive.walk`.  Raises ValueError with several masks."""
        if self.n_masks > 1:
            raise ValueError(
                f"this MADE is a mean over {self.n_masks} sets of masks, which has no single order to walk along; "
                "take one set with .member(m), or build it with n_masks=1"
            )
        return self.member_walk(n, context, 0)

    def member(self, m: int) -> OneOrder:
        """The model with the m-th set of masks, 0 to n_masks - 1."""
        if not 0 <= m < self.n_masks:
            raise ValueError(f"this MADE has masks 0 to {self.n_masks - 1}, got {m}")
        return OneOrder(self, m)

    def member_order(self, member: int) -> Int64[Tensor, "D"]:
        """The order of one set of masks."""
        return self.net.get_buffer("orders")[member]

    def member_log_prob(
        self, flat: Float[Tensor, "B D"], context: Float[Tensor, "B K"] | None, member: int
    ) -> Float[Tensor, "B"]:
        """log p under one set of masks, nats."""
        parameters = self.net(flat, context, member=member).to(flat.dtype)  # (B, D, P)
        return self.conditional.log_prob(parameters, flat).sum(1)

    def member_walk(self, n: int, context: Float[Tensor, "n K"] | None, member: int) -> Walk:
        """Walk along the order of one set of masks: the first layer gains a column a step, only one output is read."""
        check_context(self, n, context)
        net, n_parameters, last = self.net, self.conditional.n_parameters, len(self.net.layers) - 1
        weights = [net.masked_weight(i, member) for i in range(len(net.layers))]
        direct = None if net.direct is None else net.masked_direct(member)
        seen = net.join(weights[0].new_zeros(n, net.n_in), context)
        first = F.linear(seen, weights[0], net.layer(0).bias)
        for d in self.member_order(member).tolist():
            rows = slice(d * n_parameters, (d + 1) * n_parameters)
            h = net.hidden_from_first(first, weights)
            parameters = F.linear(net.activation(h), weights[last][rows], net.layer(last).bias[rows])
            if direct is not None:
                parameters = parameters + F.linear(seen, direct[rows])
            value = yield parameters
            first = torch.addcmul(first, value.unsqueeze(1), weights[0][:, d])
            seen[:, d] = value
