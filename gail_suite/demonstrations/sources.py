"""From a source that a user names to demonstrations."""

import re
from pathlib import Path

from gail_suite.demonstrations import files
from gail_suite.demonstrations.archive import NpzArchive
from gail_suite.demonstrations.dataset import DEFAULT_EPISODES, Demonstrations
from gail_suite.errors import InputError

KINDS = "an environment id, an .npz file, an imitation trajectory folder, a Minari id or an SB3 .zip"
MINARI_ID = re.compile(r"[\w-]+(/[\w-]+)+/[\w-]+-v\d+")  # D4RL/door/human-v2: two slashes or more
ENV_ID = re.compile(r"([\w:.-]+/)?[\w:.-]+-v\d+")


def load(source: str | Path, *, n_episodes: int | None, env_id: str | None, seed: int) -> Demonstrations:
    """See `Demonstrations.load`."""
    if n_episodes is not None and n_episodes < 1:
        raise InputError(f"asked for {n_episodes} episodes of {source}; ask for 1 or more")
    name, path = str(source), Path(source).expanduser()
    if name.startswith("minari:"):
        demos = _minari(name.removeprefix("minari:"), env_id)
    elif path.is_dir():
        demos = _imitation_folder(path, env_id)
    elif path.is_file() or path.suffix in (".npz", ".zip"):
        demos = _file(path, n_episodes, env_id, seed)
    elif MINARI_ID.fullmatch(name):
        demos = _minari(name, env_id)
    elif ENV_ID.fullmatch(name):
        from gail_suite.demonstrations.cache import expert_demonstrations

        demos = expert_demonstrations(name, n_episodes or DEFAULT_EPISODES, seed)
    else:
        raise InputError(f"there are no demonstrations called {name!r}; give {KINDS}")
    recorded_in = demos.provenance.env_id
    if env_id is not None and recorded_in is not None and recorded_in != env_id:
        raise InputError(f"{name} was recorded in {recorded_in}, not in {env_id}; use demonstrations of {env_id}")
    return demos if n_episodes is None else demos.take(min(n_episodes, demos.n_episodes))


def _file(path: Path, n_episodes: int | None, env_id: str | None, seed: int) -> Demonstrations:
    if not path.exists():
        raise InputError(f"there is no file {path}; check the path")
    archive = NpzArchive(path)
    return files.load(archive)
def _minari(a,b): ...
def _imitation_folder(a,b): ...
