"""Sweeps: every case once, going on after a stop, failures told, cores shared."""

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
from filelock import FileLock

from benchmarks.sweep import Case, SweepConfig, execute, run_sweep, slots
from gail_suite.errors import InputError


def case(folder: Path, say: str = "done", name: str = "one") -> Case:
    return Case(name, folder / name, "tests.benchmarks.sweep_case", ("--say", say))


def history(found: Case) -> list[str]:
    return (found.folder / "runs").read_text().split()


def test_a_case_that_has_ended_is_left_alone_and_a_stopped_one_goes_on(tmp_path):
    ended, stopped, fresh = (case(tmp_path, name=name) for name in ("ended", "stopped", "fresh"))
    assert run_sweep([ended], SweepConfig()) == []
    stopped.folder.mkdir()
    (stopped.folder / "config.json").write_text("{}")
    assert run_sweep([ended, stopped, fresh], SweepConfig()) == []
    assert [history(found) for found in (ended, stopped, fresh)] == [["began"], ["resumed"], ["began"]]


def test_a_failure_is_recorded_the_others_go_on_and_the_next_sweep_tries_again(tmp_path, capfd):
    cases = [case(tmp_path, say, say) for say in ("fail", "kill", "nothing", "done")]
    failed = run_sweep(cases, SweepConfig(jobs=2, pin=False))
    assert [(line["case"], line["exit_code"]) for line in failed] == [("fail", 3), ("kill", -9), ("nothing", 0)]
    kept = json.loads((tmp_path / "fail" / "failure.json").read_text())
    assert kept["log"] == ["this one says fail", "error: the dog ate it"]
    assert kept["command"].startswith("python -m tests.benchmarks.sweep_case")
    assert kept["failed"] == "exit code 3: error: the dog ate it"
    assert failed[1]["failed"] == "ended by signal 9: this one says kill"
    assert cases[3].has_ended
    assert "fail: error: the dog ate it" in capfd.readouterr().err
    assert run_sweep(cases[:1], SweepConfig()) == []  # resumed, which mends it
    assert not (tmp_path / "fail" / "failure.json").exists()


def test_a_run_that_another_process_holds_is_let_alone(tmp_path):
    found = case(tmp_path)
    found.folder.mkdir()
    with FileLock(found.folder / ".lock"):
        (failed,) = run_sweep([found], SweepConfig())
    assert failed["failed"] == "in use by another process"
    assert not found.failure_file.exists()
    assert not (found.folder / "runs").exists()
    assert run_sweep([found], SweepConfig()) == []


def test_a_folder_with_another_run_is_refused(tmp_path):
    assert run_sweep([case(tmp_path)], SweepConfig()) == []
    other = Case("one", tmp_path / "one", "tests.benchmarks.sweep_case", ("--say", "done", "--more", "1"))
    with pytest.raises(InputError, match="holds another run"):
        run_sweep([other], SweepConfig())
    (tmp_path / "one" / "case.json").unlink()  # as older sweeps left them
    assert run_sweep([other], SweepConfig()) == []


def test_two_jobs_have_cores_and_threads_of_their_own():
    first, second = slots(SweepConfig(jobs=2), [0, 1, 2, 3, 4])
    assert (first.threads, second.threads) == (2, 2)
    assert first.cores is not None
    assert second.cores is not None
    assert first.cores | second.cores == {0, 1, 2, 3, 4}
    assert not first.cores & second.cores
    assert slots(SweepConfig(jobs=2, threads=1), [4, 7])[1] == (1, frozenset({7}))
    assert [slot.cores for slot in slots(SweepConfig(jobs=3), [0, 1])] == [{0}, {1}, {0}]
    assert slots(SweepConfig(jobs=2, threads=2), [0, 1])[0] == (2, None)  # they have to share
    assert slots(SweepConfig(jobs=2, pin=False), [0, 1])[0] == (1, None)
    assert slots(SweepConfig(), [0, 1]) == [(0, None)]  # a single one is left alone


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system does not pin processes")
def test_a_job_runs_on_its_cores_with_its_threads(tmp_path):
    core = min(os.sched_getaffinity(0))
    found = case(tmp_path)
    assert execute(found, slots(SweepConfig(jobs=2, threads=1), [core, core])[0]) == 0
    seen = json.loads((found.folder / "evaluation.json").read_text())
    assert seen["threads"] == seen["flag"] == "1"
    assert core in seen["cores"]  # the process may ask before it is bound: at worst it sees the cores of its parent
    assert case(tmp_path, name="two").arguments() == ["--say", "done", "--out", str(tmp_path / "two")]
    own = Case("own", tmp_path, "m", ("--threads", "3"))
    assert own.arguments(1).count("--threads") == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_sweep_tells_its_runs_and_leaves_the_rest(tmp_path, number):
    code = f"""
import sys
from pathlib import Path
from benchmarks.sweep import SweepConfig, run_sweep
from gail_suite.cli import run_verb
from tests.benchmarks.test_sweep import case
folder = Path({str(tmp_path)!r})
run_verb(lambda: run_sweep([case(folder, "wait", "a"), case(folder, "wait", "b")], SweepConfig()) and 1)
"""
    hears = partial(
        signal.signal, signal.SIGINT, signal.default_int_handler
    )  # whoever runs the tests may be deaf to it
    sweep = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True, preexec_fn=hears)
    while not (tmp_path / "a" / "waiting").exists():
        assert sweep.poll() is None
        time.sleep(0.05)
    sweep.send_signal(number)
    assert sweep.wait(120) == 130
    assert (tmp_path / "a" / "told").exists()
    assert not (tmp_path / "a" / "failure.json").exists()
    assert not (tmp_path / "b" / "runs").exists()


@pytest.mark.parametrize("settings", [{"jobs": 0}, {"threads": -1}])
def test_numbers_that_make_no_sense_are_refused(settings):
    with pytest.raises(InputError, match=f"--{next(iter(settings))}"):
        run_sweep([], SweepConfig(**settings))
