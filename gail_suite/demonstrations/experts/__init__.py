"""Experts: policies that demonstrations are rolled out of, as `<env id>.safetensors` beside a card `<env id>.json`.

The ones in this folder come with the package.  Those that a user trains for further tasks are kept in `user_folder()`.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from platformdirs import user_data_path

from gail_suite.demonstrations.atomic import atomic_path
from gail_suite.demonstrations.spaces import check_spaces
from gail_suite.errors import InputError

if TYPE_CHECKING:
    from stable_baselines3.common.policies import ActorCriticPolicy

BUNDLED = Path(__file__).parent


def user_folder() -> Path:
    """Where experts that a user trained are kept."""
    return user_data_path("gail_suite") / "experts"


def available_experts() -> dict[str, Path]:
    """Environment id -> its tensor file; a bundled one, whose returns are measured, before a user's own."""
    found = {}
    for folder in (user_folder(), BUNDLED):
        for path in sorted(folder.glob("*.safetensors")):
            if path.with_suffix(".json").is_file():
                found[path.stem.replace("%2F", "/")] = path
    return found


def expert_file(env_id: str) -> Path:
    """The tensor file.  Raises InputError where there is no expert for this environment."""
    experts = available_experts()
    if env_id not in experts:
        raise InputError(
            f"there is no expert for {env_id} (only for {', '.join(experts)}); give demonstrations as a file, or train "
            f"an expert first with: python -m gail_suite.expert --env {env_id}"
        )
    return experts[env_id]


def expert_card(env_id: str) -> dict[str, Any]:
    """Sizes, hidden layers, returns, versions, and how the expert was made."""
    return json.loads(expert_file(env_id).with_suffix(".json").read_text())


def load_expert(env_id: str) -> "ActorCriticPolicy":
    """The expert as a plain SB3 `MlpPolicy` on raw observations; its value function is zero.

    Raises:
        InputError: there is none for this environment, or its files are damaged.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    import envs
    from gail_suite.policies import plain_policy

    path = expert_file(env_id)
    venv = envs.make_venv(env_id, 1, None)
    venv.close()
    try:
        card = expert_card(env_id)
        tensors = load_file(path)
        with torch.random.fork_rng(devices=[]):  # the initial weights are thrown away
            policy = plain_policy(
                venv.observation_space,
                venv.action_space,
                hidden=card["hidden"],
                activation=getattr(torch.nn, card["activation"]),
                value_hidden=[],
            )
        value = {k: torch.zeros_like(v) for k, v in policy.state_dict().items() if k.startswith("value_net.")}
        policy.load_state_dict(tensors | value)
    except (OSError, SafetensorError, ValueError, KeyError, AttributeError, RuntimeError) as error:
        again = f"remove it and its card, or make it again with: python -m gail_suite.expert --env {env_id}"
        mend = "install the package again" if path.parent == BUNDLED else again
        raise InputError(f"the expert {path} cannot be read ({str(error).splitlines()[0]}); {mend}") from error
    policy.set_training_mode(False)
    return policy


def save_expert(
    folder: str | Path, env_id: str, policy: "ActorCriticPolicy", card: Mapping[str, Any] | None = None
) -> Path:
    """Write the actor of a plain policy and its card; returns the tensor file.

    `card` adds to what is read off the policy: env, obs_size, act_size, hidden, activation, versions.

    Raises:
        InputError: a policy that `load_expert` could not rebuild.
    """
    from safetensors.torch import save
    from torch import nn

    from gail_suite.demonstrations.rollout import simulator_versions
    from gail_suite.policies import actor_tensors

    obs_size, act_size = check_spaces(policy.observation_space, policy.action_space, env_id)
    layers = list(policy.mlp_extractor.policy_net)
    full_card = {
        "env": env_id,
        "obs_size": obs_size,
        "act_size": act_size,
        "hidden": [layer.out_features for layer in layers if isinstance(layer, nn.Linear)],
        "activation": policy.activation_fn.__name__,
        "versions": simulator_versions(),
        **(card or {}),
    }
    path = Path(folder) / f"{env_id.replace('/', '%2F')}.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        temporary.write_bytes(save(actor_tensors(policy)))
    with atomic_path(path.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(full_card, indent=1) + "\n")
    return path
