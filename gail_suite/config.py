"""The one description of a run: every field is a flag of the command line with its text as help."""

import json
from dataclasses import MISSING, asdict, dataclass, field, fields, is_dataclass
from typing import Any, Literal, get_type_hints

from gail_suite.bounds import check_bounds
from gail_suite.errors import InputError
from gail_suite.fields import fits

Algorithm = Literal["ppo", "sac", "td3"]


@dataclass(frozen=True, kw_only=True)
class PPOConfig:
    """The learner.  Steps are environment steps, summed over the parallel environments unless said otherwise."""

    n_steps: int = 64
    """Steps that each environment takes between two updates."""
    minibatch_size: int = 2048
    """Transitions a gradient step."""
    n_epochs: int = 5
    """Passes over a rollout."""
    gamma: float = 0.99
    """Discount."""
    gae_lambda: float = 0.95
    """Trade-off of the advantage estimate between bias (0) and variance (1)."""
    clip_range: float = 0.2
    """How far the probability ratio may move before its gradient is cut."""
    target_kl: float = 0.01
    """KL divergence between two successive policies, nats, that the step size is adapted to."""
    kl_stop: float = 4.0
    """The policy's epochs stop when the KL exceeds this many times the target."""
    policy_lr: float = 3e-4
    """Initial step size of the policy; adapted from then on."""
    max_policy_lr: float = 1e-2
    """Upper end of the adapted step size."""
    value_lr: float = 5e-4
    """Step size of the value function."""
    value_statistics_rate: float = 0.05
    """How fast the returns' running mean and spread follow, in (0, 1]."""
    averaging: float = 0.95
    """Decay a round of the moving average of the policy's weights, which is what is looked at, kept and saved; in
    [0, 1), and 0 is the latest weights alone."""
    entropy_coefficient: float = 0.0
    """Weight of the entropy bonus."""
    bound_penalty: float = 0.01
    """Weight of the squared excess of a mean action beyond 1.1 of its range."""
    max_grad_norm: float = 1.0
    """Gradients are scaled down to this norm."""
    initial_std: float = 0.6
    """Exploration noise at the start, in fractions of the action range."""
    hidden: tuple[int, ...] = (256, 128, 64)
    """Widths of the hidden layers, of the policy and of the value function."""
    update_normaliser: bool = True
    """Whether the observation statistics follow the policy."""


@dataclass(frozen=True, kw_only=True)
class OffPolicyConfig:
    """The learner where it is SAC or TD3.  Steps are environment steps, over all parallel environments."""

    n_steps: int = 16
    """Steps that each environment takes between two bursts of gradient steps."""
    update_ratio: float = 0.25
    """Gradient steps an environment step: what an update costs against what a step costs is yours to weigh."""
    batch_size: int = 256
    """Transitions a gradient step."""
    buffer_size: int = 300_000
    """Transitions that are remembered."""
    recent: int = 20_000
    """The newest transitions, of which the reward model learns what the policy does."""
    demo_share: float = 0.0
    """Share of each minibatch that is demonstrations, with the rewards of today as all others."""
    learning_starts: int = 5_000
    """Steps before the first gradient step; without a warm start they are taken at random."""
    gamma: float = 0.99
    """Discount."""
    tau: float = 0.005
    """How fast the target networks follow, in (0, 1]."""
    actor_lr: float = 1e-6
    """Initial step size of the policy; adapted from then on."""
    target_shift: float = 0.02
    """How far the policy's actions may move from round to round, root mean square in fractions of the action range,
    that its step size is adapted to: the action values know little of actions that nobody has tried."""
    critic_lr: float = 3e-4
    """Step size of the action values, and of a learned temperature."""
    temperature: float | None = None
    """SAC's weight of the entropy; by default it is learned."""
    entropy_target: float = -1.0
    """What a learned temperature steers the policy's entropy to, nats an action dimension (of actions in [-1, 1])."""
    exploration_std: float = 0.1
    """Exploration noise without a warm start, in fractions of the action range; TD3 keeps it."""
    hidden: tuple[int, ...] = (256, 256)
    """Widths of the hidden layers, of the policy and of the action values."""
    averaging: float = 0.95
    """As `ppo.averaging`."""


@dataclass(frozen=True, kw_only=True)
class BehaviouralCloningConfig:
    """The warm start, and the baseline of every report."""

    input_noise: float = 0.03
    """Gaussian jitter on the standardised observations."""
    weight_decay: float = 1e-2
    """Decoupled weight decay (AdamW)."""
    lr: float = 1e-3
    """Initial step size, annealed to a twentieth along a cosine."""
    batch_size: int = 256
    """Pairs a gradient step."""
    max_updates: int = 20_000
    """Gradient steps at most."""
    min_updates_per_check: int = 100
    """Gradient steps between two looks at the held-out pairs, at least."""
    patience: int = 30
    """Looks without improvement before it stops."""


