"""The tasks that are stepped in batches.  A visible table is the only lookup."""

from envs.tasks.ant import Ant, AntV5
from envs.tasks.base import AbstractTask, Fields
from envs.tasks.humanoid import Humanoid
from envs.tasks.planar import HalfCheetah, Hopper, Walker2d

TASKS: dict[str, type[AbstractTask]] = {
    "Ant-v4": Ant,
    "Humanoid-v4": Humanoid,
    "Hopper-v4": Hopper,
    "Walker2d-v4": Walker2d,
    "HalfCheetah-v4": HalfCheetah,
    "Ant-v5": AntV5,
    "Humanoid-v5": Humanoid,
    "Hopper-v5": Hopper,
    "Walker2d-v5": Walker2d,
    "HalfCheetah-v5": HalfCheetah,
}

__all__ = ["TASKS", "AbstractTask", "Ant", "AntV5", "Fields", "HalfCheetah", "Hopper", "Humanoid", "Walker2d"]
