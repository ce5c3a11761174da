"""Plain SB3 policies: built from sizes, read from files, with a normaliser folded into their weights."""

import io
import json
import pickle
import re
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.sac.policies import SACPolicy
from stable_baselines3.td3.policies import TD3Policy
from torch import nn

from gail_suite.demonstrations.archive import READING_ERRORS, check_zip_sizes
from gail_suite.demonstrations.spaces import check_spaces
from gail_suite.errors import InputError

MAX_POLICY_BYTES = 1 << 30


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


def read_sb3_zip(
    path: str | Path, observation_space: spaces.Space, action_space: spaces.Space
) -> ActorCriticPolicy | SACPolicy | TD3Policy:
    """The policy of an SB3 `.zip`, built anew from its tensors; no pickle in the file is opened.

    An SB3 file holds its classes and spaces as pickles, which run a stranger's code when loaded.  The names, shapes and
    values of the weights and the text of the file's JSON are enough to rebuild the plain `MlpPolicy` of PPO, A2C, SAC,
    TD3 and DDPG.  A `VecNormalize` lives in a file of its own and is not applied.

    Raises:
        InputError: a damaged file, another kind of policy, or spaces that do not fit.
    """
    path = Path(path)
    data, tensors = _read_parts(path)
    _refuse_unless_plain(path, data, tensors)
    try:
        kind, kwargs, sizes = _blueprint(tensors)
    except (KeyError, IndexError, TypeError) as error:
        raise InputError(f"{path} lacks the weights {error}; save it again with model.save(...)") from error
    expected = check_spaces(observation_space, action_space, "the task")
    if sizes != expected:
        raise InputError(
            f"{path} maps {sizes[0]} observations to {sizes[1]} actions, the task has {expected[0]} and {expected[1]}; "
            f"name the task that it was trained for"
        )
    activation = _text_of(data, "activation_fn")
    if activation is not None:
        kwargs["activation_fn"] = _activation(path, activation)
    try:
        with torch.random.fork_rng(devices=[]):  # the initial weights are thrown away
            policy = kind(observation_space, action_space, _no_learning, **kwargs)
        policy.load_state_dict(tensors)
    except (AssertionError, RuntimeError, TypeError, ValueError) as error:
        raise InputError(
            f"{path} does not fit a plain {kind.__name__} ({_first_line(error)}); save it again"
        ) from error
    policy.set_training_mode(False)
    return policy


def _blueprint(tensors: dict[str, torch.Tensor]) -> tuple[type, dict[str, Any], tuple[int, int]]:
    """Class, constructor arguments and (observations, actions), from the names and shapes of the weights."""
    if "action_net.weight" in tensors:
        first, last = "mlp_extractor.policy_net.0.weight", "action_net.weight"
        sizes = {
            "pi": _widths(tensors, "mlp_extractor.policy_net."),
            "vf": _widths(tensors, "mlp_extractor.value_net."),
        }
        ends = tensors[first if first in tensors else last].shape[1], tensors[last].shape[0]
        return ActorCriticPolicy, {"net_arch": sizes}, ends
    n_critics = len({name.split(".")[1] for name in tensors if name.startswith("critic.")})
    critic = _widths(tensors, "critic.qf0.")[:-1]
    if "actor.mu.weight" in tensors:
        actor, last = _widths(tensors, "actor.latent_pi."), "actor.mu.weight"
        ends = tensors["actor.latent_pi.0.weight"].shape[1], tensors[last].shape[0]
        return SACPolicy, {"net_arch": {"pi": actor, "qf": critic}, "n_critics": n_critics}, ends
    *actor, n_acts = _widths(tensors, "actor.mu.")
    ends = tensors["actor.mu.0.weight"].shape[1], n_acts
    return TD3Policy, {"net_arch": {"pi": actor, "qf": critic}, "n_critics": n_critics}, ends


