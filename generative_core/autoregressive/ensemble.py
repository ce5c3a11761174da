"""One network, several orders: p(x) = 1/M sum_m p(x | order m), and one of its members as a model of its own."""

import math
from typing import Protocol, TypeVar, final, runtime_checkable

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from generative_core.autoregressive.conditionals import Conditional
from generative_core.autoregressive.protocols import Walk, continue_from
from generative_core.autoregressive.vectors import empty_events, flatten_events
from generative_core.families import AbstractTractable

Member = TypeVar("Member", contravariant=True)


@runtime_checkable
class Ensemble(Protocol[Member]):
    """What a model of several orders gives for each; a `Member` names one, by its number or by the order itself."""

    event_shape: tuple[int, ...]
    context_features: int
    conditional: Conditional
    training: bool

    def member_order(self, member: Member) -> Int64[Tensor, "D"]: ...

    def member_log_prob(
        self, flat: Float[Tensor, "B D"], context: Float[Tensor, "B K"] | None, member: Member
    ) -> Float[Tensor, "B"]: ...

    def member_walk(self, n: int, context: Float[Tensor, "n K"] | None, member: Member) -> Walk: ...


@final
class OneOrder(AbstractTractable):
    """One member of an ensemble: an `Autoregressive`, which shares the ensemble's parameters."""

    def __init__(self, ensemble: Ensemble[Member], member: Member) -> None:
        super().__init__()
        assert isinstance(ensemble, nn.Module)
        self.ensemble = ensemble
        self.event_shape = ensemble.event_shape
        self.context_features = ensemble.context_features
        self.conditional = ensemble.conditional
        self._member = member
        self.train(ensemble.training)

    @property
    def order(self) -> Int64[Tensor, "D"]:
        """The flat index of the element drawn first, second, and so on."""
        return self.ensemble.member_order(self._member)

    def log_prob(self, x: Float[Tensor, "B *E"], context: Float[Tensor, "B K"] | None = None) -> Float[Tensor, "B"]:
        """log p(x | order, context), nats."""
        return self.ensemble.member_log_prob(flatten_events(self, x, context), context, self._member)

    def sample(
        self, n: int, context: Float[Tensor, "n K"] | None = None, *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "n *E"]:
        """n draws, element after element."""
        empty = empty_events(self, n, next(self.parameters()))
        return continue_from(self, empty, 0, context, generator=generator)

    def walk(self, n: int, context: Float[Tensor, "n K"] | None = None) -> Walk:
        """See `Autoregressive.walk`."""
        return self.ensemble.member_walk(n, context, self._member)


def mean_density(log_probs: list[Tensor]) -> Float[Tensor, "B"]:
    """log 1/M sum_m p_m from M tensors (B,) of log p_m."""
    return torch.logsumexp(torch.stack(log_probs), dim=0) - math.log(len(log_probs))


@torch.no_grad()
def sample_members(
    members: list[OneOrder], n: int, context: Float[Tensor, "n K"] | None, generator: torch.Generator | None
) -> Float[Tensor, "n *E"]:
    """n draws, each from a member drawn evenly: exact draws from the mean density."""
    like = next(members[0].parameters())
    chosen = torch.randint(len(members), (n,), generator=generator, device=like.device)
    x = empty_events(members[0], n, like)
    for k, member in enumerate(members):
        rows = (chosen == k).nonzero().squeeze(1)
        if len(rows):
            x[rows] = member.sample(len(rows), None if context is None else context[rows], generator=generator)
    return x
