"""Ctrl-C and SIGTERM: a round may end and be saved, a second signal ends at once, and nothing is lost by either."""

import os
import signal
import sys
import threading
import time

import pytest

from benchmarks.reliability import kills
from benchmarks.reliability.compare import compare_runs, leftovers
from benchmarks.reliability.processes import Started
from gail_suite import cli, recorder, signals, train
from gail_suite.run_directory import RunDirectory
from generative_core import load_checkpoint
from tests.gail_suite.test_train_cli import FAST, demos, one_line, run

__all__ = ["demos"]  # a fixture


def send(number: int) -> None:
    os.kill(os.getpid(), number)
    time.sleep(0)  # the interpreter handles it between two instructions


def test_the_first_signal_asks_and_the_second_one_raises():
    asked = []

    def twice(second: int) -> None:
        with signals.interruptible(asked.append):
            send(signal.SIGINT)
            asked.append("goes on")
            send(second)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        twice(signal.SIGINT)
    assert asked == [signal.SIGINT, "goes on"]
    assert signal.getsignal(signal.SIGINT) is before
    with pytest.raises(signals.Terminated):
        twice(signal.SIGTERM)


def test_a_signal_that_the_shell_has_us_ignore_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with signals.raising():
            os.kill(os.getpid(), signal.SIGINT)
            with pytest.raises(signals.Terminated):
                os.kill(os.getpid(), signal.SIGTERM)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_in_a_thread_of_somebody_elses_the_handlers_stay_theirs():
    before, seen = [signal.getsignal(number) for number in signals.SIGNALS], []

    def elsewhere() -> None:
        with signals.raising(), signals.interruptible(seen.append):
            signals.die_at_the_next()
            seen.append("went through")

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert seen == ["went through"]
    assert [signal.getsignal(number) for number in signals.SIGNALS] == before


def test_a_round_that_does_not_end_is_cut_off(monkeypatch):
    monkeypatch.setattr(signals, "GRACE_S", 0.05)
    before, handler = signal.getitimer(signal.ITIMER_REAL)[0], signal.getsignal(signal.SIGALRM)

    def endless() -> None:
        with signals.interruptible(lambda number: None):
            send(signal.SIGTERM)
            for _ in range(10_000):  # a long time, and no endless one where nothing comes
                time.sleep(0.001)

    with pytest.raises(signals.Terminated):
        endless()
    after = signal.getitimer(signal.ITIMER_REAL)[0]
    assert (before > 0) == (after > 0)  # a timer of somebody else's runs on
    assert after <= before
    assert signal.getsignal(signal.SIGALRM) is handler


def test_a_timer_of_somebody_elses_runs_on_and_ours_does_not():
    handler, previous = (
        signal.signal(signal.SIGALRM, lambda *_: None),
        signal.setitimer(signal.ITIMER_REAL, 1000.0, 7.0),
    )
    try:
        with signals.interruptible(lambda number: None):
            send(signal.SIGTERM)
            assert 0 < signal.getitimer(signal.ITIMER_REAL)[0] <= signals.GRACE_S
        left, interval = signal.getitimer(signal.ITIMER_REAL)
        assert signals.GRACE_S < left <= 1000.0
        assert interval == 7.0
    finally:
        signal.setitimer(signal.ITIMER_REAL, *previous)
        signal.signal(signal.SIGALRM, handler)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_verb_ends_with_one_word(monkeypatch, capsys, number, code):
    handlers = {each: signal.getsignal(each) for each in signals.SIGNALS}
    try:
        assert run(monkeypatch, lambda: send(number)) == code
        assert capsys.readouterr().err == "interrupted\n"
        assert all(signal.getsignal(each) is signal.SIG_DFL for each in signals.SIGNALS)  # the next finds it leaving
    finally:
        for each, handler in handlers.items():
            signal.signal(each, handler)


@pytest.fixture
def own_handlers():
    """`run_verb` leaves its process with the system's; here it is pytest's."""
    handlers = {each: signal.getsignal(each) for each in signals.SIGNALS}
    yield
    for each, handler in handlers.items():
        signal.signal(each, handler)


@pytest.mark.usefixtures("own_handlers")
@pytest.mark.parametrize("look", [1, 3, 5])  # the first of all, one between two rounds, the last of all
def test_a_look_that_is_cut_off_is_made_up_for(monkeypatch, capsys, tmp_path, demos, look):
    arguments = [*FAST, "--demos", demos, "--total-env-steps", 512, "--eval-every", 128]
    assert run(monkeypatch, train.main, *arguments, "--out", tmp_path / "unbroken") == 0
    evaluate, looks, ended = recorder.evaluate_policy, [], []

    def interrupted(*args, **kwargs):
        looks.append(1)
        if len(looks) == look:
            send(signal.SIGINT)
        ended.append(evaluate(*args, **kwargs))
        return ended[-1]

    monkeypatch.setattr(recorder, "evaluate_policy", interrupted)
    broken = tmp_path / "broken"
    assert run(monkeypatch, train.main, *arguments, "--out", broken) == 130
    assert f"saved; go on with: python -m gail_suite.train --resume {broken}" in capsys.readouterr().err
    assert len(looks) == look
    assert len(ended) == look - 1
    saved = load_checkpoint(RunDirectory(broken).last)["recorder"]
    assert saved["unlooked"]["env_steps"] == 128 * (look - 1)  # nothing of what was trained has to be done again
    assert run(monkeypatch, train.main, "--resume", broken) == 0
    assert compare_runs(tmp_path / "unbroken", broken) == []


