"""Where the files of a data set are: in a folder of the user's or the system's, or in the cache after a download.

A file is known by the SHA-256 of its content, so that one data set under another's name is refused and a gzip that was
packed anew is not.
"""

import http.client
import math
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.request import Request, urlopen

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray
from platformdirs import user_cache_path
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from benchmarks.data.idx import IdxError, read_idx
from gail_suite.demonstrations.atomic import atomic_path
from gail_suite.errors import InputError

VARIABLE = "GENERATIVE_DATA"
"""Environment variable with the folder of data sets."""
TIMEOUT = 30.0
"""Seconds of silence after which the next mirror is tried."""
CHUNK = 2**16


@dataclass(frozen=True)
class IdxFile:
    """A file as it must be."""

    name: str
    """Without .gz."""
    shape: tuple[int, ...]
    sha256: str
    """Of the content before compression."""

    @property
    def n_values(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True, kw_only=True)
class IdxSource:
    """The files of one data set and the places to have them from."""

    folder: str
    """Name of the folder that holds them."""
    files: Mapping[str, IdxFile]
    mirrors: tuple[str, ...]
    """Base URLs, tried in order; each has NAME.gz for every file."""
    system_folder: Path | None = None
    """Where the system's own package puts them."""
    system_remedy: str = ""
    """How to get that package, for the message where all else fails."""


def read_files(source: IdxSource, data_dir: Path | None = None) -> dict[str, NDArray[np.uint8]]:
    """The arrays by their names in `source.files`, each of the right shape and content.

    Looked for in `data_dir` and nowhere else where it is given; otherwise in $GENERATIVE_DATA, the system's folder and
    the user's cache, in this order.  Where none of them has the files they are downloaded into the cache.

    Raises:
        InputError: `data_dir` has not all of them, a file is not what it should be, or no mirror has it.
    """
    if data_dir is not None:
        folder = _folder_with_all(source, data_dir)
        if folder is None:
            names = ", ".join(f"{file.name}.gz" for file in source.files.values())
            raise InputError(
                f"{source.folder} is neither in {data_dir / source.folder} nor in {data_dir} ({names}, or the same "
                "without .gz); put the files there, or leave the folder out to have them found or downloaded"
            )
        return _read_folder(source, folder)
    variable = os.environ.get(VARIABLE)
    for place in (Path(variable) if variable else None, source.system_folder):
        folder = None if place is None else _folder_with_all(source, place)
        if folder is not None:
            return _read_folder(source, folder)
    return _read_cache(source)


def cache_folder() -> Path:
    """Where downloads are kept."""
    return user_cache_path("generative_core") / "data"


def _folder_with_all(source: IdxSource, place: Path) -> Path | None:
    """The data set's own folder in `place`, or `place` itself: whichever has every file."""
    for folder in (place / source.folder, place):
        if all(_path(folder, file) is not None for file in source.files.values()):
            return folder
    return None


def _path(folder: Path, file: IdxFile) -> Path | None:
    paths = (folder / f"{file.name}.gz", folder / file.name)
    return next((path for path in paths if path.is_file()), None)


def _read_folder(source: IdxSource, folder: Path) -> dict[str, NDArray[np.uint8]]:
    paths = {key: (_path(folder, file), file) for key, file in source.files.items()}
    return {key: _read_checked(path, file) for key, (path, file) in paths.items() if path is not None}


def _read_checked(path: Path, file: IdxFile) -> NDArray[np.uint8]:
    values, sha256 = read_idx(path, max_values=file.n_values)
    if values.shape != file.shape:
        raise IdxError(path, f"has shape {values.shape} where {file.name} has {file.shape}")
    if sha256 != file.sha256:
        raise IdxError(
            path, f"is not {file.name}: its content's SHA-256 is {sha256[:12]}..., not {file.sha256[:12]}..."
        )
    return values


def _read_cache(source: IdxSource) -> dict[str, NDArray[np.uint8]]:
    """What the cache lacks is downloaded; another process that wants the same waits for it."""
    folder = cache_folder() / source.folder
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {}
    with FileLock(folder / ".lock"):
        for key, file in source.files.items():
            path = folder / f"{file.name}.gz"
            if path.is_file():
                try:
                    arrays[key] = _read_checked(path, file)
                    continue
                except IdxError as error:
                    print(f"note: downloading afresh, the cache is damaged: {path} {error.problem}", file=sys.stderr)
            arrays[key] = _download(source, file, path)
    return arrays


class _NoFile(Exception):
    """What a mirror did instead of sending the right file."""


def _download(source: IdxSource, file: IdxFile, path: Path) -> NDArray[np.uint8]:
    """From the first mirror that has the right file."""
    failures = []
    for mirror in source.mirrors:
        url = f"{mirror.rstrip('/')}/{file.name}.gz"
        try:
            return _fetch(url, file, path)
        except _NoFile as failure:
            failures.append(f"{url} {failure}")
    raise InputError(
        f"{source.folder} is not on this machine and could not be downloaded ({'; '.join(failures)}); {_remedy(source)}"
    )


def _fetch(url: str, file: IdxFile, path: Path) -> NDArray[np.uint8]:
    """Nothing but the right file is ever at `path`."""
    with atomic_path(path) as temporary:
        with open(temporary, "wb") as out:
            for chunk in _stream(url, max_bytes=file.n_values + CHUNK):  # gzip adds a few bytes in a thousand at most
                out.write(chunk)
        try:
            return _read_checked(temporary, file)
        except IdxError as error:
            raise _NoFile(f"sends a file that {error.problem}") from error


def _stream(url: str, *, max_bytes: int) -> Iterator[bytes]:
    """The body, in chunks.  Raises _NoFile for whatever the network does; errors of the disk are not caught here."""
    try:
        request = Request(url, headers={"User-Agent": "generative_core"})
        with urlopen(request, timeout=TIMEOUT) as response, _progress() as progress:
            declared = response.headers.get("Content-Length", "")
            task = progress.add_task(url.rpartition("/")[2], total=int(declared) if declared.isdigit() else None)
            n_bytes = 0
            while chunk := response.read(CHUNK):
                n_bytes += len(chunk)
                if n_bytes > max_bytes:
                    raise _NoFile(f"sends more than {max_bytes:,} bytes")
                progress.update(task, completed=n_bytes)
                yield chunk
    except (OSError, http.client.HTTPException) as error:
        raise _NoFile(f"does not answer as it should ({error})") from error


def _progress() -> Progress:
    """A bar on stderr; nothing where that is no terminal."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), DownloadColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _remedy(source: IdxSource) -> str:
    package = f"{source.system_remedy}, or " if source.system_remedy else ""
    names = ", ".join(f"{file.name}.gz" for file in source.files.values())
    return f"{package}put {names} into a folder {source.folder} and give the folder that holds it as {VARIABLE}"