def _read_parts(path: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """The JSON of the file, whose base64 pickles stay text, and the policy's tensors."""
    try:
        with zipfile.ZipFile(path) as archive:
            check_zip_sizes(archive, path, MAX_POLICY_BYTES)
            data, weights = json.loads(archive.read("data")), archive.read("policy.pth")
        with zipfile.ZipFile(io.BytesIO(weights)) as archive:
            check_zip_sizes(archive, f"policy.pth of {path}", MAX_POLICY_BYTES)
        tensors = torch.load(io.BytesIO(weights), map_location="cpu", weights_only=True)
        if isinstance(data, dict) and isinstance(tensors, dict):
            found = {str(name): tensor for name, tensor in tensors.items() if isinstance(tensor, torch.Tensor)}
            if sum(tensor.numel() * tensor.element_size() for tensor in found.values()) > len(weights):
                problem = "its weights claim to be larger than the file"  # one number may be repeated without end
            elif not all(torch.isfinite(tensor).all() for tensor in found.values()):
                problem = "it has weights that are NaN or infinite"
            else:
                return data, found
        else:
            problem = "its parts are not what SB3 writes"
    except InputError:
        raise
    except (*READING_ERRORS, AssertionError, ImportError, pickle.UnpicklingError) as error:
        # the last: torch found more than weights
        problem = _first_line(error)
    raise InputError(f"{path} cannot be read as an SB3 policy ({problem}); save it with model.save(...)")


def _refuse_unless_plain(path: Path, data: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
    """Raise `InputError`, by name, for what the tensors alone cannot rebuild."""
    policy_class = data.get("policy_class")
    module = str(policy_class.get("__module__", "")) if isinstance(policy_class, dict) else ""
    extractor = _text_of(data, "features_extractor_class") or "FlattenExtractor"
    families = {
        "mlp_extractor",
        "action_net",
        "value_net",
        "log_std",
        "actor",
        "actor_target",
        "critic",
        "critic_target",
    }
    others = sorted({name.split(".")[0] for name in tensors} - families)
    reason = None
    if not module.startswith("stable_baselines3."):
        reason = f"its class is from {module or 'somewhere unknown'}"
    elif data.get("use_sde"):
        reason = "it uses state-dependent exploration (use_sde)"
    elif "FlattenExtractor" not in extractor:
        reason = f"it has a features extractor of its own, {extractor}"
    elif others:
        reason = f"it has {', '.join(others)}"
    elif not {"action_net.weight", "actor.mu.weight", "actor.mu.0.weight"} & set(tensors):
        reason = "it has no actor"
    if reason is not None:
        raise InputError(
            f"{path} is not a plain MlpPolicy of PPO, A2C, SAC, TD3 or DDPG: {reason}; "
            f"roll it out yourself and give the episodes as .npz"
        )


def _text_of(data: dict[str, Any], name: str) -> str | None:
    """A policy argument as the text that SB3 writes beside its pickle."""
    kwargs = data.get("policy_kwargs")
    value = kwargs.get(name) if isinstance(kwargs, dict) else None
    return None if value is None else str(value)


def _activation(path: Path, text: str) -> type[nn.Module]:
    """`<class 'torch.nn.modules.activation.ELU'>` -> `nn.ELU`."""
    match = re.fullmatch(r"<class 'torch\.nn\.modules\.activation\.(\w+)'>", text)
    found = getattr(nn.modules.activation, match.group(1), None) if match else None
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        raise InputError(f"{path} has the activation {text}; only those of torch.nn can be rebuilt")
    return found


def _widths(tensors: dict[str, torch.Tensor], prefix: str) -> list[int]:
    """Output sizes of the linear layers `<prefix><0, 2, 4, ...>.weight`."""
    widths: list[int] = []
    while (weight := tensors.get(f"{prefix}{2 * len(widths)}.weight")) is not None:
        widths.append(len(weight))
    return widths


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
