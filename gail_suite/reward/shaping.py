"""Reward shapes: pure functions of a score, mostly a critic's logit log D / (1 - D), D the probability of *expert*.

The sign is a choice about endings.  A reward >= 0 pays for staying alive and suits tasks where an early end is failure;
a reward <= 0 charges for time and suits tasks where an early end is success.  No mean is ever subtracted.
"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from generative_core.protocols import ScoreKind


@dataclass(frozen=True)
class RewardShape:
    """A named function (B,) -> (B,) and the score kinds that it means something for."""

    name: str
    fn: Callable[[Tensor], Tensor]
    accepts: frozenset[ScoreKind]
    centred: bool = False
    """The score is known up to a constant, so zero is put midway between the two sides' means first."""

    def require(self, kind: ScoreKind, model_name: str) -> None:
        """Raise ValueError, with the remedy, unless a score of this kind can be shaped so."""
        if kind not in self.accepts:
            raise ValueError(
                f"the reward {self.name!r} needs a score of kind {' or '.join(sorted(k.name for k in self.accepts))}, "
                f"{model_name} gives {kind.name}; {_REMEDIES.get(kind, _WRAP)}"
            )


_WRAP = "wrap it in LogitFromScore(...) and train that by cross-entropy"
_REMEDIES = {
    ScoreKind.LOG_RATIO: "train the critic with that reward's own loss, and declare score_kind=CRITIC_VALUE",
    ScoreKind.CRITIC_VALUE: f"{_WRAP}, or take the reward 'least-squares' or 'wgan' if it is a critic with that loss",
}


def neg_log_one_minus_d(logit: Tensor) -> Tensor:
    """-log(1 - D) = softplus(logit) >= 0.  Ho & Ermon 2016, eq. 16 (their D is our 1 - D)."""
    return F.softplus(logit)


def log_d(logit: Tensor) -> Tensor:
    """log D = -softplus(-logit) <= 0."""
    return -F.softplus(-logit)


def log_ratio(logit: Tensor) -> Tensor:
    """log D - log(1 - D) = logit, of either sign.  Fu et al. 2018, https://arxiv.org/abs/1710.11248, eq. 4."""
    return logit


def forward_kl(logit: Tensor) -> Tensor:
    """-h e^h with h the logit, clamped at h = 10.  FAIRL; Ghasemipour et al. 2020, https://arxiv.org/abs/1911.02256."""
    h = logit.clamp(max=10.0)
    return -h * h.exp()


def style(value: Tensor) -> Tensor:
    """max(0, 1 - (l - 1)^2 / 4) in [0, 1], of a least-squares critic: 1 on the expert's side, 0 on the policy's.

    Peng et al. 2021, https://arxiv.org/abs/2104.02180, eq. 7.
    """
    return (1 - 0.25 * (value - 1).square()).clamp_min(0)


_RATIO = frozenset({ScoreKind.LOG_RATIO})
_CRITIC = frozenset({ScoreKind.CRITIC_VALUE})
SHAPES: dict[str, RewardShape] = {
    "gail": RewardShape("gail", neg_log_one_minus_d, _RATIO),
    "log-d": RewardShape("log-d", log_d, _RATIO),
    "airl": RewardShape("airl", log_ratio, _RATIO),
    "fairl": RewardShape("fairl", forward_kl, _RATIO),
    "least-squares": RewardShape("least-squares", style, _CRITIC),
    "wgan": RewardShape("wgan", neg_log_one_minus_d, _CRITIC, centred=True),
}
