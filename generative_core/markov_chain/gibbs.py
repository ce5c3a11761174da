"""What Boltzmann machines of every kind share: an energy, and a Gibbs chain whose stationary law is the model."""

import math
from abc import abstractmethod
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from generative_core.families import AbstractEnergy


class AbstractGibbs(AbstractEnergy):
    """p(x) = exp(-energy(x)) / Z, sampled by a Gibbs chain over `state`, some of the model's units.

    The rest of the units is summed out: p(state) = exp(-chain_energy(state)) / Z with the same Z, so that the gradient
    of log Z is the mean of -grad chain_energy over the chain, with less noise than a draw of all the units would give.
    Required: `energy`, `chain_energy`, `gibbs`, `random_chains`, `chains_from` and `visible`; and `clamped_energy`
    where `energy` is a bound.
    """

    @abstractmethod
    def chain_energy(self, state: Float[Tensor, "n S"]) -> Float[Tensor, "n"]:
        """-log of the state's unnormalised probability, nats; differentiable in the parameters."""

    @abstractmethod
    def gibbs(
        self, state: Float[Tensor, "n S"], n_sweeps: int, *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "n S"]:
        """n chains, each `n_sweeps` sweeps further; a sweep redraws every unit once."""

    @abstractmethod
    def random_chains(self, n: int, *, generator: torch.Generator | None = None) -> Float[Tensor, "n S"]:
        """n states that know nothing of the model."""

    @abstractmethod
    def chains_from(
        self, x: Float[Tensor, "B *E"], *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "B S"]:
        """A state for each event, drawn given the event."""

    @abstractmethod
    def visible(
        self, state: Float[Tensor, "n S"], *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "n *E"]:
        """The events that belong to the states: read from them, or drawn given them."""

    def clamped_energy(
        self, x: Float[Tensor, "B *E"], *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "B"]:
        """What training lowers at the data: on average its gradient in the parameters is the free energy's.

        That is `energy` where hidden units are summed out exactly.  Elsewhere it is the energy at hidden units drawn
        given x, whose value lacks their entropy.
        """
        return self.energy(x)

    @final
    @torch.no_grad()
    def sample(
        self,
        n: int,
        context: Float[Tensor, "n *K"] | None = None,
        *,
        generator: torch.Generator | None = None,
        n_sweeps: int = 1000,
    ) -> Float[Tensor, "n *E"]:
        """The ends of n chains of `n_sweeps` sweeps from random states.

        Independent of each other, but only as close to the model as the chain has mixed: between modes far apart 1000
        sweeps can be far too few.
        """
        self._refuse_context(context)
        state = self.gibbs(self.random_chains(n, generator=generator), n_sweeps, generator=generator)
        return self.visible(state, generator=generator)

    @final
    @property
    def n_visible(self) -> int:
        """D, the elements of an event."""
        return math.prod(self.event_shape)

    @final
    def rows(self, x: Float[Tensor, "B *E"], context: Tensor | None = None) -> Float[Tensor, "B D"]:
        """Events as vectors.  Raises ValueError on another shape, or on a context: these models are unconditional."""
        self._refuse_context(context)
        if tuple(x.shape[1:]) != self.event_shape:
            raise ValueError(
                f"{type(self).__name__} was built for events {self.event_shape}, got {len(x)} of {tuple(x.shape[1:])}"
            )
        return x.reshape(len(x), self.n_visible)

    def _refuse_context(self, context: Tensor | None) -> None:
        if context is not None:
            raise ValueError(f"{type(self).__name__} is unconditional: call it without context")


def check_widths(**widths: int) -> None:
    """Raises ValueError on a number of units below one."""
    for name, width in widths.items():
        if width < 1:
            raise ValueError(f"{name} must be at least 1, got {width}")
