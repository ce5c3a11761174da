"""Fast batched MuJoCo environments with the semantics of Stable-Baselines3's vector envs."""

from envs.batched import BatchedMujocoVecEnv
from envs.make import UnknownEnvironmentError, make_venv
from envs.reference import reference_returns

__all__ = ["BatchedMujocoVecEnv", "UnknownEnvironmentError", "make_venv", "reference_returns"]
