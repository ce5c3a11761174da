"""Several image cases as one sweep, in the folders of the single command."""

import json

import pytest

from benchmarks.images.__main__ import main
from benchmarks.images.sweep import ImageSweep
from gail_suite.errors import InputError


def test_a_sweep_trains_each_case_once_and_tells_what_fails(tmp_path, capfd):
    arguments = ["sweep", "--model", "gaussian-mixture", "--jobs", "2", "--threads", "1", "--out", str(tmp_path)]
    assert main(arguments) == 0
    result = tmp_path / "gaussian-mixture-cpu-s0" / "result.json"
    assert json.loads(result.read_text())["model"] == "gaussian-mixture"
    before = result.stat().st_mtime_ns
    (tmp_path / "class-gaussian-cpu-s0").mkdir()
    (tmp_path / "class-gaussian-cpu-s0" / "config.json").write_text("{")  # damaged
    assert main([*arguments[:3], "class-gaussian", *arguments[3:]]) == 1
    assert result.stat().st_mtime_ns == before
    assert "failed: class-gaussian, seed 0 (exit code 2: error: " in capfd.readouterr().err
    failure = json.loads((tmp_path / "class-gaussian-cpu-s0" / "failure.json").read_text())
    assert failure["exit_code"] == 2


def test_bad_input_is_one_line():
    with pytest.raises(InputError, match="no case 'sunshine'"):
        ImageSweep(model=("sunshine",)).cases()
    with pytest.raises(InputError, match="--model"):
        ImageSweep().cases()
    with pytest.raises(InputError, match="--seeds"):
        ImageSweep(model=("made",), seeds=0).cases()


def test_folders_are_those_of_the_single_command():
    (case,) = ImageSweep(model=("made",), preset="gpu").cases()
    assert str(case.folder) == "runs/images/made-gpu-s0"
    assert case.flags == ("--model", "made", "--preset", "gpu", "--seed", "0")
