"""What tends to go wrong in adversarial imitation, recognised in what a run has logged and in what it imitates.

Every finding says what was seen, in numbers, and which flag to change.  None of it needs the policy.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs import reference_returns
from gail_suite.config import TrainConfig
from gail_suite.demonstrations import Demonstrations

Row = dict[str, Any]
CONSTANT_STD = 1e-5
CROSS_ENTROPY = {"gail", "airl", "fairl", "log-d", "vae", "rbm", "diffusion"}  # their logits are log-ratios
MIN_ROUNDS = 10  # fewer say nothing
LONG_WAY = 5.0  # metres; a shorter way of the expert is no walk


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, or may be."""

    name: str
    evidence: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.name}: {self.evidence}; {self.remedy}"


def of_curve(rows: Sequence[Row], config: TrainConfig) -> list[Finding]:
    """What the lines of metrics.jsonl show so far."""
    rounds = [row for row in rows if "reward/mean" in row and row.get("round", 0) > config.frozen_rounds]
    looks = [row for row in rows if "eval/return_mean" in row]
    late = rounds[-max(MIN_ROUNDS, len(rounds) // 4) :]
    found = [_survival_bias(looks, config), _small_budget(looks, config)]
    if len(late) >= MIN_ROUNDS:
        found += [_saturated_critic(late, config), _suicide_bias(late, looks), _exploding(late, config)]
    return [finding for finding in found if finding is not None]


def of_demonstrations(demonstrations: Demonstrations, config: TrainConfig) -> list[Finding]:
    """What the demonstrations show by themselves."""
    found = [_weak_expert(demonstrations, config), _inconsistent_expert(demonstrations), _constant(demonstrations)]
    return [finding for finding in found if finding is not None]


def of_starts(demonstrations: Demonstrations, starts: NDArray[np.floating]) -> list[Finding]:
    """Whether the task's first observations (N, O) lie where the demonstrations have been.

    Says nothing of subsampled ones, which hardly hold a start: a walker's first pose is none that it walks through.
    """
    if demonstrations.provenance.subsampled_every > 1:
        return []
    obs = demonstrations.obs.astype(np.float64)
    margin = 5 * obs.std(axis=0) + 1e-3
    below, above = obs.min(axis=0) - margin, obs.max(axis=0) + margin
    outside = ((starts < below) | (starts > above)).mean(axis=0) > 0.5
    if not outside.any():
        return []
    worst = int(np.flatnonzero(outside)[0])
    return [
        Finding(
            "demonstrations and task do not match",
            f"{outside.sum()} of {len(outside)} observation dimensions begin far from anything demonstrated: number "
            f"{worst} starts at {starts[:, worst].mean():.3g}, the demonstrations have {obs[:, worst].min():.3g} to "
            f"{obs[:, worst].max():.3g}",
            "record them in this version of the task, or give the --env-kwargs they were recorded with",
        )
    ]


def _saturated_critic(late: Sequence[Row], config: TrainConfig) -> Finding | None:
    if config.reward not in CROSS_ENTROPY or "critic/logit_model" not in late[0]:
        return None
    accuracy, logit = _median(late, "critic/accuracy"), _median(late, "critic/logit_model")
    if accuracy <= config.critic.accuracy_cap or logit >= -config.critic.logit_cap:
        return None
    return Finding(
        "saturated critic",
        f"in the last {len(late)} rounds it tells the sides apart in {accuracy:.1%} of cases, and its mean logit of "
        f"{logit:.1f} on the policy's side leaves a reward of {_median(late, 'reward/mean'):.2g} to learn from",
        f"raise --critic.gradient-penalty (now {config.critic.gradient_penalty:g}), lower "
        f"--critic.updates-per-round (now {config.critic.updates_per_round}) or --critic.lr (now "
        f"{config.critic.lr:g}), or imitate more (--n-demos)",
    )


def _survival_bias(looks: Sequence[Row], config: TrainConfig) -> Finding | None:
    expert = (reference_returns(config.env) or {}).get("expert", {})
    way, length = expert.get("displacement_mean"), expert.get("episode_length_mean")
    if not looks or way is None or length is None or "eval/displacement" not in looks[-1]:
        return None
    last = looks[-1]
    if last["env_steps"] < 0.25 * config.total_env_steps:  # a clone of few data stands at first, and learns to walk
        return None
    if way < LONG_WAY or last["eval/episode_length"] < 0.8 * length or last["eval/displacement"] > 0.1 * way:
        return None
    return Finding(
        "survival bias",
        f"episodes last {last['eval/episode_length']:.0f} steps, as the expert's {length:.0f}, but lead "
        f"{last['eval/displacement']:.1f} m far where the expert gets {way:.0f} m: the policy stands",
        "take a reward that does not pay for time alone (--reward airl), a critic that slopes more (--critic.lr 5e-4 "
        "--critic.updates-per-round 16 --critic.gradient-penalty 2), or more demonstrations (--n-demos)",
    )


def _suicide_bias(late: Sequence[Row], looks: Sequence[Row]) -> Finding | None:
    reward = _median(late, "reward/mean")
    if reward >= 0 or len(looks) < 2:
        return None
    lengths = [look["eval/episode_length"] for look in looks]
    if lengths[-1] > 0.5 * max(lengths[:-1]):
        return None
    return Finding(
        "suicide bias",
        f"the reward is negative ({reward:.2f} a step) and episodes shrank from {max(lengths[:-1]):.0f} to "
        f"{lengths[-1]:.0f} steps: ending early costs least",
        "take a reward that is never negative (--reward gail)",
    )


def _small_budget(looks: Sequence[Row], config: TrainConfig) -> Finding | None:
    ends = reference_returns(config.env) or {}
    if len(looks) < 8 or "expert" not in ends or "random" not in ends:
        return None
    quarter = len(looks) // 4
    returns = np.array([look["eval/return_mean"] for look in looks])
    random = ends["random"]["return_mean"]
    scale = ends["expert"]["return_mean"] - random
    before, after = ((part.mean() - random) / scale for part in (returns[-2 * quarter : -quarter], returns[-quarter:]))
    if looks[-1]["env_steps"] < config.total_env_steps or after > 0.95 or after - before < 0.03:
        return None
    return Finding(
        "budget too small",
        f"the normalised return was still rising at the end, from {before:.2f} in the third quarter to {after:.2f} in "
        f"the last, of {config.total_env_steps:,} steps",
        f"go on with --resume RUN --total-env-steps {2 * config.total_env_steps}",
    )


def _exploding(late: Sequence[Row], config: TrainConfig) -> Finding | None:
    seen = []
    if (explained := _median(late, "ppo/explained_variance")) < -1:
        seen.append(f"the values explain the returns worse than a constant would (explained variance {explained:.1f})")
    if (kl := _median(late, "ppo/kl")) > 5 * config.ppo.target_kl:
        seen.append(f"the policy moves {kl:.3g} nats a round, {kl / config.ppo.target_kl:.0f} times the target")
    value = abs(_median(late, f"{config.algo}/actor_loss"))  # SAC's and TD3's is the negative action value
    largest = (abs(_median(late, "reward/mean")) + 3 * _median(late, "reward/std")) / max(1 - config.gamma, 1e-9)
    if config.algo != "ppo" and value > 10 * largest:
        seen.append(f"the action values reach {value:.3g}, where rewards like these sum to some {largest:.3g} at most")
    if diverged := late[-1].get("rollout/diverged_episodes", 0):
        seen.append(f"{diverged} episodes ended because the simulation was no longer finite")
    if not seen:
        return None
    remedy = (
        f"lower --ppo.policy-lr (now {config.ppo.policy_lr:g}) and --ppo.max-policy-lr (now "
        f"{config.ppo.max_policy_lr:g}), or --ppo.value-lr (now {config.ppo.value_lr:g})"
    )
    if config.algo != "ppo":
        remedy = (
            f"lower --off-policy.critic-lr (now {config.off_policy.critic_lr:g}) and --off-policy.actor-lr (now "
            f"{config.off_policy.actor_lr:g}), or --off-policy.update-ratio (now {config.off_policy.update_ratio:g})"
        )
    return Finding("values explode", f"in the last {len(late)} rounds " + "; ".join(seen), remedy)


def _weak_expert(demonstrations: Demonstrations, config: TrainConfig) -> Finding | None:
    ends, returns = reference_returns(config.env) or {}, demonstrations.returns
    if returns is None or "expert" not in ends or "random" not in ends:
        return None
    random = ends["random"]["return_mean"]
    share = (returns.mean - random) / (ends["expert"]["return_mean"] - random)
    if share > 0.7:
        return None
    return Finding(
        "weak expert",
        f"the demonstrations' mean return of {returns.mean:,.0f} is {share:.2f} of what this task's known expert "
        f"reaches, on the scale from random: an imitation will hardly be better",
        "imitate somebody better (--demos), or the bundled expert where there is one (no --demos)",
    )


def _inconsistent_expert(demonstrations: Demonstrations) -> Finding | None:
    returns = demonstrations.returns
    if returns is None or returns.std < 0.3 * abs(returns.mean):
        return None
    return Finding(
        "inconsistent expert",
        f"the returns of its {demonstrations.n_episodes} episodes are {returns.mean:,.0f} +- {returns.std:,.0f}, from "
        f"{returns.min:,.0f} to {returns.max:,.0f}: it fails now and then, and its failures are imitated too",
        "look at them with python -m gail_suite.demos inspect, and leave the failed episodes out",
    )


def _constant(demonstrations: Demonstrations) -> Finding | None:
    constant = demonstrations.obs.astype(np.float64).std(axis=0) < CONSTANT_STD
    if not constant.any():
        return None
    return Finding(
        "constant dimensions",
        f"{constant.sum()} of {len(constant)} observation dimensions never move in the demonstrations (the first is "
        f"number {int(np.flatnonzero(constant)[0])})",
        "nothing to change here: they are left out; a network of your own must not divide by their spread",
    )


def _median(rows: Sequence[Row], name: str) -> float:
    return float(np.median([row[name] for row in rows if name in row])) if any(name in row for row in rows) else 0.0
