"""Adversarial imitation learning: demonstrations in, a Stable-Baselines3 policy out.

The names below are loaded when first used, so that `--help` needs neither torch nor Stable-Baselines3.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gail_suite.behavioural_cloning import BehaviouralCloning
    from gail_suite.config import TrainConfig
    from gail_suite.demonstrations import Demonstrations
    from gail_suite.evaluation import evaluate_policy
    from gail_suite.reward.adversarial import AdversarialReward
    from gail_suite.reward.density import DensityReward, RatioReward
    from gail_suite.reward.protocol import RewardModel, Transitions
    from gail_suite.trainer import GAIL

_HOMES = {
    "GAIL": "gail_suite.trainer",
    "TrainConfig": "gail_suite.config",
    "Demonstrations": "gail_suite.demonstrations",
    "Transitions": "gail_suite.reward.protocol",
    "RewardModel": "gail_suite.reward.protocol",
    "AdversarialReward": "gail_suite.reward.adversarial",
    "DensityReward": "gail_suite.reward.density",
    "RatioReward": "gail_suite.reward.density",
    "BehaviouralCloning": "gail_suite.behavioural_cloning",
    "evaluate_policy": "gail_suite.evaluation",
}

__all__ = [
    "GAIL",
    "AdversarialReward",
    "BehaviouralCloning",
    "Demonstrations",
    "DensityReward",
    "RatioReward",
    "RewardModel",
    "TrainConfig",
    "Transitions",
    "evaluate_policy",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
