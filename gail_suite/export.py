"""python -m gail_suite.export RUN --format onnx: a run's selected policy as a file for elsewhere, with a model card."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from gail_suite.cli import run_verb
from gail_suite.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Write the selected policy of a run, and a model card beside it.

    The normaliser of the observations is inside.  The file is read back and compared with the original on observations
    of the task before it gets its name.
    """

    format: Literal["onnx", "sb3", "safetensors"]
    """onnx: for ONNX Runtime, needs the extra `export`.  sb3: a .zip for Stable-Baselines3, whose first layer holds the
    normaliser.  safetensors: the arrays, for whatever reads them."""
    out: Path | None = None
    """Folder for the file and README.md; by default export/<format> in the run's folder."""
    episodes: int = 20
    """Whole episodes that the original and the file play from the same starts, for the card; 0 plays none."""


def main() -> int:
    import tyro

    folder, arguments = tyro.cli(
        tuple[tyro.conf.Positional[Path], tyro.conf.OmitArgPrefixes[Arguments]], prog="python -m gail_suite.export"
    )
    if arguments.episodes < 0 or arguments.episodes == 1:
        raise InputError(f"--episodes must be 0, or 2 or more for a spread, got {arguments.episodes}")
    from gail_suite.run_directory import RunDirectory

    path = export(RunDirectory.open(folder), arguments)
    print(path)
    return 0


def export(run: Any, arguments: Arguments) -> Path:
    """Write the policy and its card; returns the policy's file.

    Raises:
        InputError: a run that has not ended, missing packages, or a file that does not act as the original does.
    """
    from gail_suite import learner
    from gail_suite.demonstrations.atomic import atomic_path
    from gail_suite.exports import formats
    from gail_suite.exports.actor import read_actor
    from gail_suite.exports.card import Measured, model_card
    from gail_suite.exports.check import difference, paired_returns, real_observations
    from gail_suite.run_directory import origin, read_json, write_text
    from gail_suite.session import task_spaces
    from generative_core.training.checkpoint import load_checkpoint

    format = arguments.format
    formats.check_installed(format)
    for needed in (run.policy_file, run.evaluation_file, run.best):
        if not needed.exists():
            raise InputError(
                f"{run.path} has no {needed.name} yet: its training has not ended; go on with "
                f"python -m gail_suite.train --resume {run.path}"
            )
    config, evaluation = run.config(), read_json(run.evaluation_file)
    spaces = task_spaces(config)
    original = learner.load_policy(config, *spaces, load_checkpoint(run.best)["policy"])
    actor = read_actor(original)
    path = (arguments.out or run.path / "export" / format) / formats.FILES[format]
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        formats.write(format, temporary, actor, run.policy_file)
        exported = formats.read(format, temporary, *spaces)
        differs = difference(original, exported, real_observations(original, config), spaces[1])
        if differs > formats.TOLERANCES[format]:
            raise InputError(
                f"{format} would act otherwise than the original, by {differs:.1e} of the action range "
                f"(allowed: {formats.TOLERANCES[format]:.0e}); export it as safetensors or onnx, or train it again"
            )
        returns = paired_returns(original, exported, config, arguments.episodes) if arguments.episodes else None
    command = origin("gail_suite.export")["command"]
    card = model_card(format, config, evaluation, actor, Measured(differs, returns), command)
    write_text(path.with_name("README.md"), card)
    return path


command = partial(run_verb, main)

if __name__ == "__main__":
    command()