@dataclass(frozen=True, kw_only=True)
class CriticConfig:
    """The discriminator."""

    hidden: tuple[int, ...] = (256, 256)
    """Widths of its hidden layers."""
    lr: float = 5e-4
    """Step size; the guard only lowers it."""
    updates_per_round: int = 16
    """Minibatch updates after each policy rollout; the guard only lowers it."""
    batch_size: int = 256
    """Transitions of each side a minibatch."""
    gradient_penalty: float = 2.0
    """Weight of (|gradient| - 1)^2 on mixes of both sides, on normalised inputs and the logit."""
    r1_penalty: float = 0.0
    """Half of it is the weight of |gradient|^2 at the demonstrations."""
    logit_penalty: float = 0.0
    """Weight of the squared logit."""
    mixup: bool = False
    """Train on mixes of both sides with labels mixed alike; cross-entropy only."""
    entropy_bonus: float = 1e-3
    """Weight of the entropy of D."""
    spectral_norm: bool = False
    """Bound every layer's largest singular value by 1."""
    dropout: float = 0.0
    """Share of hidden units dropped while the critic learns."""
    accuracy_cap: float = 0.95
    """Above this accuracy, and beyond the logit cap, the critic gets fewer and smaller updates."""
    logit_cap: float = 5.0
    """How far below zero the policy's mean logit may fall; there the reward is about exp(-cap)."""


