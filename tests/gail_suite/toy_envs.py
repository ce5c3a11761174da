"""Environments whose every number is known, registered on import."""

import gymnasium
import numpy as np
from gymnasium import spaces

SHORT, LONG, LIMIT = 2, 30, 40


class Counting(gymnasium.Env):
    """Observation (t, length of this episode), reward t; ends really at a length of 2 or 30, each as likely."""

    observation_space = spaces.Box(-np.inf, np.inf, (2,))

    def __init__(self, n_choices: int = 0):
        self.action_space = spaces.Discrete(n_choices) if n_choices else spaces.Box(-1, 1, (1,))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t, self.length = 0, int(self.np_random.choice([SHORT, LONG]))
        return self._obs(), {}

    def step(self, action):
        self.t += 1
        return self._obs(), float(self.t), self.t == self.length, False, {}

    def _obs(self):
        return np.array([self.t, self.length], np.float32)


class Endless(Counting):
    """The same without an end of its own: only the time limit of 40 stops it."""

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.length = -1
        return self._obs(), {}


class Odd(gymnasium.Env):
    """Spaces that demonstrations cannot hold."""

    def __init__(self, kind: str):
        flat = spaces.Box(-1, 1, (3,))
        image = spaces.Box(0, 255, (8, 8, 3), np.uint8)
        self.observation_space = {"image": image, "dict": spaces.Dict(a=flat)}.get(kind, flat)
        self.action_space = spaces.MultiDiscrete([2, 2]) if kind == "multi" else flat

    def reset(self, *, seed=None, options=None):
        return self.observation_space.sample(), {}


HERE = __name__
gymnasium.register("Counting-v0", f"{HERE}:Counting", max_episode_steps=LIMIT)
gymnasium.register("CountingChoice-v0", f"{HERE}:Counting", max_episode_steps=LIMIT, kwargs={"n_choices": 3})
gymnasium.register("Endless-v0", f"{HERE}:Endless", max_episode_steps=LIMIT)
for odd_kind in ("image", "dict", "multi"):
    gymnasium.register(f"Odd-{odd_kind}-v0", f"{HERE}:Odd", kwargs={"kind": odd_kind})


class Quit(gymnasium.Env):
    """Observation (t / 40, always 2); an action above 0.5 ends it; reward 1 a step."""

    observation_space = spaces.Box(-np.inf, np.inf, (2,))
    action_space = spaces.Box(-1, 1, (1,))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return self._obs(), {}

    def step(self, action):
        self.t += 1
        return self._obs(), 1.0, bool(action[0] > 0.5), False, {}

    def _obs(self):
        return np.array([self.t / LIMIT, 2.0], np.float32)


class Slope(Quit):
    """The same without an end; the reward is minus the action."""

    def step(self, action):
        self.t += 1
        return self._obs(), -float(action[0]), False, False, {}


gymnasium.register("Quit-v0", f"{HERE}:Quit", max_episode_steps=LIMIT)
gymnasium.register("Slope-v0", f"{HERE}:Slope", max_episode_steps=LIMIT)
