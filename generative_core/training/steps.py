"""One update of a model.  A step owns the optimisers and the private random states, and sets the training mode.

`state_dict` holds all that an exact resume needs, except torch's global generator: dropout draws from that one.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from generative_core import objectives
from generative_core.families import AbstractCritic
from generative_core.objectives import CriticLoss
from generative_core.protocols import HasLoss
from generative_core.training.schedules import Schedule

Average = Callable[[Sequence[Tensor]], None]
"""Puts in the place of every tensor its mean over the processes that train one model together, the same in all."""


class MaximumLikelihoodStep:
    """Minimise E_data[model.loss(x, context)], nats: -log p(x), minus its lower bound, or a denoiser's loss.

    `schedule` gives the factor of `lr` at each update.  `autocast=torch.bfloat16` runs matrix products in that dtype;
    parameters, gradients and optimiser keep theirs.  `compile` hands the loss to `torch.compile`: worth its minute on a
    GPU.  Metrics: `loss`.  Raises FloatingPointError on a loss or a gradient that is not finite, before anything has
    moved.

    `average` is called with the loss and the gradients before the optimiser's step: processes that begin with the same
    parameters, and have parts of equal size of every batch, take the step that one process would take with all of it.
    """

    def __init__(
        self,
        model: HasLoss,
        *,
        lr: float = 1e-3,
        schedule: Schedule | None = None,
        weight_decay: float = 0.0,
        max_grad_norm: float | None = None,
        autocast: torch.dtype | None = None,
        compile: bool = False,
        average: Average | None = None,
        seed: int = 0,
    ) -> None:
        if autocast not in (None, torch.bfloat16):
            raise ValueError(f"autocast takes torch.bfloat16, got {autocast}: other dtypes need their losses scaled")
        self.model = model
        self.lr = lr
        self.schedule = schedule
        self.max_grad_norm = max_grad_norm
        self.autocast = autocast
        self.average = average
        self.optimiser = adam(model, lr, weight_decay=weight_decay)
        self.generator = private_generator(model, seed)
        self.n_updates = 0
        self._loss = torch.compile(model.loss) if compile else model.loss

    def __call__(self, x: Float[Tensor, "B *E"], context: Float[Tensor, "B *K"] | None = None) -> dict[str, float]:
        self.model.train()
        with torch.autocast(x.device.type, dtype=self.autocast, enabled=self.autocast is not None):
            loss = self._loss(x, context, generator=self.generator).mean()
        self.optimiser.zero_grad()
        loss.backward()
        loss = loss.detach()
        if self.average is not None:
            self.average([loss, *(p.grad for p in self.model.parameters() if p.grad is not None)])
        metrics = {"loss": loss.item()}
        require_finite(metrics["loss"], f"the loss of {type(self.model).__name__}")
        if self.schedule is not None:
            for group in self.optimiser.param_groups:
                group["lr"] = self.lr * self.schedule(self.n_updates)
        _step(self.optimiser, self.max_grad_norm)
        self.n_updates += 1
        return metrics

    def state_dict(self) -> dict[str, Any]:
        return {
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "generator": self.generator.get_state(),
            "n_updates": self.n_updates,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.generator.set_state(state["generator"])
        self.n_updates = state["n_updates"]


class CriticStep:
    """One update of a critic on a batch of each side: not a `TrainStep`, which knows one batch.

        minimise  loss(logit_data, logit_model) + gradient_penalty * E(||grad logit|| - 1)^2 - entropy_bonus * H(D)
                  + r1_penalty / 2 * E_data ||grad logit||^2 + logit_penalty * E logit^2

    The gradient penalty is on the logit, at random mixes of the two sides in the critic's own `features` space.  With
    `mixup` the loss is cross-entropy at such mixes too, with labels mixed alike: `bce_mixup_loss`.  Metrics, all
    measured before the update: `loss` (the whole sum), `accuracy` (mean of the two sides), `accuracy_data`
    (share with logit > 0), `accuracy_model` (share with logit <= 0), `logit_data`, `logit_model` (means),
    `gradient_penalty` (without its weight) and `entropy` (nats).

    Raises ValueError on sides that do not match and FloatingPointError on a loss or a gradient that is not finite; in
    both cases nothing has moved.  The critic's input statistics stay as they are: call its `update_normaliser`.
    """

    def __init__(
        self,
        critic: AbstractCritic,
        *,
        lr: float = 3e-4,
        loss: CriticLoss = objectives.bce_critic_loss,
        gradient_penalty: float = 10.0,
        r1_penalty: float = 0.0,
        logit_penalty: float = 0.0,
        mixup: bool = False,
        entropy_bonus: float = 1e-3,
        max_grad_norm: float | None = None,
        betas: tuple[float, float] = (0.9, 0.999),
        seed: int = 0,
    ) -> None:
        if mixup and loss is not objectives.bce_critic_loss:
            raise ValueError("mixup is defined for bce_critic_loss, whose labels can be mixed; leave it off for others")
        self.critic = critic
        self.loss = loss
        self.gradient_penalty = gradient_penalty
        self.r1_penalty = r1_penalty
        self.logit_penalty = logit_penalty
        self.mixup = mixup
        self.entropy_bonus = entropy_bonus
        self.max_grad_norm = max_grad_norm
        self.optimiser = adam(critic, lr, betas=betas)
        self.generator = private_generator(critic, seed)

    @property
    def lr(self) -> float:
        """Step size of Adam."""
        return self.optimiser.param_groups[0]["lr"]

    @lr.setter
    def lr(self, value: float) -> None:
        for group in self.optimiser.param_groups:
            group["lr"] = value

    def __call__(
        self,
        x: Float[Tensor, "B *E"],
        x_model: Float[Tensor, "M *E"],
        context: Float[Tensor, "B *K"] | None = None,
        context_model: Float[Tensor, "M *K"] | None = None,
    ) -> dict[str, float]:
        if (context is None) != (context_model is None):
            raise ValueError("give the context of both sides, or of neither")
        self.critic.train()
        n_data = len(x)
        both_contexts = None if context is None or context_model is None else torch.cat([context, context_model])
        features = self.critic.features(torch.cat([x, x_model]), both_contexts)
        logit = self.critic.logit_from_features(features, both_contexts)  # (B + M,): one forward for both sides
        logit_data, logit_model = logit[:n_data], logit[n_data:]

        entropy = objectives.logit_entropy(logit)
        loss = self.loss(logit_data, logit_model) if not self.mixup else self._mixup_loss(features, n_data, context)
        loss = loss - self.entropy_bonus * entropy + self.logit_penalty * logit.square().mean()
        if self.r1_penalty > 0:
            r1 = objectives.r1_penalty(lambda data: self.critic.logit_from_features(data, context), features[:n_data])
            loss = loss + self.r1_penalty * r1
        penalty = loss.new_zeros(())
        if self.gradient_penalty > 0:
            penalty = objectives.gradient_penalty(
                lambda mix: self.critic.logit_from_features(mix, context),
                features[:n_data],
                features[n_data:],
                generator=self.generator,
            )
            loss = loss + self.gradient_penalty * penalty

        metrics = _critic_metrics(loss, logit_data, logit_model, penalty, entropy)
        require_finite(metrics["loss"], f"the critic's loss ({getattr(self.loss, '__name__', self.loss)})")
        self.optimiser.zero_grad()
        loss.backward()
        _step(self.optimiser, self.max_grad_norm)
        return metrics

    def _mixup_loss(self, features: Tensor, n_data: int, context: Tensor | None) -> Tensor:
        data, model = features[:n_data], features[n_data:]
        if data.shape != model.shape:
            raise ValueError(f"mixup pairs the sides row by row; draw batches of one size, not {n_data}, {len(model)}")
        share = torch.rand(n_data, generator=self.generator, device=data.device, dtype=data.dtype)
        mixed = torch.lerp(model, data, share.view(-1, *(1 for _ in data.shape[1:])))
        return objectives.bce_mixup_loss(self.critic.logit_from_features(mixed, context), share)

    def state_dict(self) -> dict[str, Any]:
        return {
            "critic": self.critic.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "generator": self.generator.get_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.critic.load_state_dict(state["critic"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.generator.set_state(state["generator"])


@torch.no_grad()
def _critic_metrics(
    loss: Tensor, logit_data: Tensor, logit_model: Tensor, penalty: Tensor, entropy: Tensor
) -> dict[str, float]:
    """All metrics in one transfer from the device."""
    accuracy_data = (logit_data > 0).to(loss.dtype).mean()
    accuracy_model = (logit_model <= 0).to(loss.dtype).mean()
    named = {
        "loss": loss,
        "accuracy": (accuracy_data + accuracy_model) / 2,
        "accuracy_data": accuracy_data,
        "accuracy_model": accuracy_model,
        "logit_data": logit_data.mean(),
        "logit_model": logit_model.mean(),
        "gradient_penalty": penalty,
        "entropy": entropy,
    }
    return dict(zip(named, torch.stack(list(named.values())).tolist(), strict=True))


def adam(
    model: HasLoss | nn.Module, lr: float, *, betas: tuple[float, float] = (0.9, 0.999), weight_decay: float = 0.0
) -> torch.optim.Optimizer:
    """AdamW (Adam where `weight_decay` is zero), in its one-kernel form where this build of torch has it."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    try:
        return torch.optim.AdamW(parameters, lr=lr, betas=betas, weight_decay=weight_decay, fused=True)
    except RuntimeError:  # torch < 2.4 fuses on CUDA only
        return torch.optim.AdamW(parameters, lr=lr, betas=betas, weight_decay=weight_decay)


def private_generator(model: HasLoss | nn.Module, seed: int) -> torch.Generator:
    return torch.Generator(next(model.parameters()).device).manual_seed(seed)


def _step(optimiser: torch.optim.Optimizer, max_grad_norm: float | None) -> None:
    """One step of the optimiser, unless the gradient is not finite: a finite loss may have such a one."""
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    if max_grad_norm is not None:
        require_finite(nn.utils.clip_grad_norm_(parameters, max_grad_norm).item(), "the norm of the gradient")
    else:
        require_finite_gradient([p.grad for p in parameters])
    optimiser.step()


def require_finite_gradient(gradients: Iterable[Tensor | None]) -> None:
    """Raise FloatingPointError where their norm is not finite."""
    norms = [gradient.norm() for gradient in gradients if gradient is not None]
    if norms:
        require_finite(torch.stack(norms).norm().item(), "the norm of the gradient")


def require_finite(value: float, name: str) -> None:
    if not math.isfinite(value):
        raise FloatingPointError(
            f"{name} is {value}; no parameter was changed by it: look for nan or huge values in the batch, or lower lr"
        )
