"""The campaign of kills: it sees one bit that differs, and ten kills change none."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.reliability import kills
from benchmarks.reliability.compare import compare_files, differences, leftovers
from benchmarks.reliability.fitting import EVERY, FAMILIES, fit_family
from benchmarks.reliability.processes import fork
from generative_core import load_checkpoint, save_checkpoint

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes that can be forked")


def test_one_bit_one_type_and_one_name_are_differences():
    tree = {"a": torch.ones(3), "b": [1.0, float("nan")], "c": {"n": np.arange(2)}, "wall_clock_s": 1.0}
    assert differences(tree, {**tree, "wall_clock_s": 2.0}) == []
    flipped = torch.ones(3)
    flipped.view(torch.int32)[1] ^= 1
    assert differences(tree, {**tree, "a": flipped}) == [".a differs"]
    assert differences(tree, {**tree, "a": torch.ones(3, dtype=torch.float64)}) == [".a differs"]
    assert differences(tree, {**tree, "b": [1, float("nan")]}) == [".b[0] differs"]
    assert differences(tree, {**tree, "c": {}}) == [".c.n is on one side only"]
    assert differences([1], [1, 2], "x") == ["x has 1 and 2 entries"]
    assert differences(0.0, -0.0, "zero") == ["zero differs"]


def test_folders_are_compared_by_their_checkpoints_and_temporary_files(tmp_path):
    for name in ("a", "b"):
        save_checkpoint(tmp_path / name / "x.safetensors", {"w": torch.ones(2)})
    assert compare_files(tmp_path / "a", tmp_path / "b") == []
    (tmp_path / "b" / ".x.safetensors.01234567.tmp").write_bytes(b"")
    save_checkpoint(tmp_path / "b" / "x.safetensors", {"w": torch.zeros(2)})
    assert compare_files(tmp_path / "a", tmp_path / "b") == [
        "x.safetensors.w differs",
        ".x.safetensors.01234567.tmp was left behind",
    ]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_fit_that_is_broken_off_goes_on_as_unbroken(tmp_path, family):
    for name in ("unbroken", "broken"):
        (tmp_path / name).mkdir()
    fit_family(family, tmp_path / "unbroken", n_updates=3 * EVERY)
    with pytest.raises(KeyboardInterrupt):
        fit_family(family, tmp_path / "broken", n_updates=3 * EVERY, hooks=(_stop_at(2 * EVERY),))
    assert load_checkpoint(tmp_path / "broken" / f"{family}.safetensors")["first_step"] == 2 * EVERY
    fit_family(family, tmp_path / "broken", n_updates=3 * EVERY)
    assert compare_files(tmp_path / "unbroken", tmp_path / "broken") == []


def _stop_at(update: int):
    def hook(i: int, metrics: dict[str, float]) -> None:
        if i == update:
            raise KeyboardInterrupt

    return hook


def forgetful(folder: Path) -> None:
    """Unlike what is to be tested, it ends otherwise when it was begun more than once."""
    count = folder / "sessions"
    sessions = 1 + (len(count.read_text()) if count.exists() else 0)
    with count.open("a") as file:
        file.write("x")
    for _ in range(60):
        save_checkpoint(folder / "count.safetensors", {"sessions": sessions})


def test_a_target_that_forgets_is_found_out(tmp_path):
    target = kills.Target(
        lambda out: fork(lambda: forgetful(_made(out)), out.with_suffix(".log")), kills._compare_without_leftovers
    )
    tally = kills.campaign(target, 4, 2, np.random.default_rng(0), _made(tmp_path / "t"))
    assert tally.kills == 4
    assert any("count.safetensors.sessions differs" in found for found in tally.differing), tally


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def test_a_process_says_how_it_ended(tmp_path):
    assert fork(lambda: None, tmp_path / "o").wait() == 0
    assert fork(lambda: sys.exit(3), tmp_path / "o").wait() == 3
    failed = fork(lambda: 1 / 0, tmp_path / "o")
    assert failed.wait() == 70
    assert failed.last_line() == "ZeroDivisionError: division by zero"


@pytest.mark.slow
@pytest.mark.parametrize(("name", "n"), [("ppo", 4), ("sac", 3), ("fit", 3)])
def test_ten_kills_change_nothing(tmp_path, name, n):
    kills.load_libraries()
    target = kills.make_targets(tmp_path, spawn=False)[name]
    tally = kills.campaign(target, n, 3, np.random.default_rng(0), _made(tmp_path / name))
    assert tally.kills == n
    assert tally.differing == []
    assert leftovers(tmp_path / name / "unbroken") == []
