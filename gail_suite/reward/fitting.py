"""Densities of the core for transitions: what they are, how they are fitted, how one follows the policy."""

import copy
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gail_suite.config import DensityConfig
from gail_suite.reward.density import Learner, ScorerModule
from gail_suite.reward.protocol import Transitions
from generative_core import (
    MADE,
    VAE,
    ContrastiveDivergenceStep,
    Diffusion,
    GaussianMixture,
    GaussianRBM,
    MaximumLikelihoodStep,
    MixtureOfGaussians,
    RealNVP,
    ScoreKind,
    ShuffledBatches,
    TrainStep,
    cosine_decay,
)

MIN_VARIANCE = 1e-2
"""In units of the expert's variance: subsampled demonstrations repeat values, and no density may stand on a point."""

Build = Callable[[int, int, DensityConfig], Any]
"""(dimensions, transitions, settings) -> a model of standardised vectors."""


def _made(n: int, rows: int, settings: DensityConfig) -> MADE:
    return MADE((n,), hidden=settings.hidden, conditional=MixtureOfGaussians(5, min_scale=math.sqrt(MIN_VARIANCE)))


def _flow(n: int, rows: int, settings: DensityConfig) -> RealNVP:
    return RealNVP((n,), hidden=settings.hidden, max_log_scale=1.0)


def _mixture(n: int, rows: int, settings: DensityConfig) -> GaussianMixture:
    """As many components as the data can carry: ten transitions a dimension for each."""
    return GaussianMixture((n,), n_components=min(10, max(1, rows // (10 * n))), min_variance=MIN_VARIANCE)


def _vae(n: int, rows: int, settings: DensityConfig) -> VAE:
    return VAE((n,), latent=max(2, n // 2), hidden=settings.hidden)


def _rbm(n: int, rows: int, settings: DensityConfig) -> GaussianRBM:
    return GaussianRBM((n,), n_hidden=settings.hidden[0], min_variance=MIN_VARIANCE)


def _diffusion(n: int, rows: int, settings: DensityConfig) -> Diffusion:
    return Diffusion((n,), hidden=settings.hidden, max_log_snr=-math.log(MIN_VARIANCE), n_times=4)


DENSITIES: dict[str, Build] = {
    "made": _made,
    "flow": _flow,
    "gmm": _mixture,
    "vae": _vae,
    "rbm": _rbm,
    "diffusion": _diffusion,
}


def jitter(reward: str, settings: DensityConfig) -> float:
    """Standard deviation of the noise on what is fitted, in units of the demonstrations' spread."""
    if settings.input_noise is not None:
        return settings.input_noise
    return 0.5 if reward == "flow" else 0.05


def split(transitions: Transitions, *, seed: int, held_out: float = 0.1) -> tuple[Transitions, Transitions]:
    """Those to fit on and those to judge by, drawn at random; with a single transition both are that one."""
    n = len(transitions.obs)
    order = np.random.default_rng(seed).permutation(n)
    n_held_out = min(max(1, round(held_out * n)), n - 1)
    return transitions.take(order[n_held_out:]), transitions.take(order[: max(1, n_held_out)])


def fit_density(model: Any, x: Tensor, held_out: Tensor, settings: DensityConfig, *, noise: float, seed: int) -> None:
    """Fit `model` on x (N, D); by gradient it ends with the parameters under which `held_out` scores best."""
    if isinstance(model, GaussianMixture):
        model.fit(x, generator=torch.Generator(x.device).manual_seed(seed))
        return
    schedule = cosine_decay(settings.max_updates)
    step: TrainStep
    if isinstance(model, GaussianRBM):
        model.initialise(x)
        step = ContrastiveDivergenceStep(model, lr=settings.lr, schedule=schedule, seed=seed)
    else:
        step = MaximumLikelihoodStep(model, lr=settings.lr, schedule=schedule, seed=seed, max_grad_norm=100.0)
    batches = ShuffledBatches(x, batch_size=min(settings.batch_size, len(x)), seed=seed)
    generator = torch.Generator(x.device).manual_seed(seed)
    is_comparable = model.score_kind is not ScoreKind.UNNORMALISED  # an energy's constant moves as it learns
    every = max(1, settings.max_updates // 30)
    best_score, best = -math.inf, copy.deepcopy(model.state_dict())
    for i in range(settings.max_updates):
        (batch,) = next(batches)
        step(_jittered(batch, noise, generator))
        if is_comparable and ((i + 1) % every == 0 or i + 1 == settings.max_updates):
            score = _mean_score(model, held_out, seed)
            if score > best_score:
                best_score, best = score, copy.deepcopy(model.state_dict())
    if is_comparable:
        model.load_state_dict(best)


def make_learner(model: ScorerModule, settings: DensityConfig, *, noise: float, seed: int) -> Learner:
    """What lets `model` follow the policy, round by round."""
    return _Refit(model, seed) if isinstance(model, GaussianMixture) else _Follow(model, settings, noise, seed)


class _Follow:
    """Some updates by gradient on each round's transitions."""

    def __init__(self, model: Any, settings: DensityConfig, noise: float, seed: int):
        self.settings = settings
        self.noise = noise
        self.step = MaximumLikelihoodStep(model, lr=settings.lr, seed=seed, max_grad_norm=100.0)
        self.generator = torch.Generator(next(model.parameters()).device).manual_seed(seed)

    def __call__(self, x: Tensor) -> dict[str, float]:
        losses = []
        for _ in range(self.settings.updates_per_round):
            rows = torch.randint(len(x), (self.settings.batch_size,), generator=self.generator, device=x.device)
            losses.append(self.step(_jittered(x[rows], self.noise, self.generator))["loss"])
        return {"policy_nats": float(np.mean(losses))}

    def state_dict(self) -> dict[str, Any]:
        return {"step": self.step.state_dict(), "generator": self.generator.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.step.load_state_dict(state["step"])
        self.generator.set_state(state["generator"])


class _Refit:
    """EM anew on each round's transitions."""

    def __init__(self, model: GaussianMixture, seed: int):
        self.model = model
        self.generator = torch.Generator(model.means.device).manual_seed(seed)

    def __call__(self, x: Tensor) -> dict[str, float]:
        self.model.fit(x, generator=self.generator)
        return {"policy_nats": -float(self.model.log_prob(x).mean())}

    def state_dict(self) -> dict[str, Any]:
        return {"model": self.model.state_dict(), "generator": self.generator.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        self.generator.set_state(state["generator"])


def _jittered(x: Tensor, std: float, generator: torch.Generator) -> Tensor:
    return x + std * torch.randn(x.shape, generator=generator, device=x.device) if std > 0 else x


@torch.no_grad()
def _mean_score(model: Any, x: Tensor, seed: int) -> float:
    model.eval()
    return float(model.score(x, generator=torch.Generator(x.device).manual_seed(seed)).mean())