@dataclass(frozen=True, kw_only=True)
class DensityConfig:
    """The density model, where one makes the reward."""

    mode: Literal["auto", "fitted", "ratio", "adversarial"] = "auto"
    """fitted: on the demonstrations, once.  ratio: against one of the policy, which learns (made, flow, gmm).
    adversarial: fitted, then trained on as the critic (all but gmm).  auto: ratio where it can be, else adversarial."""
    hidden: tuple[int, ...] = (128, 128)
    """Widths of its networks."""
    lr: float = 1e-3
    """Step size, of the fit and of the policy's density."""
    max_updates: int = 3_000
    """Minibatch updates of the fit; the parameters that judge held-out transitions best are kept."""
    batch_size: int = 256
    """Transitions a minibatch."""
    input_noise: float | None = None
    """Gaussian jitter in fitting, in units of the demonstrations' spread; by default 0.05, and 0.5 for a flow:
    a sharper one sees nothing of the expert from where the policy stands."""
    updates_per_round: int = 16
    """Minibatch updates of the policy's density after each rollout."""


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Imitate: demonstrations in, a Stable-Baselines3 policy out."""

    env: str = "Ant-v4"
    """gymnasium id of the task; `module:Env-v0` imports the module first."""
    demos: str | None = None
    """An .npz, an `imitation` folder, a Minari id or an SB3 .zip; by default the task's own expert demonstrates."""
    demos_seed: int = 0
    """Of the episodes that an expert demonstrates; files ignore it."""
    n_demos: int = 25
    """Episodes to imitate."""
    subsample: int = 1
    """Keep every so many-th pair of each episode (the 2016 paper: 20)."""
    reward: Literal[
        "gail",
        "airl",
        "fairl",
        "log-d",
        "least-squares",
        "wgan",
        "made",
        "flow",
        "gmm",
        "vae",
        "rbm",
        "diffusion",
        "constant",
    ] = "gail"
    """A critic with the loss and the reward of that name, or (from `made` on) a density model; constant is the
    control, which learns nothing."""
    view: Literal["state-action", "state", "state-next-state"] = "state-action"
    """What the critic compares."""
    absorbing: bool = False
    """After a real end comes a state that the critic judges and that lasts for ever, so that ends are imitated too;
    otherwise nothing comes, and a reward >= 0 pays for staying alive."""
    algo: Algorithm = "ppo"
    """The reinforcement learner; sac and td3 learn from a buffer whose rewards are always today's."""
    seed: int = 0
    """Of networks, environments, minibatches and the demonstrations' subsampling."""
    total_env_steps: int = 500_000
    """Policy steps summed over all parallel environments."""
    n_envs: int = 32
    """Environments stepped together."""
    episode_steps: int | None = None
    """Training episodes time out after so many steps, not after the task's own limit: short ones begin more often,
    which helps where the start is what is hard.  Evaluations are always of whole episodes."""
    threads: int = 0
    """Processor threads for the simulators and for the networks; 0 is one a core."""
    warm_start: bool = True
    """Begin with behavioural cloning."""
    warm_start_std: float | None = None
    """Exploration noise after the warm start, in fractions of the action range; by default the clone's held-out error,
    which is the demonstrator's own noise where data are plenty, and 0.2 at most: more drowns what was cloned."""
    warm_up_rounds: int = 10
    """Rounds in which only critic and values learn, before the policy may move."""
    eval_every: int = 50_000
    """Environment steps between two looks at the true return, which choose the best checkpoint."""
    select_episodes: int = 10
    """Episodes of such a look; at the end the best four, the first and the last play on, and the winner is the best."""
    eval_episodes: int = 50
    """Episodes of the final evaluation, with seeds of their own."""
    select: Literal["return", "reward", "last"] = "return"
    """Which checkpoint becomes policy.zip: best true return (an oracle), best learned reward a step, or the last."""
    controls: bool = True
    """Also train with a constant reward (D = 0.5) for as many steps, to show what the task gives for free."""
    video: bool = True
    """Render policy.mp4 at the end, where rendering works."""
    env_kwargs: str = "{}"
    """JSON of arguments for the environment; leaves the batched simulator."""
    device: str = "cpu"
    """Device of the networks: cpu, cuda, auto.  For nets of this size the processor is faster."""
    out: str | None = None
    """Folder of the run; by default runs/<env>/<time>-s<seed>."""
    resume: str | None = None
    """Folder of an interrupted run to go on with, exactly."""
    ppo: PPOConfig = field(default_factory=PPOConfig)
    """The learner."""
    off_policy: OffPolicyConfig = field(default_factory=OffPolicyConfig)
    """The learner, with --algo sac or td3."""
    critic: CriticConfig = field(default_factory=CriticConfig)
    """The discriminator."""
    density: DensityConfig = field(default_factory=DensityConfig)
    """The density model, where one makes the reward."""
    cloning: BehaviouralCloningConfig = field(default_factory=BehaviouralCloningConfig)
    """The warm start."""

    def check(self) -> None:
        """Raise InputError, naming the flag, on a number that cannot work."""
        check_bounds(self)
        self.parsed_env_kwargs()
        if self.algo != "ppo" and self.gamma == 1:
            raise InputError("--off-policy.gamma must be below 1: action values without a discount have no limit")
        if self.absorbing and self.gamma == 1:
            raise InputError("--absorbing sums a reward for ever: it needs a --ppo.gamma below 1")

    @property
    def gamma(self) -> float:
        """The learner's discount."""
        return self.ppo.gamma if self.algo == "ppo" else self.off_policy.gamma

    @property
    def frozen_rounds(self) -> int:
        """The rounds of the warm-up, and before them those in which an off-policy learner only collects."""
        collecting = 0 if self.algo == "ppo" else self.off_policy.learning_starts // self.steps_per_round
        return self.warm_up_rounds + collecting

    @property
    def steps_per_round(self) -> int:
        """Environment steps between two updates."""
        return self.n_envs * (self.ppo.n_steps if self.algo == "ppo" else self.off_policy.n_steps)

    def parsed_env_kwargs(self) -> dict[str, Any]:
        """`env_kwargs` as a dictionary.  Raises InputError where it is not a JSON object."""
        try:
            values = json.loads(self.env_kwargs)
        except ValueError as error:
            raise InputError(
                f"--env-kwargs is not JSON ({error}); write it like '{{\"healthy_reward\": 0.5}}'"
            ) from error
        if not isinstance(values, dict):
            raise InputError("--env-kwargs must be a JSON object, like '{\"healthy_reward\": 0.5}'")
        return values


def config_to_dict(config: TrainConfig) -> dict[str, Any]:
    """As JSON types."""
    return json.loads(json.dumps(asdict(config)))


def config_from_dict(values: dict[str, Any]) -> TrainConfig:
    """The inverse of `config_to_dict`; raises InputError on unknown or missing names and on wrong types."""
    try:
        return _build(TrainConfig, values)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise InputError(f"this is not the configuration of a run ({error}); start a new run") from error


def _build(cls: type, values: dict[str, Any]) -> Any:
    known, hints = {f.name: f for f in fields(cls)}, get_type_hints(cls)
    unknown = set(values) - set(known)
    if unknown:
        raise ValueError(f"unknown field {sorted(unknown)[0]!r}")
    built: dict[str, Any] = {}
    for name, value in values.items():
        factory = known[name].default_factory
        default = known[name].default if factory is MISSING else factory()
        if is_dataclass(default):
            built[name] = _build(type(default), value)
            continue
        value = tuple(value) if isinstance(default, tuple) else value
        if not fits(value, hints[name]):
            raise TypeError(f"{name} = {value!r}")
        built[name] = value
    return cls(**built)