@pytest.mark.usefixtures("own_handlers")
@pytest.mark.parametrize("where", ["warm_start", "run_off", "_evaluate"])
def test_outside_of_the_rounds_it_ends_at_once_and_says_how_to_go_on(monkeypatch, capsys, tmp_path, demos, where):
    from gail_suite import session
    from gail_suite.trainer import GAIL

    owner = {"warm_start": GAIL, "run_off": session, "_evaluate": session.Session}[where]
    with monkeypatch.context() as patch:
        patch.setattr(owner, where, lambda *args: send(signal.SIGTERM))
        arguments = [*FAST, "--demos", demos, "--total-env-steps", 128, "--out", tmp_path / "run"]
        assert run(monkeypatch, train.main, *arguments) == 143
    assert capsys.readouterr().err.strip().splitlines()[-1].startswith("interrupted; go on with: ")
    assert run(monkeypatch, train.main, "--resume", tmp_path / "run") == 0


def test_a_run_in_use_is_refused_before_anything_is_loaded(monkeypatch, capsys, tmp_path):
    from gail_suite.config import TrainConfig

    holder = RunDirectory.create(TrainConfig(env="Hopper-v4", out=str(tmp_path / "run")))
    monkeypatch.setitem(sys.modules, "gail_suite.session", None)  # loading it would raise
    assert run(monkeypatch, train.main, "--resume", tmp_path / "run") == 2
    assert "is in use by another process" in one_line(capsys.readouterr())
    holder.unlock()


def test_a_run_that_another_process_began_at_the_same_moment_is_refused(monkeypatch, tmp_path):
    from gail_suite.config import TrainConfig
    from gail_suite.errors import InputError
    from gail_suite.run_directory import RunDirectory

    config, lock = TrainConfig(env="Hopper-v4", out=str(tmp_path / "run")), RunDirectory.lock

    def late(self):
        self.config_file.write_text("{}")
        lock(self)

    with monkeypatch.context() as patch:
        patch.setattr(RunDirectory, "lock", late)
        with pytest.raises(InputError, match="already holds a run"):
            RunDirectory.create(config)
    other = RunDirectory(tmp_path / "run")
    other.lock()  # it was given back
    other.unlock()


@pytest.mark.usefixtures("own_handlers")
def test_a_round_that_is_told_to_end_is_finished_and_saved(monkeypatch, capsys, tmp_path, demos):
    import envs
    from generative_core import load_checkpoint

    step, steps = envs.BatchedMujocoVecEnv.step_wait, []

    def told(self):
        steps.extend([1] * (self.num_envs == 4))  # a look has two
        if len(steps) == 40:
            send(signal.SIGTERM)
        return step(self)

    monkeypatch.setattr(envs.BatchedMujocoVecEnv, "step_wait", told)
    out = tmp_path / "run"
    arguments = [*FAST, "--demos", demos, "--total-env-steps", 1024, "--eval-every", 1024, "--out", out]
    assert run(monkeypatch, train.main, *arguments) == 143
    assert f"saved; go on with: python -m gail_suite.train --resume {out}" in capsys.readouterr().err
    assert load_checkpoint(out / "checkpoints/last/state.safetensors")["gail"]["env_steps"] == 256  # two whole rounds
    assert len(steps) == 64


def test_what_a_kill_left_behind_goes_at_the_resume_and_nothing_else(monkeypatch, tmp_path, demos):
    out = tmp_path / "run"
    assert run(monkeypatch, train.main, *FAST, "--demos", demos, "--out", out, "--total-env-steps", 128) == 0
    stale = [
        out / ".policy.417.tmp.zip",
        out / "checkpoints/last/.state.safetensors.0a1b2c3d.tmp",
        out / ".config.9.tmp.json",
    ]
    others = [out / ".gitignore", out / "notes.tmp", out / ".notes.tmp"]
    for path in stale + others:
        path.write_text("half")
    assert len(leftovers(out)) == 3
    assert run(monkeypatch, train.main, "--resume", out) == 0
    assert not any(path.exists() for path in stale)
    assert all(path.exists() for path in others)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes that can be forked")
def test_a_process_told_to_end_at_any_moment_ends_and_goes_on_as_unbroken(tmp_path):
    kills.load_libraries()
    target = kills.make_targets(tmp_path, spawn=False)["ppo"]
    assert target.start(tmp_path / "unbroken").wait() == 0
    out = tmp_path / "broken"

    def n_rounds() -> int:
        metrics = out / "metrics.jsonl"
        return metrics.read_text().count("\n") if metrics.exists() else 0

    def told(started: Started, rounds: int) -> int:
        while n_rounds() < rounds:
            assert started.poll() is None, started.last_line()
            time.sleep(0.005)
        os.kill(started.pid, signal.SIGTERM)
        return started.wait(60)

    for more in (1, 3, 2):
        assert told(target.start(out), n_rounds() + more) == 143
        assert leftovers(out) == []
    assert target.start(out).wait() == 0
    assert target.compare(tmp_path / "unbroken", out) == []


def test_text_of_strangers_cannot_move_the_cursor():
    from gail_suite.errors import plain, printable

    assert printable("Ant \x1b[31m\r\n\u202e\ud800 é") == "Ant \\x1b[31m\\r\\n\\u202e\\ud800 é"
    assert plain("[red]x") == "\\[red]x"


def test_a_file_with_an_odd_name_is_said_on_one_plain_line(monkeypatch, capsys, tmp_path):
    path = tmp_path / "odd\x1b[2J\r\n.npz"
    path.write_bytes(b"no archive")
    from gail_suite import demos as verb

    monkeypatch.setattr(sys, "argv", ["verb"])
    with pytest.raises(SystemExit) as caught:
        cli.run_verb(lambda: verb.main(["inspect", str(path)]))
    assert caught.value.code == 2
    assert "odd\\x1b[2J" in one_line(capsys.readouterr())
