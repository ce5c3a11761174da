"""The direction of imports, read from the source: benchmarks -> gail_suite -> {envs, generative_core}."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("generative_core", "gail_suite", "envs", "benchmarks")

CORE_LIBRARIES = {"torch", "numpy", "scipy", "sklearn", "safetensors", "jaxtyping"}
ENVIRONMENT_SIDE_OF_SB3 = ("stable_baselines3.common.vec_env", "stable_baselines3.common.monitor")
SIMULATION = {"gymnasium", "stable_baselines3", "mujoco", "imitation"}


class Import(NamedTuple):
    """One imported module; `lazy` where it is inside a function or only for the type checker."""

    module: str
    lazy: bool

    @property
    def top(self) -> str:
        return self.module.split(".")[0]


def imports_of(source: str, package: str) -> Iterator[Import]:
    """Every import in a file of `package` (dotted, for relative imports).

    `from a import b` counts as a.b where that is a module here, and as a otherwise.
    """

    def walk(node: ast.AST, lazy: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                yield from (Import(alias.name, lazy) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                parents = package.split(".")[: len(package.split(".")) - child.level + 1] if child.level else []
                base = ".".join([*parents, *([child.module] if child.module else [])])
                for alias in child.names:
                    submodule = f"{base}.{alias.name}"
                    yield Import(submodule if is_module(submodule) else base, lazy)
            else:
                inner = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
                typing_only = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
                yield from walk(child, lazy or inner or typing_only)

    return walk(ast.parse(source), lazy=False)


def is_module(dotted: str) -> bool:
    path = ROOT.joinpath(*dotted.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def files_of(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def imports_under(folder: str) -> Iterator[tuple[Path, Import]]:
    for path in files_of(folder):
        relative = path.relative_to(ROOT)
        for found in imports_of(path.read_text(), ".".join(relative.parent.parts)):
            yield relative, found


def offences(folder: str, is_offence) -> list[str]:
    return [f"{path} imports {found.module}" for path, found in imports_under(folder) if is_offence(path, found)]


def within(module: str, *parents: str) -> bool:
    return any(module == parent or module.startswith(parent + ".") for parent in parents)


def test_the_core_knows_none_of_ours_and_no_simulator():
    forbidden = {"gail_suite", "envs", "benchmarks", "tests", *SIMULATION}
    assert offences("generative_core", lambda _, found: found.top in forbidden) == []


def test_the_core_loads_only_its_libraries_the_rest_lazily():
    allowed = CORE_LIBRARIES | set(sys.stdlib_module_names) | {"generative_core"}
    assert offences("generative_core", lambda _, found: not found.lazy and found.top not in allowed) == []


def test_the_core_never_pickles():
    assert offences("generative_core", lambda _, found: found.top in {"pickle", "shelve", "joblib", "dill"}) == []
    calls = [
        f"{path.relative_to(ROOT)} calls torch.{node.attr}"
        for path in files_of("generative_core")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in {"load", "save"} and ast.unparse(node.value) == "torch"
    ]
    assert calls == []


def test_inside_the_core_training_is_above_the_models():
    """protocols <- families <- models <- training: only the table of contents and training itself import training."""

    def is_offence(path: Path, found: Import) -> bool:
        above = path.parts[1] == "training" or path == Path("generative_core/__init__.py")
        return within(found.module, "generative_core.training") and not above

    assert offences("generative_core", is_offence) == []


def test_the_bottom_of_the_core_imports_nothing_above_it():
    allowed = {
        "generative_core/protocols.py": (),
        "generative_core/objectives.py": (),
        "generative_core/families.py": ("generative_core.protocols",),
        "generative_core/adapters.py": ("generative_core.protocols", "generative_core.families"),
    }

    def is_offence(path: Path, found: Import) -> bool:
        if found.top != "generative_core":
            return False
        if path.parts[1] == "nets":
            return not within(found.module, "generative_core.nets")
        return str(path) in allowed and not within(found.module, *allowed[str(path)])

    assert offences("generative_core", is_offence) == []


def test_no_module_of_the_core_imports_through_the_table_of_contents():
    def is_offence(path: Path, found: Import) -> bool:
        return found.module == "generative_core"

    assert offences("generative_core", is_offence) == []


def test_environments_know_none_of_ours_and_no_tensors():
    forbidden = {"generative_core", "gail_suite", "benchmarks", "tests", "torch", "imitation"}

    def is_offence(path: Path, found: Import) -> bool:
        agent = found.top == "stable_baselines3" and not within(found.module, *ENVIRONMENT_SIDE_OF_SB3)
        return found.top in forbidden or agent

    assert offences("envs", is_offence) == []


@pytest.mark.parametrize("package", ["generative_core", "gail_suite", "envs"])
def test_nothing_imports_the_benchmarks_or_the_tests(package):
    assert offences(package, lambda _, found: found.top in {"benchmarks", "tests"}) == []


@pytest.mark.parametrize("package", PACKAGES)
def test_no_file_is_longer_than_400_lines(package):
    long = [str(path.relative_to(ROOT)) for path in files_of(package) if len(path.read_text().splitlines()) > 400]
    assert long == []


def test_the_table_of_contents_exports_each_name_once():
    import generative_core

    tree = ast.parse((ROOT / "generative_core/__init__.py").read_text())
    imported = [alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names]
    assert sorted(imported) == sorted(generative_core.__all__)


def test_the_core_imports_without_simulators_and_stays_light():
    """In a fresh interpreter where those libraries cannot be imported at all."""
    heavy = ["tensorboard", "rich", "matplotlib", "torch.utils.tensorboard", "scipy.stats"]
    code = f"""
import sys
for name in {sorted(SIMULATION | {"gail_suite", "envs", "benchmarks"})}:
    sys.modules[name] = None
import generative_core
loaded = [name for name in {heavy} if name in sys.modules]
assert not loaded, loaded
assert generative_core.MLPCritic((2,)).event_shape == (2,)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_reader_of_imports_sees_every_form():
    source = """
import numpy as np, os.path
from generative_core import objectives, fit
from . import critic
from .critic import MLPCritic
from ..nets.mlp import MLP
if TYPE_CHECKING:
    import rich
class A:
    import scipy
    def f(self):
        if True:
            from matplotlib import pyplot
"""
    assert list(imports_of(source, "generative_core.adversarial")) == [
        Import("numpy", False),
        Import("os.path", False),
        Import("generative_core.objectives", False),
        Import("generative_core", False),
        Import("generative_core.adversarial.critic", False),
        Import("generative_core.adversarial.critic", False),
        Import("generative_core.nets.mlp", False),
        Import("rich", True),
        Import("scipy", False),
        Import("matplotlib", True),
    ]
