"""Settings that were found to work, a function an environment family.  Everything else is `TrainConfig`'s default."""

from dataclasses import replace

from gail_suite.config import PPOConfig, TrainConfig

# After a warm start the first policy updates decide: a quiet policy moves many KL targets in one long step.
_QUIET = PPOConfig(
    policy_lr=3e-5, target_kl=0.01, kl_stop=1.5, max_grad_norm=0.5, max_policy_lr=1e-3, update_normaliser=False
)
_FROM_SCRATCH = PPOConfig()

PRESETS: dict[str, TrainConfig] = {
    "Ant": TrainConfig(total_env_steps=1_000_000, warm_start_std=0.1, ppo=_QUIET),
    "Humanoid": TrainConfig(
        total_env_steps=1_000_000,
        warm_start_std=0.074,
        warm_up_rounds=15,
        ppo=replace(_QUIET, policy_lr=3e-6, target_kl=0.005, n_steps=128),
    ),
    "Hopper": TrainConfig(ppo=_QUIET),
    "Walker2d": TrainConfig(ppo=_QUIET),
    "HalfCheetah": TrainConfig(ppo=_QUIET),
}


def preset(env_id: str, *, warm_start: bool = True) -> TrainConfig:
    """The defaults for a task: its family's preset where there is one."""
    family = env_id.rpartition(":")[2].rpartition("-v")[0]
    config = PRESETS.get(family, TrainConfig(ppo=_QUIET))
    if not warm_start:
        config = replace(config, ppo=_FROM_SCRATCH, warm_start=False, total_env_steps=5_000_000, warm_up_rounds=0)
    return replace(config, env=env_id)
