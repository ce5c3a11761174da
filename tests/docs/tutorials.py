"""Tutorials as programs: the code blocks of a Markdown page, run in their order in one folder and one namespace.

    ```python                 is executed
    ```python title="x.py"    is written to that file
    ```sh                     holds a command a line: gail-VERB ..., or python -m MODULE ...
    <!-- smoke: A => B -->    before a block: in the tests, B stands for A in it

Other fences are for the eye.  `python -m tests.docs.tutorials docs/tutorials/density.md` runs a page with its own
budgets until it has made the pictures that it shows, and puts them beside it.
"""

import os
import re
import runpy
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
TUTORIALS = sorted((ROOT / "docs" / "tutorials").glob("*.md"))
_PARTS = re.compile(
    r"^<!-- smoke: (?P<full>.+?) => (?P<small>.+?) -->$"
    r'|^```(?P<language>\w+)(?: title="(?P<title>[^"]+)")?\n(?P<code>.*?)^```$',
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    language: str
    title: str | None
    code: str
    smoke: tuple[tuple[str, str], ...]  # (what stands there, what the tests run)

    def shrunk(self) -> str:
        """The code with its smoke budget.  Raises ValueError where a replacement finds nothing to replace."""
        code = self.code
        for full, small in self.smoke:
            if full not in code:
                raise ValueError(f"the block has no {full!r} for the tests to replace")
            code = code.replace(full, small)
        return code


def blocks(page: Path) -> Iterator[Block]:
    smoke: list[tuple[str, str]] = []
    for match in _PARTS.finditer(page.read_text()):
        if match["code"] is None:
            smoke.append((match["full"], match["small"]))
            continue
        yield Block(match["language"], match["title"], match["code"], tuple(smoke))
        smoke = []


def pictures(page: Path) -> list[str]:
    """The names of those in the page's own folder, which its code makes."""
    return re.findall(r"\]\(([\w-]+\.png)\)", page.read_text())


def run(page: Path, names: dict[str, Any], *, smoke: bool) -> None:
    """Run a page in the present folder, which has to be on Python's path; `names` is the namespace of its Python.

    Raises what a block raises, and RuntimeError for a command that fails.
    """
    for block in blocks(page):
        if not smoke and all(Path(name).exists() for name in pictures(page)):
            return
        code = block.shrunk() if smoke else block.code
        if block.title is not None:
            Path(block.title).write_text(code)
        elif block.language == "python":
            exec(compile(code, str(page), "exec"), names)
        elif block.language == "sh":
            for line in code.splitlines():
                _command(shlex.split(line))


def _command(words: list[str]) -> None:
    verb, *arguments = words
    if verb.startswith("gail-"):
        module = f"gail_suite.{verb.removeprefix('gail-')}"
    elif words[:2] == ["python", "-m"]:
        module, *arguments = words[2:]
    else:
        raise ValueError(f"not a command that a tutorial may show: {shlex.join(words)}")
    before, sys.argv = sys.argv, [verb, *arguments]
    # a verb is run as a program is, so one that is imported already is run anew
    loaded = sys.modules.pop(module, None)
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=False)
    except SystemExit as ended:
        if ended.code not in (0, None):
            raise RuntimeError(f"{shlex.join(words)} ended with {ended.code}") from ended
    finally:
        sys.argv = before
        if loaded is not None:
            sys.modules[module] = loaded


def main() -> None:
    page = Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        sys.path.insert(0, folder)
        (Path(folder) / "benchmarks").symlink_to(ROOT / "benchmarks")
        run(page, {"__name__": "tutorial"}, smoke=False)
        for name in pictures(page):
            shutil.copyfile(name, page.parent / name)


if __name__ == "__main__":
    main()
