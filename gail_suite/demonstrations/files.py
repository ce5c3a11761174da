"""Our own file: the arrays of `Demonstrations` and their provenance in an `.npz`, without pickles."""

import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
from numpy.typing import NDArray

from gail_suite.demonstrations.archive import NpzArchive
from gail_suite.demonstrations.atomic import atomic_path
from gail_suite.demonstrations.dataset import ARRAY_TYPES, Demonstrations, Provenance
from gail_suite.errors import InputError
from gail_suite.fields import fits

FORMAT = "gail_suite demonstrations 1"
MAX_LENGTH = 2**31


def check_target(path: Path) -> None:
    """Raise `InputError` or `OSError` before the work, not after it, where `save` could not write."""
    if path.suffix != ".npz" or path.is_dir():
        raise InputError(f"{path}: demonstrations are saved as .npz; give a file's name that ends in .npz")
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=path.parent):
        pass


def save(demos: Demonstrations, path: Path) -> None:
    """Write atomically; see `Demonstrations.save`."""
    check_target(path)
    sizes = {"obs_size": demos.obs_size, "act_size": demos.act_size}
    header = {"format": FORMAT, "checksum": demos.checksum, **sizes, **asdict(demos.provenance)}
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        arrays: dict[str, Any] = demos.arrays()
        np.savez(file, provenance=np.array(json.dumps(header)), **arrays)


def is_own_file(archive: NpzArchive) -> bool:
    return "provenance" in archive and "episode" in archive


def load(archive: NpzArchive) -> Demonstrations:
    """Read what `save` wrote, and check it against its checksum."""
    header = _read_header(archive)
    arrays = {name: archive[name] for name in ARRAY_TYPES if name in archive}
    problem = _inconsistency(header, arrays)
    if problem is None:
        provenance = Provenance(**{name: header[name] for name in Provenance.__dataclass_fields__})
        demos = Demonstrations.from_arrays(arrays, provenance)
        if demos.checksum == header["checksum"]:
            return demos
        problem = "its arrays do not match its checksum"
    raise InputError(f"{archive.path} is damaged: {problem}; copy it again from where it came from, or record it anew")


def _read_header(archive: NpzArchive) -> dict[str, Any]:
    try:
        header = json.loads(str(archive["provenance"]))
        if header["format"] == FORMAT and {"checksum", *Provenance.__dataclass_fields__} <= set(header):
            for name in ("lengths", "returns", "complete"):
                header[name] = None if header[name] is None else tuple(header[name])
            if all(fits(header[name], hint) for name, hint in get_type_hints(Provenance).items()):
                return header
    except InputError:
        raise
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    raise InputError(f"{archive.path} was not written by this version ({FORMAT!r}); collect or convert it again")


def _inconsistency(header: dict[str, Any], arrays: dict[str, NDArray]) -> str | None:
    """What does not fit together, or None."""
    missing = sorted(set(ARRAY_TYPES) - set(arrays) - {"rewards"})
    if missing:
        return f"{' and '.join(missing)} missing"
    for name, array in arrays.items():
        n_dims = 2 if name in ("obs", "acts", "next_obs") else 1
        if array.dtype != ARRAY_TYPES[name] or array.ndim != n_dims or len(array) != len(arrays["obs"]):
            return f"{name} has shape {array.shape} and type {array.dtype}"
    if arrays["obs"].shape != arrays["next_obs"].shape:
        return f"obs has shape {arrays['obs'].shape}, next_obs {arrays['next_obs'].shape}"
    n_episodes = len(header["lengths"] or ())
    if any(len(header[name]) != n_episodes for name in ("returns", "complete") if header[name] is not None):
        return "its record has not one entry an episode"
    if any(not 0 < length < MAX_LENGTH for length in header["lengths"]) or not header["subsampled_every"] > 0:
        return "its episodes have lengths that cannot be"
    if not np.isfinite(header["returns"] or 0.0).all():
        return "its returns are not finite"
    episode = arrays["episode"]
    if not np.array_equal(np.unique(episode), np.arange(n_episodes)) or np.any(np.diff(episode) < 0):
        return f"its episode index does not run over 0 .. {n_episodes - 1}"
    return None
