"""Plain SB3 policies: built from sizes, with a normaliser folded into their weights."""

from collections.abc import Sequence

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.policies import ActorCriticPolicy
from torch import nn


def plain_policy(
    observation_space: spaces.Space,
    action_space: spaces.Space,
    *,
    hidden: Sequence[int],
    activation: type[nn.Module],
    value_hidden: Sequence[int] | None = None,
) -> ActorCriticPolicy:
    """SB3's own `MlpPolicy` and nothing of ours in it, so that its files load where this package is not installed.

    Actor and critic are separate nets of sizes `hidden` and `value_hidden` (None: the same).  Weights are drawn from
    torch's global generator, as SB3 does.
    """
    sizes = {"pi": list(hidden), "vf": list(hidden if value_hidden is None else value_hidden)}
    return ActorCriticPolicy(observation_space, action_space, _no_learning, net_arch=sizes, activation_fn=activation)


def _no_learning(progress_remaining: float) -> float:
    """A step size for a policy that is only asked for actions."""
    return 0.0


def fold_normaliser(
    weight: NDArray, bias: NDArray, scale: NDArray, shift: NDArray
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The layer on raw x that equals `weight @ ((x - shift) * scale) + bias`, in float64.

        W' = W diag(scale)        b' = b - W' shift

    Shapes: weight (out, in); bias (out,); scale and shift (in,).  A scale of 0 drops an input: its column becomes zero,
    which is what a constant input (std < 1e-5) needs, since 1 / std would turn a hair's change into a fall.
    """
    folded = np.asarray(weight, np.float64) * np.asarray(scale, np.float64)
    return folded, np.asarray(bias, np.float64) - folded @ np.asarray(shift, np.float64)


def actor_tensors(policy: ActorCriticPolicy) -> dict[str, torch.Tensor]:
    """The tensors that choose actions, under SB3's names: no value function."""
    prefixes = ("mlp_extractor.policy_net.", "action_net.", "log_std")
    return {k: v.detach().cpu().contiguous() for k, v in policy.state_dict().items() if k.startswith(prefixes)}
