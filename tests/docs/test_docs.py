"""Every tutorial runs, every link leads somewhere, and every name in the reference exists."""

import re
from importlib import import_module
from pathlib import Path

import pytest

from tests.docs.tutorials import ROOT, TUTORIALS, blocks, pictures, run

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)[^)]*\)")


def test_there_are_five_tutorials_and_the_site_shows_them():
    assert len(TUTORIALS) == 5
    site = (ROOT / "mkdocs.yml").read_text()
    for page in TUTORIALS:
        assert f"tutorials/{page.name}" in site
        assert f"tutorials/{page.name}" in (ROOT / "docs" / "index.md").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("page", TUTORIALS, ids=lambda page: page.stem)
def test_tutorial_runs(page, tmp_path, monkeypatch):
    from gail_suite.config import BehaviouralCloningConfig, TrainConfig

    cloning = BehaviouralCloningConfig(max_updates=5)
    small = TrainConfig(n_envs=2, threads=1, warm_up_rounds=0, total_env_steps=128, cloning=cloning)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "benchmarks").symlink_to(ROOT / "benchmarks")
    run(page, {"__name__": "tutorial", "small": small}, smoke=True)
    for picture in pictures(page):
        assert (tmp_path / picture).stat().st_size > 0, f"{page.name} shows {picture}, which its code does not make"


@pytest.mark.parametrize("page", TUTORIALS, ids=lambda page: page.stem)
def test_smoke_budgets_fit_their_blocks(page):
    found = list(blocks(page))
    assert {"python", "sh"} & {block.language for block in found}
    for block in found:
        assert (block.shrunk() != block.code) == bool(block.smoke)
    n_comments = page.read_text().count("<!-- smoke")
    assert sum(len(block.smoke) for block in found) == n_comments


def test_a_smoke_budget_that_replaces_nothing_is_an_error(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("<!-- smoke: 500 => 5 -->\n```python\nn = 400\n```\n")
    (block,) = blocks(page)
    with pytest.raises(ValueError, match="500"):
        block.shrunk()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_exist(page):
    for target in LINK.findall(FENCE.sub("", page.read_text())):
        if "://" in target or target.startswith("mailto:"):
            continue
        name, _, anchor = target.partition("#")
        linked = (page.parent / name).resolve() if name else page
        assert linked.exists(), f"{target} leads nowhere"
        if anchor:
            assert anchor in _anchors(linked), f"{target}: no such heading"


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower()) for heading in headings}


def test_names_in_the_reference_exist():
    pages = sorted((ROOT / "docs" / "api").glob("*.md"))
    names = [name for page in pages for name in re.findall(r"^::: ([\w.]+)$", page.read_text(), re.MULTILINE)]
    assert len(names) > 20
    for name in names:
        try:
            found = import_module(name)
        except ModuleNotFoundError:
            module, _, attribute = name.rpartition(".")
            found = getattr(import_module(module), attribute)
        assert found.__doc__, f"{name} has no docstring"
