"""What is compared: a study is a dict of variants, a variant the flags that set it apart."""

from typing import get_args, get_type_hints

from gail_suite.config import TrainConfig

REWARDS = get_args(get_type_hints(TrainConfig)["reward"])

SIGNED = ("airl", "log-d")

STUDIES: dict[str, dict[str, tuple[str, ...]]] = {
    "reward": {
        # rewards that are negative off the expert pay for an early end, unless what follows an end is judged too
        **{name: ("--reward", name, *(("--absorbing",) if name in SIGNED else ())) for name in REWARDS},
        **{  # slow, so that they get less
            f"imitation's {peer.upper()}": ("--peer", peer, "--total-env-steps", "300000") for peer in ("gail", "airl")
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
