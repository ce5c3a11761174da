"""Minari data sets (https://minari.farama.org), through the `minari` package where it is installed."""

from pathlib import Path

import numpy as np

from gail_suite.demonstrations.dataset import Demonstrations
from gail_suite.demonstrations.episodes import Episode, make_demonstrations
from gail_suite.errors import InputError
from gail_suite.run_directory import read_json


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
        _check_record(dataset_id)
        dataset = minari.load_dataset(dataset_id)
        spec = dataset.env_spec
        episodes = [_episode(recorded, name) for recorded in dataset.iterate_episodes()]
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"{name} is not on this machine; get it with: minari download {dataset_id}") from error
    except MemoryError:
        raise
    except Exception as error:  # of any kind: Minari asserts, and looks up what a damaged file may lack
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(f"{name} cannot be read ({reason}); see: minari show {dataset_id}") from error
    return make_demonstrations(episodes, name, env_id if spec is None else spec.id)


def _check_record(dataset_id: str) -> None:
    """What Minari takes on trust: it makes an index of as many episodes as the record promises, and where the record
    has no spaces it makes the environment, which calls whatever function the record names."""
    from minari.storage.datasets_root_dir import get_dataset_path

    folder = Path(get_dataset_path(dataset_id)) / "data"
    if not folder.is_dir():
        raise FileNotFoundError(folder)
    record = read_json(folder / "metadata.json")
    for space in ("observation_space", "action_space"):
        if not isinstance(record.get(space), str):
            raise ValueError(f"its record has no {space}")
    promised = record["total_episodes"]
    n_bytes = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    if type(promised) is not int or not 0 < promised <= n_bytes:
        raise ValueError(f"it promises {str(promised)[:20]} episodes in {n_bytes:,} bytes")


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
