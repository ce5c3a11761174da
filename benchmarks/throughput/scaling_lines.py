"""What `scaling` measures: each plot's lines, each line's points, and how to make what is timed at a point."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import gymnasium
import numpy as np
from gymnasium import spaces

from benchmarks.throughput.cases import SEED, Contender, VecEnvSteps
from benchmarks.throughput.core_pairs import Sizes, our_game, our_maf
from benchmarks.throughput.learners import Ours, comparable
from benchmarks.throughput.limit import steps_within
from envs import make_venv
from gail_suite.demonstrations import Demonstrations, Provenance
from gail_suite.reward.make import make_reward_model
from generative_core.adversarial.dcgan import DCGAN

N_ENVS = (1, 2, 4, 8, 16, 32, 64, 128)
BATCHES = (8, 16, 32, 64, 128, 256, 512, 1024)
UNITS = (16, 32, 64, 128, 256, 512, 1024)
CHANNELS = (8, 16, 32, 64, 128)
PAIRS = (100, 300, 1_000, 3_000, 10_000, 30_000, 100_000, 300_000)
BATCH = 256  # of the plots over width
CRITIC_UPDATES, CRITIC_BATCH = 4, 256  # a training round
GAIL_PAIRS = 4_000


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of a plot."""

    label: str = ""
    """What sets it apart from the plot's others, beside the threads."""
    threads: int = 1
    """Of the processor."""
    xs: tuple[int, ...]
    """Rising."""
    make: Callable[[int], Contender]
    """What is timed at a point."""


@dataclass(frozen=True, kw_only=True)
class Plot:
    """Lines over one x; y is what a contender measures, a second."""

    title: str
    x: str
    y: str
    lines: tuple[Line, ...]
    is_time: bool = False
    """Whether y is the time of each in milliseconds instead."""
    events_of: Callable[[int], int] | None = None
    """x -> events an update, where y is updates/s: then events/s are told too."""


class Calls:
    """Something to call again and again, warmed up by one call."""

    def __init__(self, call: Callable[[], object], per_call: int = 1, close: Callable[[], None] | None = None):
        self.call, self.per_call, self._close = call, per_call, close
        call()

    def measure(self, seconds: float) -> float:
        return steps_within(self.call, seconds) * self.per_call

    def close(self) -> None:
        if self._close is not None:
            self._close()


def random_demonstrations(env_id: str, n: int) -> Demonstrations:
    """One episode of random pairs: what is in them changes no cost."""
    env = gymnasium.make(env_id)
    rng = np.random.default_rng(SEED)
    box = env.action_space
    assert isinstance(env.observation_space, spaces.Box)
    assert isinstance(box, spaces.Box)
    obs, next_obs = rng.normal(size=(2, n, *env.observation_space.shape)).astype(np.float32)
    acts = rng.uniform(box.low, box.high, (n, *box.shape)).astype(np.float32)
    env.close()
    return Demonstrations(
        obs=obs,
        acts=acts,
        next_obs=next_obs,
        terminated=np.zeros(n, dtype=bool),
        rewards=None,
        episode=np.zeros(n, dtype=np.int64),
        provenance=Provenance(env_id=env_id, source="random pairs", lengths=(n,), returns=None, complete=(False,)),
    )


def env_steps(env_id: str, threads: int, warm_up: int, n_envs: int) -> Contender:
    return VecEnvSteps(make_venv(env_id, n_envs, SEED, n_threads=threads), warm_up)


def gail(env_id: str, threads: int, round_steps: int, n_envs: int) -> Contender:
    """Whole training rounds of as many steps and updates each, whatever the number of environments."""
    config = comparable(env_id, n_envs, max(1, round_steps // n_envs), CRITIC_UPDATES, CRITIC_BATCH)
    ours = Ours(replace(config, threads=threads), random_demonstrations(env_id, GAIL_PAIRS))
    return Calls(lambda: ours.measure(1), ours.steps_per_round, ours.close)


def critic(env_id: str, round_steps: int, n_pairs: int) -> Contender:
    """The critic's part of training rounds: its updates on the demonstrations and on a round's steps."""
    config = comparable(env_id, 1, round_steps, CRITIC_UPDATES, CRITIC_BATCH)
    demonstrations = random_demonstrations(env_id, n_pairs)
    reward = make_reward_model(config, demonstrations, "cpu")
    expert, policy = demonstrations.transitions(), random_demonstrations(env_id, round_steps).transitions()
    return Calls(lambda: reward.update(expert, policy), CRITIC_UPDATES)


def maf(sizes: Sizes) -> Contender:
    return Calls(our_maf(sizes).step)


def dcgan(sizes: Sizes) -> Contender:
    return Calls(our_game(DCGAN, sizes).step)


def plots(env_id: str, threads: tuple[int, ...], round_steps: int, warm_up: int) -> dict[str, Plot]:
    """All that can be measured, by name; a round of a game counts as one update."""
    most = max(threads)
    return {
        "envs": Plot(
            title=f"{env_id}, simulation alone",
            x="environments",
            y="env steps/s",
            lines=tuple(Line(threads=n, xs=N_ENVS, make=partial(env_steps, env_id, n, warm_up)) for n in threads),
        ),
        "gail": Plot(
            title=f"{env_id}, GAIL, {round_steps:,} steps a round",
            x="environments",
            y="env steps/s",
            lines=(Line(threads=most, xs=N_ENVS, make=partial(gail, env_id, most, round_steps)),),
        ),
        "batch": Plot(
            title="Core training, by batch",
            x="events a batch",
            y="updates/s",
            events_of=lambda n: n,
            lines=(
                Line(label="MAF", xs=BATCHES, make=lambda n: maf(Sizes(batch=n))),
                Line(label="DCGAN", xs=BATCHES, make=lambda n: dcgan(Sizes(batch=n))),
            ),
        ),
        "width": Plot(
            title=f"Core training, by width, batch {BATCH}",
            x="units or channels of the widest layer",
            y="updates/s",
            events_of=lambda n: BATCH,
            lines=(
                Line(label="MAF", xs=UNITS, make=lambda n: maf(Sizes(batch=BATCH, hidden=n))),
                Line(label="DCGAN", xs=CHANNELS, make=lambda n: dcgan(Sizes(batch=BATCH, channels=(n, n // 2)))),
            ),
        ),
        "critic": Plot(
            title=f"{env_id}, the critic's updates",
            x="demonstrated pairs",
            y="ms an update",
            is_time=True,
            lines=(Line(xs=PAIRS, make=partial(critic, env_id, round_steps)),),
        ),
    }
