"""Whether demonstrations can be used in an environment; every refusal names both sides."""

from typing import TYPE_CHECKING

import numpy as np
from gymnasium import spaces

from gail_suite.demonstrations.dataset import Demonstrations
from gail_suite.demonstrations.spaces import check_spaces, describe
from gail_suite.errors import InputError

if TYPE_CHECKING:
    from stable_baselines3.common.vec_env import VecEnv

RANGE_TOLERANCE = 1e-5  # of the action range: float32 rounding


def validate(demos: Demonstrations, venv: "VecEnv", env_id: str | None = None) -> None:
    """See `Demonstrations.validate`; `env_id` is asked of `venv` where it is not given."""
    ours, name = demos.provenance, env_id or _env_id(venv) or "the environment"
    if ours.env_id is not None and name != "the environment" and _plain(ours.env_id) != _plain(name):
        raise InputError(
            f"the demonstrations ({ours.source}) were recorded in {ours.env_id}, not in {name}: tasks and versions of "
            f"a task are not interchangeable; use --env {ours.env_id} or demonstrations of {name}"
        )
    obs_size, act_size = check_spaces(venv.observation_space, venv.action_space, name)
    if len(demos) == 0:
        raise InputError(f"the demonstrations ({ours.source}) hold no transitions; record some of {name}")
    if demos.obs_size != obs_size:
        raise InputError(
            f"the demonstrations ({ours.source}) have {demos.obs_size} observations, {name} has {obs_size}; "
            f"use demonstrations of {name}, or the arguments they were recorded with"
        )
    for array_name, array in demos.arrays().items():
        if not np.isfinite(array).all():
            raise InputError(f"the {array_name} of the demonstrations ({ours.source}) have NaN or infinite values")
    if demos.act_size:
        _validate_actions(demos, venv.action_space, act_size, name)


def _plain(env_id: str) -> str:
    """Without the module that is imported for it."""
    return env_id.rpartition(":")[2]


def _validate_actions(demos: Demonstrations, action_space: spaces.Space, act_size: int, name: str) -> None:
    source, acts = demos.provenance.source, demos.acts
    if acts.shape[1] != act_size:
        raise InputError(
            f"the demonstrations ({source}) have actions of size {acts.shape[1]}, {name} has {describe(action_space)}; "
            f"use demonstrations of {name}"
        )
    if isinstance(action_space, spaces.Box):
        low, high = action_space.low.astype(np.float64), action_space.high.astype(np.float64)
        slack = RANGE_TOLERANCE * np.where(np.isfinite(high - low), high - low, 1.0)
        outside = ((acts < low - slack) | (acts > high + slack)).any(axis=1)
        if demos.provenance.one_hot_actions or outside.any():
            raise InputError(
                f"the demonstrations ({source}) have actions from {acts.min():.3g} to {acts.max():.3g}, {name} takes "
                f"{low.min():.3g} to {high.max():.3g} ({outside.sum()} of {len(acts)} are outside); "
                f"give actions as they are sent to env.step, clipped and in its units"
            )
    elif not (np.isin(acts, (0.0, 1.0)).all() and (acts.sum(axis=1) == 1.0).all()):
        raise InputError(
            f"the demonstrations ({source}) have actions that are no choices, {name} has {describe(action_space)}; "
            f"give them as integers"
        )


def _env_id(venv: "VecEnv") -> str | None:
    try:
        spec = venv.get_attr("spec", indices=[0])[0]
    except AttributeError:
        return None
    return None if spec is None else spec.id
