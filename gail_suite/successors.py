"""What a vector env's auto-reset hides."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def true_successors(
    obs: NDArray, dones: NDArray[np.bool_], infos: list[dict[str, Any]]
) -> tuple[NDArray, NDArray[np.bool_]]:
    """(successor of every transition, whether it was a real end): undoes what the auto-reset hides."""
    next_obs, terminated = np.array(obs), np.array(dones, dtype=bool)
    for i in np.flatnonzero(dones):
        next_obs[i] = infos[i]["terminal_observation"]
        terminated[i] = not infos[i].get("TimeLimit.truncated", False)
    return next_obs, terminated
