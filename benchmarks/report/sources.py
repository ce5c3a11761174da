"""The files that a report is made of: results, run folders, and the pictures that belong to them."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.collect import name as name_of_run
from benchmarks.report.schema import problems
from gail_suite.errors import InputError
from gail_suite.run_directory import RunDirectory

SPEED = ("throughput-envs", "throughput-gail", "throughput-core", "throughput-scaling")
FOLDERS = ("imitation", "studies", "images", "experiments")
FILE = "file"  # where a result is told its own file's name
IS_NAME = re.compile(r"[\w.+-]+")
PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Source:
    """One file: what it holds, or what is wrong with it."""

    name: str
    kind: str
    data: dict[str, Any] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    picture: Path | None = None


def read_results(folder: Path, pictures: Path, samples: Path) -> list[Source]:
    """All JSON of a folder like benchmarks/results/, in the order of their names.  Raises InputError without one."""
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; give the one of the results: --results FOLDER")
    found = []
    for kind in FOLDERS:
        for path in sorted((folder / kind).glob("*.json")):
            found.append(read(path, f"{kind}/{path.name}", kind))
    found += [read(path, path.name, path.stem) for path in (folder / f"{kind}.json" for kind in SPEED) if path.exists()]
    return [_with_picture(source, pictures, samples) for source in found]


def read_runs(folders: Iterable[Path]) -> list[Source]:
    """What the run folders below these hold: a result, or the note of a failure."""
    found = []
    for top in folders:
        if not top.is_dir():
            raise InputError(f"{top} is not a folder; give folders of runs, or one that holds some: --runs FOLDER")
        for path in sorted(p for p in top.rglob("*.json") if p.name in _READERS):
            if path.name != "failure.json" and (path.parent / "failure.json").exists():
                continue  # it ended before, and failed when it went on
            found.append(_READERS[path.name](path, f"{top.name}/{path.relative_to(top)}"))
    return found


def read(path: Path, name: str, kind: str) -> Source:
    """A file, judged; never raises for what is in it."""
    try:
        data = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        return Source(name, kind, problems=(f"cannot be read: {' '.join(str(error).split())[:200]}",))
    return judged(name, kind, data, path.stem)


def judged(name: str, kind: str, data: Any, stem: str | None = None) -> Source:
    """A result and what is wrong with it; `stem` is the file's name where it must be that of what it holds."""
    if not isinstance(data, dict):
        return Source(name, kind, problems=("is not an object",))
    found = problems(kind, data)
    if not found and kind == "imitation" and stem is not None and not stem.startswith(name_of_run(data)):
        found = [f"holds the run {name_of_run(data)}, which is not what it is called"]
    return Source(name, kind, {**data, FILE: name}, tuple(found))


def is_png(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(PNG)) == PNG


def _with_picture(source: Source, pictures: Path, samples: Path) -> Source:
    """Kept pictures are of the first seed; a name from a file never leads out of the folder."""
    model = source.data.get("model")
    if source.problems or not isinstance(model, str) or not IS_NAME.fullmatch(model) or source.data.get("seed") != 0:
        return source
    places = {"experiments": pictures / f"{model}.png", "images": samples / f"{Path(source.name).stem}.png"}
    path = places.get(source.kind)
    return _having(source, path) if path is not None and path.is_file() else source


def _having(source: Source, picture: Path) -> Source:
    if not is_png(picture):
        return Source(source.name, source.kind, source.data, (*source.problems, f"{picture.name} is not a PNG"))
    return Source(source.name, source.kind, source.data, source.problems, picture)


def _read_image_run(path: Path, name: str) -> Source:
    source = read(path, name, "images")
    if source.data.get("benchmark") == "experiments":
        source = read(path, name, "experiments")
    picture = path.with_name("picture.png" if source.kind == "experiments" else "samples.png")
    return _having(source, picture) if picture.is_file() and not source.problems else source


def _read_imitation_run(path: Path, name: str) -> Source:
    from benchmarks.collect import result

    try:
        return judged(name, "imitation", result(RunDirectory(path.parent), None))
    except (InputError, AttributeError, KeyError, TypeError) as error:
        return Source(name, "imitation", problems=(f"cannot be read: {' '.join(str(error).split())[:200]}",))


_READERS = {
    "result.json": _read_image_run,
    "evaluation.json": _read_imitation_run,
    "failure.json": lambda path, name: read(path, name, "failure"),
}


def sound(sources: Sequence[Source], kind: str) -> list[dict[str, Any]]:
    """The results of one kind without those that are not to be trusted."""
    return [source.data for source in sources if source.kind == kind and not source.problems]
