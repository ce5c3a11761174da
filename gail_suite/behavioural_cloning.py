"""Behavioural cloning: supervised learning of the demonstrated actions; the warm start and the baseline.

Pomerleau 1991.  Inputs are standardised and jittered, weights decay, and the epoch that predicts held-out pairs best is
kept: with few demonstrations each of the three is worth thousands of return (see the README's table).
"""

import copy
from dataclasses import dataclass

import numpy as np
import torch
from gymnasium import spaces
from torch.nn import functional as F

from gail_suite.config import BehaviouralCloningConfig
from gail_suite.demonstrations import Demonstrations
from gail_suite.errors import InputError
from gail_suite.learner import ImitationPolicy


@dataclass(frozen=True)
class CloningResult:
    """How the fit went."""

    epochs: int
    """Passes over the demonstrations until the held-out loss stopped falling."""
    best_epoch: int
    held_out_loss: float
    """Mean squared error in fractions of the action range's half-width, or cross-entropy in nats."""
    residual_std: float
    """Root mean square of the held-out errors: the demonstrator's noise and what the fit missed."""


class BehaviouralCloning:
    """Fits a policy's action head (Box: the mean; Discrete: the logits) to demonstrations, in place.

    The policy's observation statistics are set from the demonstrations.  Randomness is a private generator.
    """

    def __init__(
        self, policy: ImitationPolicy, demonstrations: Demonstrations, config: BehaviouralCloningConfig, seed: int
    ):
        if demonstrations.act_size == 0:
            raise InputError(
                "demonstrations without actions cannot be cloned: pass --no-warm-start --view state-next-state"
            )
        self.policy, self.config = policy, config
        self._generator = torch.Generator().manual_seed(seed)
        self._obs = torch.from_numpy(demonstrations.obs).to(policy.device)
        self._acts = torch.from_numpy(demonstrations.acts).to(policy.device)
        space = policy.action_space
        self._discrete = isinstance(space, spaces.Discrete)
        half_width = np.ones(1) if self._discrete else (space.high - space.low) / 2
        self._half_width = torch.as_tensor(half_width, dtype=torch.float32, device=policy.device)

    def fit(self) -> CloningResult:
        """Train until `patience` evaluations of the held-out loss in a row bring nothing; keep the best weights."""
        config, policy = self.config, self.policy
        policy.normaliser.update(self._obs)
        policy.normaliser.bound(self._obs)
        features = policy.normaliser(self._obs)
        train, held_out = self._split(len(features))
        batch_size = min(config.batch_size, max(len(train) // 2, 1))
        updates_per_check = max(len(train) // batch_size, config.min_updates_per_check)
        optimizer = torch.optim.AdamW(policy.actor_parameters(), lr=config.lr, weight_decay=config.weight_decay)
        n_checks = max(config.max_updates // updates_per_check, 1)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, n_checks * updates_per_check, config.lr / 20)
        best_loss, best_check, best = float("inf"), 0, copy.deepcopy(policy.state_dict())
        check = 0
        for check in range(1, n_checks + 1):
            for _ in range(updates_per_check):
                rows = train[torch.randint(len(train), (batch_size,), generator=self._generator)]
                noise = torch.randn(features[rows].shape, generator=self._generator).to(features.device)
                jittered = features[rows] + config.input_noise * noise
                optimizer.zero_grad()
                self._loss(jittered, self._acts[rows]).backward()
                optimizer.step()
                schedule.step()
            with torch.no_grad():
                loss = self._loss(features[held_out], self._acts[held_out]).item()
            if not np.isfinite(loss):
                raise FloatingPointError("the cloning loss is not finite")
            if loss < best_loss:
                best_loss, best_check, best = loss, check, copy.deepcopy(policy.state_dict())
            elif check - best_check >= config.patience:
                break
        policy.load_state_dict(best)
        scale = updates_per_check * batch_size / len(train)
        return CloningResult(round(check * scale), round(best_check * scale), best_loss, best_loss**0.5)

    def _loss(self, features: torch.Tensor, acts: torch.Tensor) -> torch.Tensor:
        outputs = self.policy.law(features)
        if self._discrete:
            return F.cross_entropy(outputs, acts.argmax(dim=1))
        return F.mse_loss(outputs / self._half_width, acts / self._half_width)

    def _split(self, n: int) -> tuple[torch.Tensor, torch.Tensor]:
        """A tenth of the pairs, drawn at random, is held out."""
        order = torch.randperm(n, generator=self._generator)
        n_held_out = max(n // 10, 1)
        return (order[n_held_out:], order[:n_held_out]) if n > 1 else (order, order)
