"""What is compared: a study is a dict of variants, a variant the flags that set it apart."""

from collections.abc import Sequence
from typing import get_args, get_type_hints

from gail_suite.config import TrainConfig

REWARDS = get_args(get_type_hints(TrainConfig)["reward"])

ALGORITHMS = get_args(get_type_hints(TrainConfig)["algo"])

SIGNED = ("airl", "log-d")

Variant = tuple[str, ...]

# Whose trainer a variant is, by its first flag; without one of these it is ours.
MODULES = {"--peer": "benchmarks.imitation.peer", "--baseline": "benchmarks.imitation.baseline"}

PEERS = ("gail", "airl", "bc")
PEER_STEPS = 300_000  # imitation's trainers take some hundred steps a second


def with_reward(name: str) -> Variant:
    """A reward that is negative off the expert pays for an early end, unless what follows an end is judged too."""
    return ("--reward", name, *(("--absorbing",) if name in SIGNED else ()))


def comparison(
    rewards: Sequence[str], algorithms: Sequence[str], peers: Sequence[str], total_env_steps: int | None
) -> dict[str, Variant]:
    """Ours first, then the control, the baselines and `imitation`'s trainers, which get `PEER_STEPS` at most."""
    steps = str(min(PEER_STEPS, total_env_steps or PEER_STEPS))
    return {
        **{
            name if algo == "ppo" else f"{name}, {algo}": (*with_reward(name), "--algo", algo)
            for algo in algorithms
            for name in rewards
            if name != "constant"
        },
        "constant reward": with_reward("constant"),
        "behavioural cloning": ("--baseline", "cloning"),
        "random": ("--baseline", "random"),
        **{f"imitation's {peer.upper()}": ("--peer", peer, "--total-env-steps", steps) for peer in peers},
    }


STUDIES: dict[str, dict[str, Variant]] = {
    "reward": {
        **{name: with_reward(name) for name in REWARDS},
        **{
            f"imitation's {peer.upper()}": ("--peer", peer, "--total-env-steps", str(PEER_STEPS))
            for peer in ("gail", "airl")
        },
    },
    "algorithm": {
        "ppo": (),
        "sac": ("--algo", "sac"),
        "sac, half demonstrations": ("--algo", "sac", "--off-policy.demo-share", "0.5"),
        "td3": ("--algo", "td3"),
    },
    "density": {
        f"{name}, {mode}": ("--reward", name, "--density.mode", mode)
        for name, modes in {
            "made": ("fitted", "ratio", "adversarial"),
            "flow": ("fitted", "ratio", "adversarial"),
            "gmm": ("fitted", "ratio"),
            "vae": ("fitted", "adversarial"),
            "rbm": ("fitted", "adversarial"),
            "diffusion": ("fitted", "adversarial"),
        }.items()
        for mode in modes
    },
    "regulariser": {
        "default": (),
        "none": ("--critic.gradient-penalty", "0", "--critic.entropy-bonus", "0"),
        "gradient penalty 10": ("--critic.gradient-penalty", "10"),
        "spectral norm": ("--critic.gradient-penalty", "0", "--critic.spectral-norm"),
        "R1": ("--critic.gradient-penalty", "0", "--critic.r1-penalty", "2"),
        "mixup": ("--critic.gradient-penalty", "0", "--critic.mixup"),
        "logit penalty": ("--critic.gradient-penalty", "0", "--critic.logit-penalty", "0.1"),
        "dropout": ("--critic.gradient-penalty", "0", "--critic.dropout", "0.5"),
        "entropy bonus 0.1": ("--critic.gradient-penalty", "0", "--critic.entropy-bonus", "0.1"),
    },
    "view": {name: ("--view", name) for name in get_args(get_type_hints(TrainConfig)["view"])},
    "ends": {
        f"{reward}, {'absorbing' if flags else 'plain'}": ("--reward", reward, *flags)
        for reward in ("gail", "airl", "log-d")
        for flags in ((), ("--absorbing",))
    },
    "warm start": {"cloned": (), "from scratch": ("--no-warm-start",)},
}
