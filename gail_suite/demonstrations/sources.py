"""From a source that a user names to demonstrations."""

import re
from pathlib import Path

from gail_suite.demonstrations import files, imitation_folder, layouts, minari_source
from gail_suite.demonstrations.archive import NpzArchive
from gail_suite.demonstrations.dataset import DEFAULT_EPISODES, Demonstrations
from gail_suite.demonstrations.experts import available_experts
from gail_suite.errors import InputError

KINDS = "an environment id, an .npz file, an imitation trajectory folder, a Minari id or an SB3 .zip"
MINARI_ID = re.compile(r"[\w-]+(/[\w-]+)+/[\w-]+-v\d+")  # D4RL/door/human-v2: two slashes or more
ENV_ID = re.compile(r"([\w:.-]+/)?[\w:.-]+-v\d+")


def load(source: str | Path, *, n_episodes: int | None, env_id: str | None, seed: int) -> Demonstrations:
    """See `Demonstrations.load`."""
    if n_episodes is not None and n_episodes < 1:
        raise InputError(f"asked for {n_episodes} episodes of {source}; ask for 1 or more")
    name = str(source)
    try:
        path = Path(source).expanduser()
    except RuntimeError as error:
        raise InputError(f"{name}: {error}; give the whole path") from error
    if name.startswith("minari:"):
        demos = minari_source.load(name.removeprefix("minari:"), env_id)
    elif path.is_dir():
        demos = imitation_folder.load(path, env_id)
    elif path.is_file() or path.suffix in (".npz", ".zip"):
        demos = _file(path, n_episodes, env_id, seed)
    elif MINARI_ID.fullmatch(name):
        demos = minari_source.load(name, env_id)
    elif ENV_ID.fullmatch(name) or name in available_experts():
        from gail_suite.demonstrations.cache import expert_demonstrations

        demos = expert_demonstrations(name, n_episodes or DEFAULT_EPISODES, seed)
    else:
        raise InputError(f"there are no demonstrations called {name!r}; give {KINDS}")
    recorded_in = demos.provenance.env_id
    if env_id is not None and recorded_in is not None and recorded_in != env_id:
        raise InputError(f"{name} was recorded in {recorded_in}, not in {env_id}; use demonstrations of {env_id}")
    return demos if n_episodes is None else demos.take(min(n_episodes, demos.n_episodes))


def _file(path: Path, n_episodes: int | None, env_id: str | None, seed: int) -> Demonstrations:
    if not path.is_file():  # a pipe or a device would never end
        raise InputError(f"there is no file {path}; check the path")
    if path.suffix == ".zip":
        return _rolled_out(path, n_episodes or DEFAULT_EPISODES, env_id, seed)
    archive = NpzArchive(path)
    return files.load(archive) if files.is_own_file(archive) else layouts.load(archive, env_id)


def _rolled_out(path: Path, n_episodes: int, env_id: str | None, seed: int) -> Demonstrations:
    """Stochastic episodes of an SB3 policy file."""
    if env_id is None:
        raise InputError(f"{path} is a policy, and it does not say for which task; name the environment id too")
    import envs
    from gail_suite.demonstrations.rollout import collect
    from gail_suite.policies import read_sb3_zip

    venv = envs.make_venv(env_id, 1, None)
    venv.close()
    policy = read_sb3_zip(path, venv.observation_space, venv.action_space)
    return collect(policy, env_id, n_episodes, seed=seed, source=f"{path.name}, stochastic actions")
