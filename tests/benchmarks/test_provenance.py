"""Whose name a result gets."""

import re
import subprocess
from pathlib import Path

from benchmarks.provenance import anywhere
from gail_suite.run_directory import commit_of


def git(folder, *arguments):
    identity = ["-c", "user.name=n", "-c", "user.email=e", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def test_code_that_no_commit_holds_is_dirty_and_a_kept_result_is_not(tmp_path):
    assert commit_of(tmp_path) is None
    inside = tmp_path / "benchmarks"
    results = inside / "results"
    results.mkdir(parents=True)
    git(tmp_path, "init", "-q")
    (results / "a.json").write_text("{}")
    (inside / "code.py").write_text("a = 1")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "first")
    name = commit_of(inside)
    assert name is not None
    assert len(name) >= 7
    (results / "a.json").write_text('{"a": 1}')
    (inside / "new.py").write_text("")
    assert commit_of(inside) == name
    (inside / "code.py").write_text("a = 2")
    assert commit_of(inside) == f"{name}-dirty"


def test_places_on_this_machine_are_no_part_of_a_command():
    found = {"command": "python -m benchmarks.images --out /a/b --data-dir=/c --seed 1", "date": "d"}
    assert anywhere(found) == {"command": "python -m benchmarks.images --data-dir DATA --seed 1", "date": "d"}
    assert anywhere({"date": "d"}) == {"date": "d"}


def test_nothing_that_is_published_tells_where_things_lay_on_a_machine():
    root = Path(__file__).parents[2]
    pages = [root / "README.md", *(root / "docs").rglob("*.md"), *(root / "benchmarks" / "results").rglob("*.json")]
    place = re.compile(r"(?<![\w.])/(?:tmp|home|root|Users)/")
    assert len(pages) > 100
    assert [page.name for page in pages if place.search(page.read_text())] == []
