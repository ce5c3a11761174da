"""What an installed package holds and what its commands load: read from pyproject.toml, asked of fresh processes."""

import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES = ("generative_core", "gail_suite", "envs", "benchmarks")
SCRIPTS = PYPROJECT["project"]["scripts"]


def loaded_after(code: str) -> set[str]:
    """The top-level modules in a process of its own after `code`, which may exit."""
    watch = (
        "import atexit, sys\natexit.register(lambda: print('LOADED', *{name.split('.')[0] for name in sys.modules}))\n"
    )
    done = subprocess.run([sys.executable, "-c", watch + code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].removeprefix("LOADED ").split())


def test_there_is_a_command_for_every_verb():
    verbs = {
        path.stem for path in (ROOT / "gail_suite").glob("*.py") if "command = partial(run_verb" in path.read_text()
    }
    assert {f"gail-{verb}": f"gail_suite.{verb}:command" for verb in verbs} == SCRIPTS
    assert {"train", "evaluate", "record", "doctor", "demos", "expert", "export"} <= verbs


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_loads_neither_torch_nor_sb3(script):
    module, _, function = SCRIPTS[script].partition(":")
    code = f"sys.argv = [{script!r}, '--help']\nfrom {module} import {function}\n{function}()\n"
    loaded = loaded_after(code)
    assert "tyro" in loaded
    assert not loaded & {"torch", "stable_baselines3", "gymnasium", "mujoco", "scipy", "matplotlib"}


def test_every_folder_with_code_is_a_package_and_the_tests_are_none():
    setuptools = pytest.importorskip("setuptools", reason="the build backend is not installed")
    find = PYPROJECT["tool"]["setuptools"]["packages"]["find"]
    found = set(setuptools.find_packages(str(ROOT), include=find["include"]))
    code = {path.parent.relative_to(ROOT) for name in PACKAGES for path in (ROOT / name).rglob("*.py")}
    assert found == {".".join(folder.parts) for folder in code}


def test_typing_marker_experts_and_figures_are_package_data():
    data = PYPROJECT["tool"]["setuptools"]["package-data"]
    held = {path for name in PACKAGES for pattern in data[name] for path in (ROOT / name).glob(pattern)}
    for name in PACKAGES:
        assert ROOT / name / "py.typed" in held
        import_module(name)
    assert ROOT / "envs" / "reference.json" in held
    experts = ROOT / "gail_suite" / "demonstrations" / "experts"
    files = {path for pattern in ("*.json", "*.safetensors") for path in experts.glob(pattern)}
    assert files
    assert files <= held


def test_lowest_versions_are_the_ones_claimed():
    """constraints-lowest.txt pins each dependency of the package and of its tests to the version that it asks for."""
    pinned = dict(
        line.split("==") for line in (ROOT / "constraints-lowest.txt").read_text().splitlines() if "==" in line
    )
    project = PYPROJECT["project"]
    for need in [*project["dependencies"], *project["optional-dependencies"]["test"]]:
        name, _, least = need.partition(";")[0].partition(">=")
        assert _release(pinned[name.partition("[")[0].strip()]) == _release(least), need


def _release(version: str) -> tuple[int, ...]:
    """`0.9` and `0.9.0` -> (0, 9)."""
    numbers = [int(part) for part in version.strip().split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)
