"""Demonstrations of an expert, rolled out once and kept in the user's cache."""

import hashlib
import json
import sys
from pathlib import Path

from platformdirs import user_cache_path

from gail_suite.demonstrations import files
from gail_suite.demonstrations.archive import NpzArchive
from gail_suite.demonstrations.dataset import Demonstrations
from gail_suite.demonstrations.experts import expert_file, load_expert
from gail_suite.demonstrations.rollout import collect, simulator_versions
from gail_suite.errors import InputError


def expert_demonstrations(env_id: str, n_episodes: int, seed: int) -> Demonstrations:
    """Stochastic episodes of the expert of `env_id`: from the cache, or rolled out and put there.

    A damaged cache file is rolled out afresh, and a cache that cannot be written is done without; both say so in one
    line on stderr.
    """
    path = cache_path(env_id, n_episodes, seed)
    if path.is_file():
        try:
            return files.load(NpzArchive(path))
        except (InputError, OSError) as error:
            print(f"note: rolling out afresh, the cache is damaged ({error})", file=sys.stderr)
    source = f"{expert_file(env_id).name}, stochastic actions"
    demos = collect(load_expert(env_id), env_id, n_episodes, seed=seed, source=source)
    try:
        demos.save(path)
    except OSError as error:
        print(f"note: the demonstrations are not kept for the next time ({error})", file=sys.stderr)
    return demos


def cache_path(env_id: str, n_episodes: int, seed: int) -> Path:
    """One file for each expert, simulator version, seed and count."""
    digest = hashlib.sha256(expert_file(env_id).read_bytes())
    digest.update(json.dumps([files.FORMAT, simulator_versions()]).encode())
    name = f"{env_id.replace('/', '%2F')}-seed{seed}-{n_episodes}episodes-{digest.hexdigest()[:12]}.npz"
    return user_cache_path("gail_suite") / "demonstrations" / name
