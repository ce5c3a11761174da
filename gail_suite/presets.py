"""Settings that were found to work, a function an environment family.  Everything else is `TrainConfig`'s default."""

from dataclasses import replace

from gail_suite.config import Algorithm, CriticConfig, PPOConfig, TrainConfig

# A quiet policy moves many KL targets in one long step, so the first steps after a warm start are short; the statistics
# of its inputs stay those it was cloned with.
_WARM = PPOConfig(
    minibatch_size=1024,
    policy_lr=1e-4,
    max_policy_lr=1e-3,
    target_kl=0.02,
    max_grad_norm=0.5,
    update_normaliser=False,
)
_FROM_SCRATCH = PPOConfig(minibatch_size=1024, target_kl=0.02)

PRESETS: dict[str, TrainConfig] = {
    "Ant": TrainConfig(ppo=_WARM),
    # Falls are in the first steps, so episodes begin often; a quicker critic learns few demonstrations by heart.
    "Humanoid": TrainConfig(
        total_env_steps=800_000,
        episode_steps=300,
        warm_start_std=0.074,
        warm_up_rounds=15,
        critic=CriticConfig(lr=1e-4, updates_per_round=2, gradient_penalty=10.0),
        ppo=replace(_WARM, policy_lr=1e-5, target_kl=0.02, kl_stop=2.0, n_steps=128),
    ),
    "Hopper": TrainConfig(ppo=_WARM),
    "Walker2d": TrainConfig(ppo=_WARM),
    "HalfCheetah": TrainConfig(ppo=_WARM),
}


# A round of SAC or TD3 is 512 steps: this many are as long as PPO's ten.
_WARM_UP_ROUNDS_OFF_POLICY = 40


def preset(env_id: str, *, warm_start: bool = True, algo: Algorithm = "ppo") -> TrainConfig:
    """The defaults for a task: its family's preset where there is one."""
    family = env_id.rpartition(":")[2].rpartition("-v")[0]
    config = PRESETS.get(family, TrainConfig(ppo=_WARM))
    if not warm_start:
        config = replace(config, ppo=_FROM_SCRATCH, warm_start=False, total_env_steps=5_000_000, warm_up_rounds=0)
    if algo != "ppo":
        rounds = _WARM_UP_ROUNDS_OFF_POLICY if warm_start else 0
        config = replace(config, algo=algo, total_env_steps=500_000, warm_up_rounds=rounds)
    return replace(config, env=env_id)
