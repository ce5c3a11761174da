"""A run's folder: what lies where, and one process at a time in it."""

import json
import traceback
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from benchmarks.images.config import ImageConfig, config_from_dict
from gail_suite.demonstrations.atomic import remove_leftovers
from gail_suite.errors import InputError
from gail_suite.run_directory import read_json, write_json, write_text

LOG_LINES = 30  # of a failure's traceback


def place(config: ImageConfig) -> Path:
    """Where a new run goes."""
    return config.out or Path("runs") / "images" / f"{config.model}-{config.preset}-s{config.seed}"


class Folder:
    """Holds `config.json`, `origin.json` and `result.json`.

    Of a case also `last.safetensors`, `best.safetensors`, `curve.png` and `samples.png`; of an experiment
    `picture.png`.  Of a run that broke off `failure.json`, until it is resumed.
    """

    def __init__(self, path: Path):
        self.path = path
        self.config_file = path / "config.json"
        self.origin_file = path / "origin.json"
        self.last = path / "last.safetensors"
        self.best = path / "best.safetensors"
        self.result_file = path / "result.json"
        self.curve_file = path / "curve.png"
        self.samples_file = path / "samples.png"
        self.picture_file = path / "picture.png"
        self.failure_file = path / "failure.json"
        self._lock = FileLock(path / ".lock")

    @classmethod
    def create(cls, config: ImageConfig, origin: dict[str, Any]) -> "Folder":
        """A new one for this configuration.  Raises InputError where a run is there already."""
        folder = cls(place(config))
        folder.path.mkdir(parents=True, exist_ok=True)
        folder.lock()
        if folder.config_file.exists():
            folder.unlock()
            raise InputError(
                f"{folder.path} already holds a run; go on with --resume {folder.path}, or choose another --out"
            )
        write_json(folder.origin_file, origin)
        data_dir = config.data_dir and config.data_dir.resolve()  # a resume may stand elsewhere
        kept = replace(config, out=None, data_dir=data_dir)
        write_text(folder.config_file, json.dumps(asdict(kept), indent=2, default=str) + "\n")
        return folder

    @classmethod
    def open(cls, path: Path) -> "Folder":
        """An existing one.  Raises InputError where there is no run in it."""
        folder = cls(path)
        if not folder.config_file.is_file():
            raise InputError(f"{path} is not the folder of a run (no config.json); give one made by benchmarks.images")
        folder.lock()
        remove_leftovers(folder.path)
        return folder

    def config(self) -> ImageConfig:
        """What the run began with.  Raises InputError where it is damaged."""
        values = read_json(self.config_file)
        try:
            return config_from_dict(values)
        except (TypeError, ValueError) as error:
            raise InputError(f"{self.config_file} is damaged ({error}); start a new run") from error

    def origin(self) -> dict[str, Any]:
        """The command that began it, the commit, the machine, the versions.  Raises InputError where it is damaged."""
        if not self.origin_file.is_file():
            raise InputError(f"{self.origin_file} is missing; restore it or start a new run")
        return read_json(self.origin_file)

    def note_failure(self, error: Exception) -> None:
        """What happened, with the command and the end of the traceback; nothing where the disk does not take it."""
        log = "".join(traceback.format_exception(error)).splitlines()[-LOG_LINES:]
        command = self.origin().get("command") if self.origin_file.is_file() else None
        said = " ".join(str(error).split()) or "no message"
        note = {"failed": f"{type(error).__name__}: {said}", "command": command or "not recorded", "log": log}
        with suppress(OSError):  # the disk may be what failed; the error itself goes on
            write_json(self.failure_file, note)

    def result(self) -> dict[str, Any]:
        """What came of a finished run.  Raises InputError where it is damaged."""
        result = read_json(self.result_file)
        if result.get("benchmark") not in ("images", "experiments"):
            raise InputError(
                f"{self.result_file} is not a result of this benchmark; delete it and give --resume {self.path} again"
            )
        return result

    def lock(self) -> None:
        """Hold the run for this process.  Raises InputError where another one does."""
        try:
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise InputError(f"{self.path} is in use by another process; wait for it or stop it") from error

    def unlock(self) -> None:
        self._lock.release()
