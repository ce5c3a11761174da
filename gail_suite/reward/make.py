"""The reward model that a configuration describes."""

import copy
from typing import Any, NamedTuple

import torch

from gail_suite.config import TrainConfig
from gail_suite.demonstrations import Demonstrations
from gail_suite.errors import InputError
from gail_suite.reward.adversarial import AdversarialReward, ConstantReward, SaturationGuard
from gail_suite.reward.density import DensityReward, RatioReward
from gail_suite.reward.fitting import DENSITIES, fit_density, jitter, make_learner, split
from gail_suite.reward.protocol import RewardModel, Transitions
from gail_suite.reward.shaping import SHAPES
from gail_suite.reward.views import VIEWS, AbsorbingView, StandardisedView, View
from generative_core import CriticStep, GaussianMixture, LogitFromScore, MLPCritic, ScoreKind
from generative_core.families import AbstractCritic
from generative_core.objectives import CriticLoss, bce_critic_loss, least_squares_critic_loss, wasserstein_critic_loss


class Game(NamedTuple):
    """What a critic minimises, and what its score then means."""

    loss: CriticLoss
    score_kind: ScoreKind


_CROSS_ENTROPY = Game(bce_critic_loss, ScoreKind.LOG_RATIO)
GAMES: dict[str, Game] = {
    "gail": _CROSS_ENTROPY,
    "airl": _CROSS_ENTROPY,
    "fairl": _CROSS_ENTROPY,
    "log-d": _CROSS_ENTROPY,
    "least-squares": Game(least_squares_critic_loss, ScoreKind.CRITIC_VALUE),
    "wgan": Game(wasserstein_critic_loss, ScoreKind.CRITIC_VALUE),
}


def make_reward_model(config: TrainConfig, demonstrations: Demonstrations, device: str) -> RewardModel:
    """The critic or the density that `config` describes; a density is fitted here.  Raises InputError."""
    if config.view == "state-action" and demonstrations.act_size == 0:
        raise InputError("these demonstrations have no actions; pass --view state-next-state, or --view state")
    if config.reward == "constant":
        return make_constant_control(config)
    view, transitions = VIEWS[config.view], demonstrations.transitions()
    if config.reward in DENSITIES:
        if config.absorbing:
            raise InputError(
                f"--absorbing needs a critic, and --reward {config.reward} is a density; take gail or airl"
            )
        return _density_reward(config, StandardisedView(view, transitions), transitions, device)
    if config.absorbing:
        view = AbsorbingView(view, transitions)
    critic = MLPCritic(
        (view(transitions.take(slice(0, 1))).shape[1],),
        hidden=config.critic.hidden,
        spectral_norm=config.critic.spectral_norm,
        dropout=config.critic.dropout,
        score_kind=GAMES[config.reward].score_kind,
    ).to(device)
    return _adversarial(config, critic, view, GAMES[config.reward], config.reward)


def make_constant_control(config: TrainConfig) -> ConstantReward:
    """The reward of a model that cannot tell."""
    return ConstantReward(SHAPES.get(config.reward, SHAPES["gail"]), absorbing=config.absorbing)


def _adversarial(config: TrainConfig, critic: AbstractCritic, view: View, game: Game, shape: str) -> AdversarialReward:
    settings = config.critic
    if settings.mixup and game is not _CROSS_ENTROPY:
        raise InputError(f"--critic.mixup mixes labels, which {config.reward}'s loss has none of; leave it out")
    step = CriticStep(
        critic,
        lr=settings.lr,
        loss=game.loss,
        gradient_penalty=settings.gradient_penalty,
        r1_penalty=settings.r1_penalty,
        logit_penalty=settings.logit_penalty,
        mixup=settings.mixup,
        entropy_bonus=settings.entropy_bonus,
        seed=config.seed,
    )
    return AdversarialReward(
        step,
        view,
        SHAPES[shape],
        updates_per_round=settings.updates_per_round,
        batch_size=settings.batch_size,
        # accuracy and logits say nothing of other losses, and their rewards do not vanish where a critic is right
        guard=SaturationGuard(settings.accuracy_cap, settings.logit_cap) if game is _CROSS_ENTROPY else None,
        seed=config.seed,
    )


def _density_reward(config: TrainConfig, view: StandardisedView, transitions: Transitions, device: str) -> RewardModel:
    settings = config.density
    torch.manual_seed(config.seed)
    model: Any = DENSITIES[config.reward](view.n_features, len(transitions.obs), settings).to(device)
    exact, closed = model.score_kind is ScoreKind.LOG_PROB, isinstance(model, GaussianMixture)
    mode = settings.mode
    if mode == "auto":
        mode = "ratio" if exact else "adversarial"
    if mode == "ratio" and not exact:
        raise InputError(
            f"--density.mode ratio needs exact densities, and {config.reward} has none; take --reward made, flow or "
            "gmm, or --density.mode adversarial"
        )
    if mode == "adversarial" and closed:
        raise InputError("--density.mode adversarial trains by gradient, which gmm has none for; take ratio or fitted")
    fitted_on, held_out = split(transitions, seed=config.seed)
    noise = jitter(config.reward, settings)
    fit_density(model, view(fitted_on).to(device), view(held_out).to(device), settings, noise=noise, seed=config.seed)
    if mode == "ratio":
        policy = copy.deepcopy(model)  # the ratio starts at one everywhere
        learner = make_learner(policy, settings, noise=noise, seed=config.seed)
        return RatioReward(model, policy, learner, view, SHAPES["gail"])
    density = DensityReward(model, view, held_out, seed=config.seed)
    if mode == "fitted":
        return density
    critic = LogitFromScore(model, scale=1 / density.spread, offset=-density.median / density.spread).to(device)
    return _adversarial(config, critic, view, _CROSS_ENTROPY, "gail")
