"""Results of imitation: runs and studies."""

from typing import Annotated

import numpy as np
from pydantic import Field, FiniteFloat, NonNegativeInt, PositiveInt
from pydantic import model_validator as law

from benchmarks.report.schema.parts import Amount, Origin, Part, Text, agree, command_agrees, require_rising
from gail_suite.evaluation import iqm


class Policy(Part):
    """How one policy did over its episodes."""

    return_mean: FiniteFloat
    return_std: Amount
    return_iqm: FiniteFloat
    return_ci95: Annotated[list[FiniteFloat], Field(min_length=2, max_length=2)]
    normalised_return: FiniteFloat | None = None
    displacement_mean: FiniteFloat | None = None
    episode_length_mean: Amount
    episodes: PositiveInt
    returns: list[FiniteFloat] | None = None

    @law(mode="after")
    def _of_its_episodes(self) -> "Policy":
        if self.return_ci95[0] > self.return_ci95[1]:
            raise ValueError("return_ci95 has its ends the wrong way round")
        if self.returns is not None:
            if len(self.returns) != self.episodes:
                raise ValueError(f"episodes is {self.episodes}, and there are {len(self.returns)} returns")
            returns = np.array(self.returns)
            agree("return_mean", self.return_mean, returns.mean(), "its returns", 2e-3)
            agree("return_std", self.return_std, returns.std(), "its returns", 2e-3)
            agree("return_iqm", self.return_iqm, iqm(returns), "its returns", 2e-3)
        return self


class Scale(Part):
    random: FiniteFloat | None
    expert: FiniteFloat | None


class Look(Part):
    env_steps: NonNegativeInt
    wall_clock_s: Amount
    return_mean: FiniteFloat


class Imitation(Origin):
    env: Text
    seed: NonNegativeInt
    env_steps: NonNegativeInt
    wall_clock_s: Amount
    n_demos: PositiveInt
    pairs: PositiveInt
    subsample: PositiveInt
    warm_start: bool
    reward: Text
    algo: Text
    select: Text | None = None
    episodes: PositiveInt
    command: Text
    scale: Scale | None = None
    policy: Policy
    last: Policy
    random: Policy | None = None
    behavioural_cloning: Policy | None = None
    constant_reward: Policy | None = None
    expert: Policy | None = None
    curve: list[Look] = Field(default_factory=list)

    @law(mode="after")
    def _agrees(self) -> "Imitation":
        command_agrees(self.command, seed=self.seed, env=self.env)
        if self.policy.episodes != self.episodes:
            raise ValueError(f"episodes is {self.episodes}, and policy.episodes {self.policy.episodes}")
        require_rising("curve", [look.env_steps for look in self.curve], self.env_steps)
        require_rising("curve", [look.wall_clock_s for look in self.curve], self.wall_clock_s + 1)
        low, high = (self.scale.random, self.scale.expert) if self.scale else (None, None)
        if low is None or high is None or low == high:
            return self
        for name in ("policy", "last", "random", "behavioural_cloning", "constant_reward"):
            row = getattr(self, name)
            if row is not None and row.normalised_return is not None:
                expected = (row.return_mean - low) / (high - low)
                agree(f"{name}.normalised_return", row.normalised_return, expected, "its return and the scale")
        return self


class StudyRow(Origin):
    variant: Text
    seed: NonNegativeInt
    env_steps: NonNegativeInt  # 0: cloning, or random actions
    pairs: PositiveInt
    normalised_return: FiniteFloat | None
    displacement: FiniteFloat | None
    last: FiniteFloat | None
    cloning: FiniteFloat | None
    steps_to_good: NonNegativeInt | None
    wall_clock_s: Amount
    curve: list[Annotated[list[FiniteFloat | None], Field(min_length=2, max_length=2)]]

    @law(mode="after")
    def _agrees(self) -> "StudyRow":
        steps = [steps for steps, _ in self.curve]
        if None in steps:
            raise ValueError("curve has a look at no step")
        require_rising("curve", [step for step in steps if step is not None], self.env_steps)
        if self.command is not None:
            command_agrees(self.command, seed=self.seed)
        return self


class Study(Origin):
    env: Text
    study: Text
    command: Text
    rows: list[StudyRow]
    failed: list[Text] = Field(default_factory=list)
