"""One update of a Boltzmann machine, its negative phase read off a Markov chain."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from generative_core.markov_chain.gibbs import AbstractGibbs
from generative_core.training.schedules import Schedule
from generative_core.training.steps import _step, adam, private_generator, require_finite


class ContrastiveDivergenceStep:
    """Minimise -log p(x) = energy(x) + log Z, with grad log Z estimated on Gibbs chains.

        grad = mean_data grad clamped_energy(x) - mean_chains grad chain_energy(state)

    `persistent` (the default): `n_chains` chains live on, each update takes them `n_sweeps` sweeps further, and while
    the model moves slowly they stay close to it.  Otherwise CD-k, k = `n_sweeps`: as many chains as events, started
    from them anew each time; that is less noisy, but biased, and leaves modes alone that the data never visit.

    The gradient's noise does not die out, so end a run with a `schedule` that falls to zero, such as `linear_decay`, or
    average the parameters with `ExponentialMovingAverage`.

    Metrics, before the update: `energy_data` and `energy_model` (means, nats) and `loss`, their difference.  It is no
    likelihood and does not measure progress; for that see `annealed_importance_sampling`.  Raises FloatingPointError on
    a loss or a gradient that is not finite, before anything has moved.

    Papers: Hinton 2002, "Training products of experts by minimizing contrastive divergence"; Tieleman 2008, "Training
    restricted Boltzmann machines using approximations to the likelihood gradient".  Differs: Adam, and chain units
    that can be are summed out of the gradient.
    """

    def __init__(
        self,
        model: AbstractGibbs,
        *,
        lr: float = 5e-3,
        schedule: Schedule | None = None,
        n_sweeps: int = 1,
        persistent: bool = True,
        n_chains: int = 100,
        weight_decay: float = 0.0,
        max_grad_norm: float | None = None,
        seed: int = 0,
    ) -> None:
        for name, value in (("n_sweeps", n_sweeps), ("n_chains", n_chains)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        self.model = model
        self.lr = lr
        self.schedule = schedule
        self.n_sweeps = n_sweeps
        self.persistent = persistent
        self.max_grad_norm = max_grad_norm
        self.optimiser = adam(model, lr, weight_decay=weight_decay)
        self.generator = private_generator(model, seed)
        self.chains = model.random_chains(n_chains if persistent else 0, generator=self.generator)
        self.n_updates = 0

    def __call__(self, x: Float[Tensor, "B *E"], context: Float[Tensor, "B *K"] | None = None) -> dict[str, float]:
        if context is not None:
            raise ValueError(f"{type(self.model).__name__} is unconditional: train it without context")
        self.model.train()
        start = self.chains if self.persistent else self.model.chains_from(x, generator=self.generator)
        state = self.model.gibbs(start, self.n_sweeps, generator=self.generator)
        energy_data = self.model.clamped_energy(x, generator=self.generator).mean()
        energy_model = self.model.chain_energy(state).mean()
        loss = energy_data - energy_model
        values = torch.stack([loss, energy_data, energy_model]).tolist()
        metrics = dict(zip(("loss", "energy_data", "energy_model"), values, strict=True))
        require_finite(metrics["loss"], f"the energy difference of {type(self.model).__name__}")
        self.optimiser.zero_grad()
        loss.backward()
        if self.schedule is not None:
            for group in self.optimiser.param_groups:
                group["lr"] = self.lr * self.schedule(self.n_updates)
        _step(self.optimiser, self.max_grad_norm)
        if self.persistent:
            self.chains = state
        self.n_updates += 1
        return metrics

    def state_dict(self) -> dict[str, Any]:
        return {
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "generator": self.generator.get_state(),
            "chains": self.chains,
            "n_updates": self.n_updates,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.generator.set_state(state["generator"])
        self.chains = state["chains"].to(self.chains)
        self.n_updates = state["n_updates"]
