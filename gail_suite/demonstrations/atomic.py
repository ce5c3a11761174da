"""Files that are either whole or not there."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LEFTOVER = re.compile(r"\..+\.(?:[0-9a-f]{8}|\d+)\.tmp(?:\.\w+)?")
"""Temporary names: those below, and those of `generative_core`'s checkpoints."""


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """An `OSError` of the block names `path`, the file that the user knows; one of a write would name none."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary name in the same folder, flushed to the disk and renamed to `path` when the block ends well.

    An `OSError` names `path`, the file that the user knows.
    """
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")  # some writers go by the suffix
    try:
        with naming(path):
            yield temporary
            with open(temporary, "rb+") as file:
                os.fsync(file.fileno())
            os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """What a kill in the middle of a write left behind; only for a folder that nobody else is writing to."""
    for path in folder.rglob(".*"):
        if LEFTOVER.fullmatch(path.name) and not path.is_dir():
            path.unlink(missing_ok=True)
