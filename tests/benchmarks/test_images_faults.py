"""Faults of the image benchmark: a disk that refuses, a damaged checkpoint, a run in use, what a kill left behind."""

import errno
import math
import os
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.images import __main__ as command_line
from benchmarks.images.evaluation import Exact
from benchmarks.images.folder import Folder
from gail_suite.errors import InputError
from gail_suite.run_directory import read_json
from generative_core import CheckpointError
from tests.benchmarks.test_images import TINY_CASES, run, tiny_cases

__all__ = ["tiny_cases"]  # a fixture


def test_a_disk_that_fills_up_is_told_by_the_file_that_it_refused_and_the_run_goes_on_later(tmp_path, monkeypatch):
    """The note of the failure finds no place either, and does not take the place of what it is about."""
    folder, sound = tmp_path / "run", os.replace

    def refuse(source, target):
        if Path(target).name in ("result.json", "failure.json"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sound(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", refuse)
        with pytest.raises(OSError, match="No space left") as caught:
            run(folder, "--model", "fvsbn")
    assert caught.value.filename == str(folder / "result.json")
    assert not list(folder.glob(".*tmp*"))
    before = (folder / "last.safetensors").read_bytes()
    assert command_line.main(["--resume", str(folder)]) == 0
    assert (folder / "result.json").exists()
    assert (folder / "last.safetensors").read_bytes() == before  # nothing was trained again


@pytest.mark.parametrize("damage", [lambda content: content[: len(content) // 2], lambda content: b"", bytes.swapcase])
def test_a_damaged_checkpoint_is_refused_at_the_resume(damage, tmp_path):
    folder = tmp_path / "run"
    run(folder, "--model", "fvsbn")
    (folder / "result.json").unlink()
    last = folder / "last.safetensors"
    last.write_bytes(damage(last.read_bytes()))
    with pytest.raises(CheckpointError, match=r"last\.safetensors is damaged"):
        command_line.main(["--resume", str(folder)])


def test_a_judgement_that_is_not_finite_is_no_result(tmp_path, monkeypatch, capsys):
    class Blown(Exact):
        def judge(self, model, x, *, seed):
            return replace(super().judge(model, x, seed=seed), nats=math.inf)

    monkeypatch.setitem(TINY_CASES, "gaussian", replace(TINY_CASES["gaussian"], evaluation=Blown()))
    assert command_line.main(["--model", "gaussian", "--out", str(tmp_path / "run")]) == 1
    assert "the test images have inf nats" in capsys.readouterr().err
    assert not (tmp_path / "run" / "result.json").exists()
    assert "inf nats" in read_json(tmp_path / "run" / "failure.json")["failed"]


def test_a_run_in_use_is_refused_and_what_a_kill_left_is_cleared(tmp_path):
    folder = tmp_path / "run"
    run(folder, "--model", "gaussian")
    stale, other = folder / ".best.safetensors.0a1b2c3d.tmp", folder / ".notes.tmp"
    stale.write_text("half")
    other.write_text("mine")
    holder = Folder(folder)
    holder.lock()
    with pytest.raises(InputError, match="in use by another process"):
        command_line.main(["--resume", str(folder)])
    assert stale.exists()  # it may be the holder's
    holder.unlock()
    assert command_line.main(["--resume", str(folder)]) == 0
    assert not stale.exists()
    assert other.exists()
