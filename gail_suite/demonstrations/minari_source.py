"""Minari data sets (https://minari.farama.org), through the `minari` package where it is installed."""

import numpy as np

from gail_suite.demonstrations.dataset import Demonstrations
from gail_suite.demonstrations.episodes import Episode, make_demonstrations
from gail_suite.errors import InputError


def load(dataset_id: str, env_id: str | None) -> Demonstrations:
    """A data set that Minari has on this machine; nothing is downloaded."""
    try:
        import minari
    except ImportError as error:
        raise InputError(
            f"{dataset_id} is a Minari data set, and minari is not installed; pip install 'minari[hdf5]'"
        ) from error
    name = f"Minari's {dataset_id}"
    try:
        dataset = minari.load_dataset(dataset_id)
        episodes = [_episode(recorded, name) for recorded in dataset.iterate_episodes()]
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"{name} is not on this machine; get it with: minari download {dataset_id}") from error
    except (ValueError, ImportError, OSError) as error:
        raise InputError(
            f"{name} cannot be read ({str(error).splitlines()[0]}); see: minari show {dataset_id}"
        ) from error
    spec = dataset.spec.env_spec
    return make_demonstrations(episodes, name, env_id if spec is None else spec.id)


def _episode(recorded: "minari.EpisodeData", name: str) -> Episode:  # type: ignore[name-defined]  # optional package
    for what, values in (("observations", recorded.observations), ("actions", recorded.actions)):
        if not isinstance(values, np.ndarray):
            raise InputError(
                f"needs Box observations of one dimension; {name} has {what} that are a {type(values).__name__}; "
                f"choose a data set without"
            )
    return Episode(
        obs=recorded.observations,
        acts=recorded.actions,
        rewards=recorded.rewards,
        ended=bool(recorded.terminations[-1] or recorded.truncations[-1]),
        terminated=bool(recorded.terminations[-1]),
    )
