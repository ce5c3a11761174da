"""python -m gail_suite.record RUN: a video of a run's selected policy."""

import os
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from gail_suite.cli import run_verb
from gail_suite.errors import InputError

NO_GL = (
    "no way to render was found (tried MUJOCO_GL={tried}: {reason}); install OSMesa or EGL "
    "(Debian: apt-get install libosmesa6, or libegl1) or run where there is a display"
)

WIDER = 20


@dataclass(frozen=True)
class Arguments:
    """Render one episode of the selected policy to an mp4."""

    steps: int = 400
    """Steps at most."""
    seed: int = 1_000_003
    """Of the environment."""
    width: int = 480
    """Pixels; a multiple of 16, as video codecs want."""
    height: int = 368
    """Pixels; a multiple of 16, as video codecs want."""
    out: Path | None = None
    """Where to write; by default policy.mp4 in the run's folder."""


def choose_gl() -> list[str]:
    """Ways to get an OpenGL context, best first: what the user set, a display, then without one."""
    if "MUJOCO_GL" in os.environ:
        return [os.environ["MUJOCO_GL"]]
    return (["glfw"] if os.environ.get("DISPLAY") or sys.platform in ("darwin", "win32") else []) + ["egl", "osmesa"]


def record(run: Any, arguments: Arguments) -> Path:
    """Write the video, atomically; needs MUJOCO_GL to be settled before anything imports mujoco's renderer."""
    import gymnasium
    import imageio.v2 as imageio
    import numpy as np

    from gail_suite.demonstrations.atomic import atomic_path
    from gail_suite.evaluate import load_policy

    config = run.config()
    size: dict[str, Any] = {"width": arguments.width, "height": arguments.height}
    kwargs = {"render_mode": "rgb_array", **config.parsed_env_kwargs()}
    policy = load_policy(run)
    try:
        env = gymnasium.make(config.env, **kwargs, **size)
    except TypeError:  # tasks whose picture has one size
        env = gymnasium.make(config.env, **kwargs)
    widen_floor(env)
    path = arguments.out or run.video_file
    path.parent.mkdir(parents=True, exist_ok=True)
    obs, _ = env.reset(seed=arguments.seed)
    fps = int(env.metadata.get("render_fps", 30))
    every = max(round(fps / 40), 1)  # a simulator's 125 frames a second are more than an eye wants
    with atomic_path(path) as temporary:
        writer: Any = imageio.get_writer(temporary, fps=fps // every)  # its stubs know no `append_data`
        with writer as video:
            for step in range(arguments.steps):
                if step % every == 0:
                    video.append_data(np.asarray(env.render()))
                action, _ = policy.predict(obs[None], deterministic=True)
                obs, _, terminated, truncated, _ = env.step(action[0])
                if terminated or truncated:
                    break
    env.close()
    return path


def widen_floor(env: Any) -> None:
    """Let MuJoCo draw its floors twenty times as wide; call it before the first picture.

    A body that runs leaves the 40 m that gymnasium's floors are drawn for.  To the simulation a plane has no end.
    """
    import mujoco
    import numpy as np

    model = getattr(env.unwrapped, "model", None)
    if not isinstance(model, mujoco.MjModel):
        return
    is_floor = (model.geom_type == mujoco.mjtGeom.mjGEOM_PLANE) & (model.geom_size[:, 0] > 0)  # 0: drawn without end
    materials = np.unique(model.geom_matid[is_floor])
    materials = materials[(materials >= 0) & ~model.mat_texuniform[materials].astype(bool)]
    model.geom_size[is_floor, :2] *= WIDER
    model.mat_texrepeat[materials] *= WIDER


def main() -> int:
    import tyro

    folder, arguments = tyro.cli(
        tuple[tyro.conf.Positional[Path], tyro.conf.OmitArgPrefixes[Arguments]], prog="python -m gail_suite.record"
    )
    from gail_suite.run_directory import RunDirectory

    run = RunDirectory.open(folder)
    settle_gl()
    path = record(run, arguments)
    print(path)
    return 0


def settle_gl() -> None:
    """Set MUJOCO_GL to the first way that gives a context, found out in processes of their own: a bad driver may crash.

    Raises InputError where none does.
    """
    import subprocess

    reason = "nothing to try"
    for way in choose_gl():
        probe = "import mujoco; mujoco.GLContext(64, 64).make_current()"
        tried = subprocess.run(
            [sys.executable, "-c", probe],
            env={**os.environ, "MUJOCO_GL": way},
            capture_output=True,
            text=True,
            timeout=120,
        )
        if tried.returncode == 0:
            os.environ["MUJOCO_GL"] = way
            return
        lines = tried.stderr.strip().splitlines() or [f"exit code {tried.returncode}"]
        reason = lines[-1]
    raise InputError(NO_GL.format(tried=" and ".join(choose_gl()), reason=reason))


command = partial(run_verb, main)

if __name__ == "__main__":
    command()
