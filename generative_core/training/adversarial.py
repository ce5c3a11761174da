"""The game of two players, one round at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from generative_core.families import AbstractTwoPlayer, Drawn, Terms
from generative_core.training.schedules import Schedule
from generative_core.training.steps import adam, private_generator, require_finite, require_finite_gradient


class AdversarialStep:
    """One round of a game of two players: `critic_steps` updates of the critic, `generator_steps` of the generator.

    Both players learn from the same drawing of the generator, the critic from a copy without gradients; every update
    beyond the first of a player has a drawing of its own.  Adam moves each player's own parameters, and no gradient is
    left on the other's.  `schedule` gives the factor of both step sizes at each round.

    Metrics, measured before the players move: `critic/NAME` and `generator/NAME`, the terms that the model names,
    `loss` (the critic's sum) and `loss_generator`; none of a player that rests.  The state has no place for torch's
    global generator, which dropout draws from.

    Raises ValueError where a round would have no updates, and FloatingPointError on a loss or a gradient that is not
    finite, before the player that it belongs to has moved.
    """

    def __init__(
        self,
        model: AbstractTwoPlayer,
        *,
        lr: float = 2e-4,
        lr_critic: float | None = None,
        critic_steps: int = 1,
        generator_steps: int = 1,
        betas: tuple[float, float] = (0.5, 0.999),
        schedule: Schedule | None = None,
        seed: int = 0,
    ) -> None:
        if min(critic_steps, generator_steps) < 0 or critic_steps + generator_steps == 0:
            raise ValueError(
                f"a round needs updates: critic_steps and generator_steps are 0 or more and not both 0, got "
                f"{critic_steps} and {generator_steps}"
            )
        self.model = model
        self.lr = {"critic": lr if lr_critic is None else lr_critic, "generator": lr}
        self.critic_steps = critic_steps
        self.generator_steps = generator_steps
        self.schedule = schedule
        self.optimisers = {
            name: adam(player, self.lr[name], betas=betas)
            for name, player in (("critic", model.critic), ("generator", model.generator))
        }
        self._parameters = {
            name: {p for group in optimiser.param_groups for p in group["params"]}
            for name, optimiser in self.optimisers.items()
        }
        self.generator = private_generator(model, seed)
        self.n_updates = 0

    def __call__(self, *batch: Tensor) -> dict[str, float]:
        self.model.train()
        if self.schedule is not None:
            for name, optimiser in self.optimisers.items():
                for group in optimiser.param_groups:
                    group["lr"] = self.lr[name] * self.schedule(self.n_updates)
        metrics: dict[str, float] = {}
        drawn: Drawn | None = None
        for i in range(self.critic_steps):
            is_shared = i == self.critic_steps - 1 and self.generator_steps > 0
            with torch.set_grad_enabled(is_shared):
                drawn = self.model.draw(*batch, generator=self.generator)
            terms = self.model.critic_terms(without_gradients(drawn), *batch, generator=self.generator)
            metrics |= self._update("critic", terms)
        for i in range(self.generator_steps):
            if drawn is None or i > 0:
                drawn = self.model.draw(*batch, generator=self.generator)
            with _fixed(self._parameters["critic"] - self._parameters["generator"]):
                terms = self.model.generator_terms(drawn, *batch, generator=self.generator)
            metrics |= self._update("generator", terms)
        self.n_updates += 1
        return metrics

    def _update(self, name: str, terms: Terms) -> dict[str, float]:
        """One step of one player down the sum of its terms; a player without terms rests."""
        if not terms:
            return {}
        values = torch.stack(list(terms.values()))
        metrics = {f"{name}/{term}": value for term, value in zip(terms, values.tolist(), strict=True)}  # one transfer
        total = "loss" if name == "critic" else "loss_generator"
        metrics[total] = sum(metrics.values())
        require_finite(metrics[total], f"the loss of {type(self.model).__name__}'s {name} ({', '.join(terms)})")
        loss = values.sum()
        optimiser = self.optimisers[name]
        # gradients of one player alone: the other's are neither needed nor left behind
        parameters = [p for group in optimiser.param_groups for p in group["params"]]
        grads = torch.autograd.grad(loss, parameters, allow_unused=True)
        require_finite_gradient(grads)
        for parameter, grad in zip(parameters, grads, strict=True):
            # a fused optimiser reads memory as it lies, and gradients of gradients may lie otherwise than the parameter
            is_plain = grad is None or grad.stride() == parameter.stride()
            parameter.grad = grad if is_plain else torch.empty_like(parameter).copy_(grad)
        optimiser.step()
        return metrics

    def state_dict(self) -> dict[str, Any]:
        return {
            "model": self.model.state_dict(),
            "optimisers": {name: optimiser.state_dict() for name, optimiser in self.optimisers.items()},
            "generator": self.generator.get_state(),
            "n_updates": self.n_updates,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        for name, optimiser in self.optimisers.items():
            optimiser.load_state_dict(state["optimisers"][name])
        self.generator.set_state(state["generator"])
        self.n_updates = state["n_updates"]


@contextmanager
def _fixed(parameters: set[nn.Parameter]) -> Iterator[None]:
    """No graph of these is built meanwhile: the generator's gradients pass through the critic, not into it."""
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)


def without_gradients(drawn: Drawn) -> Drawn:
    """The same drawing, cut off from the generator."""
    if isinstance(drawn, Tensor):
        return drawn.detach()
    parts = [part.detach() for part in drawn]
    return type(drawn)(*parts) if hasattr(drawn, "_fields") else tuple(parts)  # a NamedTuple stays one
