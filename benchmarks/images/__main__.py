"""python -m benchmarks.images --model made: train one case or experiment, judge it, keep what came of it as JSON.

`sweep --model made nade --jobs 2` does so with several.  One training on several devices:
benchmarks/images/parallel.py.
"""

import sys
from dataclasses import asdict, replace

from benchmarks.images import launched
from benchmarks.images.config import ImageConfig
from gail_suite.cli import run_verb
from gail_suite.errors import InputError, printable
from gail_suite.signals import die_at_the_next, exit_code

PACKAGES = ("torch", "numpy", "scikit-learn", "safetensors")
CHANGEABLE_ON_RESUME = {"resume", "keep", "threads"}


def parse(arguments: list[str]) -> ImageConfig:
    """Flags, or the settings of the run that is resumed.  Raises InputError where the two disagree."""
    import tyro

    config = tyro.cli(ImageConfig, args=arguments, prog="python -m benchmarks.images")
    if config.resume is None:
        return config
    given, unset = asdict(config), asdict(ImageConfig())
    changed = sorted(name for name in given if given[name] != unset[name] and name not in CHANGEABLE_ON_RESUME)
    if changed:
        raise InputError(
            f"--resume goes on with the run's own settings: leave --{changed[0].replace('_', '-')} out, or begin anew"
        )
    return config


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["sweep"]:
        from benchmarks.images.sweep import main as sweep

        launched.require_one_process("sweep")
        return sweep(arguments[1:])
    config = parse(arguments)
    config.check()
    if config.preset == "smoke" and not (config.model or config.list or config.resume):
        from benchmarks.images.smoke import run_families

        launched.require_one_process("--preset smoke without --model")
        return run_families(run, config, arguments)
    if launched.follows():
        return follow(config)
    launched.say_where_only_one_was_launched()
    return run(config, arguments)


def follow(config: ImageConfig) -> int:
    """Train beside the main process: no file, and no word unless something is wrong here."""
    from benchmarks.images.folder import Folder, place
    from benchmarks.images.run import Run

    if config.list:
        return 0
    folder = Folder(config.resume or place(config))
    if config.resume is not None:
        if folder.result_file.exists():
            return 0
        config = as_resumed(folder.config(), config)
    try:
        Run(config).follow(folder)
    except FloatingPointError:  # the same in all
        return 1
    except KeyboardInterrupt as stopped:
        die_at_the_next()
        return exit_code(stopped)
    return 0


def as_resumed(before: ImageConfig, config: ImageConfig) -> ImageConfig:
    """The settings that a run began with, and the flags that may change."""
    return replace(before, resume=config.resume, threads=config.threads or before.threads)


def run(config: ImageConfig, arguments: list[str]) -> int:
    """List, resume or train one model; `arguments` are those that its origin names."""
    from benchmarks.images import report
    from benchmarks.images.cases import CASES
    from benchmarks.images.experiments.cases import EXPERIMENTS
    from benchmarks.images.experiments.execute import ExperimentRun
    from benchmarks.images.folder import Folder
    from benchmarks.images.run import Run
    from benchmarks.provenance import anywhere, origin

    def prepare(config: ImageConfig) -> Run | ExperimentRun:
        return ExperimentRun(config) if config.model in EXPERIMENTS else Run(config)

    if config.list:
        report.print_cases()
        return 0
    if config.resume is not None:
        folder = Folder.open(config.resume)
        finished = folder.result_file.exists()
        job = None if finished else prepare(as_resumed(folder.config(), config))
    else:
        if not config.model:
            raise InputError(f"say which --model: one of {', '.join([*CASES, *EXPERIMENTS])}")
        job = prepare(config)
        made = origin("benchmarks.images", arguments, PACKAGES)
        made["command"] = launched.command(made["command"])
        folder = Folder.create(job.config, made)
    try:
        folder.failure_file.unlink(missing_ok=True)
        result = folder.result() if job is None else job.execute(folder)
    except KeyboardInterrupt as stopped:
        die_at_the_next()
        print(f"interrupted; go on with --resume {printable(str(folder.path))}", file=sys.stderr)
        return exit_code(stopped)
    except FloatingPointError as error:
        folder.note_failure(error)
        state = f"its last sound state is {folder.last}" if folder.last.exists() else "no state has been saved yet"
        print(f"error: training stopped being finite ({error}); {state}", file=sys.stderr)
        return 1
    except Exception as error:
        folder.note_failure(error)
        raise
    finally:
        folder.unlock()
    if config.keep:
        report.keep(anywhere(result), folder)
    try:
        report.print_result(result, folder.path)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        if job is not None:
            raise
        raise InputError(
            f"{folder.result_file} is not what this benchmark writes ({type(error).__name__}: {error}); delete it and "
            f"give --resume {folder.path} again"
        ) from error
    return 0


if __name__ == "__main__":
    run_verb(lambda: main(sys.argv[1:]))
