"""Which numbers of a configuration can work: by the names of its fields, so that every verb refuses alike."""

import math
from dataclasses import fields, is_dataclass
from typing import Any

from gail_suite.errors import InputError

AT_LEAST_ONE = {
    "n_demos",
    "subsample",
    "total_env_steps",
    "n_envs",
    "episode_steps",
    "eval_every",
    "select_episodes",
    "eval_episodes",
    "n_steps",
    "minibatch_size",
    "n_epochs",
    "updates_per_round",
    "batch_size",
    "max_updates",
    "min_updates_per_check",
    "patience",
    "buffer_size",
    "recent",
}
POSITIVE = {
    "policy_lr",
    "max_policy_lr",
    "value_lr",
    "actor_lr",
    "critic_lr",
    "target_shift",
    "lr",
    "target_kl",
    "kl_stop",
    "clip_range",
    "max_grad_norm",
    "update_ratio",
    "tau",
}
UP_TO_ONE = {
    "gamma",
    "gae_lambda",
    "value_statistics_rate",
    "accuracy_cap",
    "initial_std",
    "warm_start_std",
    "exploration_std",
    "tau",
    "demo_share",
}
SIGNED = {"entropy_target"}
MAY_BE_INFINITE = {"kl_stop", "max_grad_norm", "logit_cap"}  # which is "never"


def check_bounds(config: Any, prefix: str = "--") -> None:
    """Walk the numbers of a configuration and those inside it; raises InputError on the first one out of bounds."""
    for f in fields(config):
        name, value = f.name, getattr(config, f.name)
        flag = prefix + name.replace("_", "-")
        if is_dataclass(value):
            check_bounds(value, f"{flag}.")
        elif isinstance(value, tuple) and (
            any(width < 1 for width in value) or (not value and flag != "--critic.hidden")  # a critic may be linear
        ):
            raise InputError(f"{flag} must be widths of 1 or more, got {' '.join(map(str, value)) or 'none'}")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            if math.isinf(value) and name not in MAY_BE_INFINITE:
                raise InputError(f"{flag} must be finite, got {value}")
            low, high = -math.inf if name in SIGNED else 0.0, math.inf
            if name in AT_LEAST_ONE:
                low = 1
            if name in UP_TO_ONE:
                high = 1.0
            if name in {"dropout", "averaging"}:
                high = 0.99
            above = value > 0 if name in POSITIVE or name.endswith("_std") else value >= low
            if not (above and value <= high):  # NaN is neither
                bound = "above 0" if name in POSITIVE or name.endswith("_std") else f"{low:g} or more"
                raise InputError(
                    f"{flag} must be {bound}{'' if high == math.inf else f', {high:g} at most'}, got {value}"
                )
