"""Several processes train one model: what one would learn, the same in all, and exactly resumable."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from filelock import FileLock, Timeout
from torch.testing import assert_close

from benchmarks.images import __main__ as command_line
from benchmarks.images import launched, parallel
from gail_suite.errors import InputError
from generative_core import load_checkpoint
from tests.benchmarks import parallel_case

ROOT = Path(__file__).parents[2]
MADE = ("--model", "made", "--preset", "smoke", "--threads", "1")


def launch(module: str, *arguments: str) -> subprocess.Popen:
    """Two processes, as a user launches them; a port that is free."""
    pytest.importorskip("accelerate", reason="accelerate is not installed (the extra `scale`)")
    settings = "--multi-gpu --num-processes 2 --num-machines 1 --mixed-precision no --dynamo-backend no"
    command = [sys.executable, "-m", "accelerate.commands.launch", *settings.split(), "--main-process-port", "0"]
    return subprocess.Popen([*command, "-m", module, *arguments], cwd=ROOT, stderr=subprocess.PIPE, text=True)


@pytest.mark.timeout(600)
def test_two_processes_learn_what_one_learns_and_agree(tmp_path):
    """Without noise in the loss: to the rounding of double precision, a layer that starts from its first batch too."""
    process = launch("tests.benchmarks.parallel_case", str(tmp_path))
    _, said = process.communicate(timeout=400)
    assert process.returncode == 0, said
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        alone = {name: parallel_case.train(name, None).state_dict() for name in parallel_case.MODELS}
    finally:
        torch.set_default_dtype(before)
    for name in parallel_case.MODELS:
        first, second = (load_checkpoint(tmp_path / f"{name}-{rank}") for rank in (0, 1))
        assert_close(first, second, rtol=0, atol=0)
        if name == "vae":  # each process has noise of its own
            assert max((first[key] - alone[name][key]).abs().max() for key in first) > 1e-6
        else:
            assert_close(first, dict(alone[name]), rtol=1e-9, atol=1e-9)


def parts(folder: Path) -> dict:
    """The last checkpoint without its clocks."""
    state = load_checkpoint(folder / "last.safetensors")
    del state["looks"]
    return state


def wait_for(what, process: subprocess.Popen | None = None) -> None:
    for _ in range(6000):
        if what():
            return
        assert process is None or process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    pytest.fail("nothing happened for five minutes")


def is_left(folder: Path) -> bool:
    """No process has the run any more."""
    try:
        with FileLock(folder / ".lock", timeout=0):
            return True
    except Timeout:
        return False


def stopped_after_its_first_look(folder: Path, flags: tuple[str, ...], number: signal.Signals) -> str:
    """A launch that a signal ends; what it said."""
    process = launch("benchmarks.images", *flags, "--out", str(folder))
    wait_for((folder / "last.safetensors").exists, process)
    process.send_signal(number)
    _, said = process.communicate(timeout=400)
    assert process.returncode != 0
    wait_for(lambda: is_left(folder))  # the launcher's end is the end of all
    assert not (folder / "result.json").exists()
    return said


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_ctrl_c_ends_every_process_and_says_how_to_go_on(tmp_path):
    said = stopped_after_its_first_look(tmp_path / "run", (*MADE, "--steps", "2000"), signal.SIGINT)
    assert f"interrupted; go on with --resume {tmp_path / 'run'}" in said
    assert not (tmp_path / "run" / "failure.json").exists()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_launch_that_is_killed_and_resumed_ends_as_one_that_is_not(tmp_path):
    flags = (*MADE, "--steps", "300")
    process = launch("benchmarks.images", *flags, "--out", str(tmp_path / "unbroken"))
    _, said = process.communicate(timeout=400)
    assert process.returncode == 0, said
    assert "rank" not in said.lower()  # nothing that the launcher would have to tell

    broken = tmp_path / "broken"
    stopped_after_its_first_look(broken, flags, signal.SIGKILL)
    assert load_checkpoint(broken / "last.safetensors")["first_step"] == 150
    process = launch("benchmarks.images", "--resume", str(broken))
    _, said = process.communicate(timeout=400)
    assert process.returncode == 0, said
    assert_close(parts(broken), parts(tmp_path / "unbroken"), rtol=0, atol=0)

    together, resumed = (json.loads((tmp_path / name / "result.json").read_text()) for name in ("unbroken", "broken"))
    assert together["test"] == resumed["test"]
    assert (together["processes"], together["threads"]) == (2, 2)
    assert together["command"].startswith("accelerate launch --multi-gpu --num-processes 2 -m benchmarks.images --")
    assert command_line.main([*flags, "--out", str(tmp_path / "alone")]) == 0
    alone = json.loads((tmp_path / "alone" / "result.json").read_text())
    assert together["test"]["nats"] == pytest.approx(alone["test"]["nats"], abs=1e-2)  # of some 20; single precision
    assert "processes" not in alone


@pytest.fixture
def two_processes(monkeypatch):
    """The environment of the second one of two."""
    for name, value in {"WORLD_SIZE": "2", "RANK": "1", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sweep", "--model", "made"], "sweep does not run as several processes"),
        (["--preset", "smoke"], "--preset smoke without --model does not"),
        (["--model", "gaussian"], "gaussian does not"),
        (["--model", "rbm"], "rbm does not"),
        (["--model", "cycle-gan"], "cycle-gan does not"),
        (["--model", "made", "--device", "cpu:0"], "cpu:0 is one device and 2 processes need one each"),
    ],
)
def test_what_several_processes_cannot_do_is_refused_in_one_line(arguments, message, two_processes):
    with pytest.raises(InputError, match=message) as caught:
        command_line.main(arguments)
    assert "\n" not in str(caught.value)


def test_a_batch_without_equal_parts_is_refused():
    state = SimpleNamespace(num_processes=3, process_index=0, device=torch.device("cpu"), is_main_process=True)
    parallel.Team(state).require_even(99)
    with pytest.raises(InputError, match="100 has no 3 equal parts"):
        parallel.Team(state).require_even(100)


def test_a_follower_of_a_finished_run_has_nothing_to_do(two_processes, tmp_path):
    assert command_line.main(["--list"]) == 0
    (tmp_path / "result.json").write_text("{}")
    assert command_line.main(["--resume", str(tmp_path)]) == 0


def test_the_launcher_s_precision_and_its_absence_are_told(two_processes, monkeypatch):
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    with pytest.raises(InputError, match="--precision"):
        parallel.join(torch.device("cpu"))
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "no")
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(InputError, match="scale"):
        parallel.join(torch.device("cpu"))


def test_a_launch_that_starts_one_process_only_says_so(monkeypatch, capsys):
    monkeypatch.setenv("ACCELERATE_USE_CPU", "True")
    launched.say_where_only_one_was_launched()
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    launched.say_where_only_one_was_launched()
    assert "--multi-gpu" in capsys.readouterr().err
