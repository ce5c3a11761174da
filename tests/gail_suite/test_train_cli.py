"""The verbs as a user meets them: one run with all its files, a kill in mid-run, and bad input."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from gail_suite import cli, evaluate, record, train
from gail_suite.run_directory import RunDirectory
from generative_core.training.checkpoint import load_checkpoint
from tests.gail_suite.helpers import demonstrations

FAST = [
    "--env",
    "Hopper-v4",
    "--n-demos",
    "1",
    "--n-envs",
    "4",
    "--threads",
    "1",
    "--no-controls",
    "--no-video",
    "--eval-episodes",
    "2",
    "--select-episodes",
    "2",
    "--ppo.n-steps",
    "32",
    "--ppo.minibatch-size",
    "64",
    "--ppo.hidden",
    "16",
    "16",
    "--critic.hidden",
    "16",
    "--critic.batch-size",
    "32",
    "--critic.updates-per-round",
    "2",
    "--cloning.max-updates",
    "50",
    "--warm-up-rounds",
    "1",
]


@pytest.fixture
def demos(tmp_path) -> Path:
    rng = np.random.default_rng(0)
    path = tmp_path / "hopper.npz"
    made = demonstrations(rng.normal(size=(100, 11)), rng.uniform(-1, 1, (100, 3)), env_id="Hopper-v4")
    made.save(path)
    return path


def run(monkeypatch, main, *arguments: object) -> int:
    """The exit code of a verb, as the shell would see it."""
    monkeypatch.setattr(sys, "argv", ["verb", *map(str, arguments)])
    with pytest.raises(SystemExit) as caught:
        cli.run_verb(main)
    return caught.value.code


def one_line(captured) -> str:
    """What a user reads: a single line on stderr and no traceback."""
    lines = [line for line in captured.err.splitlines() if line.strip()]
    assert len(lines) == 1, captured.err
    assert lines[0].startswith("error: ")
    return lines[0]


def same_tree(a, b) -> bool:
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same_tree(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(same_tree(x, y) for x, y in zip(a, b, strict=True))
    if hasattr(a, "shape"):
        return np.array_equal(np.asarray(a), np.asarray(b))
    return a == b


def test_run_leaves_every_file_and_an_honest_table(monkeypatch, capsys, tmp_path, demos):
    out = tmp_path / "run"
    arguments = [*FAST, "--demos", demos, "--out", out, "--total-env-steps", 512, "--eval-every", 128]
    arguments.remove("--no-controls")
    assert run(monkeypatch, train.main, *arguments) == 0
    shown = capsys.readouterr().out
    for label in ("random", "behavioural cloning", "constant reward", "GAIL, last", "GAIL, selected", "displacement"):
        assert label in shown
    found = json.loads((out / "evaluation.json").read_text())
    for name in ("policy", "last", "random", "behavioural_cloning", "constant_reward"):
        assert {"return_mean", "return_std", "return_iqm", "return_ci95", "normalised_return"} <= found[name].keys()
        assert found[name]["displacement_mean"] is not None
    assert found["env_steps"] == 512
    assert found["wall_clock_s"] > 0
    for name in ("config.json", "metrics.jsonl", "policy.zip", "curve.png", "tensorboard"):
        assert (out / name).exists(), name
    assert len(RunDirectory.open(out).metrics()) == 5  # the look before the first round, and four rounds
    assert not list(out.rglob("*.tmp*"))

    assert run(monkeypatch, evaluate.main, out, "--episodes", 3, "--threads", 1) == 0
    assert "3 episodes" in capsys.readouterr().out
    assert run(monkeypatch, train.main, *arguments) == 2
    assert "--resume" in one_line(capsys.readouterr())


@pytest.mark.slow
def test_killed_run_resumes_to_the_same_numbers(monkeypatch, capsys, tmp_path, demos):
    common = [*FAST, "--demos", str(demos), "--total-env-steps", "6400", "--eval-every", "384"]
    unbroken, killed = tmp_path / "unbroken", tmp_path / "killed"
    assert run(monkeypatch, train.main, *common, "--out", unbroken) == 0

    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "gail_suite.train", *common, "--out", str(killed)],
        stderr=subprocess.DEVNULL,
        env=environment,
    )
    metrics = killed / "metrics.jsonl"
    deadline = time.monotonic() + 120
    while not (metrics.exists() and metrics.read_text().count("\n") > 12):
        assert time.monotonic() < deadline
        assert process.poll() is None, "the run ended before it could be killed"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert load_checkpoint(killed / "checkpoints/last/state.safetensors")["gail"]["env_steps"] < 6400

    assert run(monkeypatch, train.main, "--resume", killed) == 0
    capsys.readouterr()
    first, second = (load_checkpoint(path / "checkpoints/last/state.safetensors") for path in (unbroken, killed))
    assert same_tree(first["gail"], second["gail"])
    a, b = (json.loads((path / "evaluation.json").read_text()) for path in (unbroken, killed))
    assert a["policy"] == b["policy"]
    timing = {"wall_clock_s", "env_steps_per_s"}
    first_rows, second_rows = (
        [{k: v for k, v in row.items() if k not in timing} for row in RunDirectory.open(path).metrics()]
        for path in (unbroken, killed)
    )
    assert first_rows == second_rows


@pytest.mark.slow
def test_interrupt_finishes_the_round_saves_and_says_how_to_go_on(tmp_path, demos):
    out = tmp_path / "run"
    command = [sys.executable, "-m", "gail_suite.train", *FAST, "--demos", str(demos), "--out", str(out)]
    process = subprocess.Popen(
        [*command, "--total-env-steps", "500000"],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    metrics = out / "metrics.jsonl"
    deadline = time.monotonic() + 120
    while not (metrics.exists() and metrics.read_text().count("\n") > 5):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"--resume {out}" in err
    assert "Traceback" not in err
    saved = load_checkpoint(out / "checkpoints/last/state.safetensors")["gail"]["env_steps"]
    assert saved == RunDirectory.open(out).metrics()[-1]["env_steps"]


@pytest.mark.parametrize(
    ("extra", "says"),
    [
        (["--env", "Antt-v4"], "Ant-v4"),
        (["--env", "no_such_module_xyz:Foo-v0"], "no_such_module_xyz"),
        (["--total-env-steps", "0"], "--total-env-steps"),
        (["--env-kwargs", "{"], "JSON"),
        (["--demos", "/no/such/file.npz"], "/no/such/file.npz"),
        (["--env", "Walker2d-v4"], "Hopper-v4"),
        (["--resume", "/no/such/run"], "/no/such/run"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(monkeypatch, capsys, tmp_path, demos, extra, says):
    out = tmp_path / "run"
    arguments = [*FAST, "--demos", demos, "--out", out, "--total-env-steps", 128]
    assert run(monkeypatch, train.main, *arguments, *extra) == 2
    assert says in one_line(capsys.readouterr())
    assert not (out / "checkpoints").exists()


def test_demonstrations_with_nan_are_refused(monkeypatch, capsys, tmp_path):
    path = tmp_path / "nan.npz"
    obs = np.zeros((10, 11), np.float32)
    obs[3, 2] = np.nan
    np.savez(path, obs=obs, acts=np.zeros((10, 3), np.float32))
    assert run(monkeypatch, train.main, *FAST, "--demos", path, "--out", tmp_path / "run") == 2
    assert "nan.npz" in one_line(capsys.readouterr())


@pytest.mark.parametrize("damage", ["truncated", "flipped", "config"])
def test_resume_of_a_damaged_run_is_refused_and_keeps_what_there_is(monkeypatch, capsys, tmp_path, demos, damage):
    out = tmp_path / "run"
    assert run(monkeypatch, train.main, *FAST, "--demos", demos, "--out", out, "--total-env-steps", 128) == 0
    capsys.readouterr()
    path = out / "config.json" if damage == "config" else out / "checkpoints/last/state.safetensors"
    content = bytearray(path.read_bytes())
    if damage == "flipped":
        content[len(content) // 2] ^= 1
    else:
        content = content[: len(content) // 2]
    path.write_bytes(content)
    zipped = (out / "policy.zip").read_bytes()
    assert run(monkeypatch, train.main, "--resume", out) == 2
    assert path.name in one_line(capsys.readouterr())
    assert (out / "policy.zip").read_bytes() == zipped


def test_resume_with_other_settings_is_refused(monkeypatch, capsys, tmp_path, demos):
    out = tmp_path / "run"
    assert run(monkeypatch, train.main, *FAST, "--demos", demos, "--out", out, "--total-env-steps", 128) == 0
    capsys.readouterr()
    assert run(monkeypatch, train.main, "--resume", out, "--seed", 5) == 2
    assert "seed" in one_line(capsys.readouterr())


def test_run_in_use_is_refused(monkeypatch, capsys, tmp_path, demos):
    out = tmp_path / "run"
    assert run(monkeypatch, train.main, *FAST, "--demos", demos, "--out", out, "--total-env-steps", 128) == 0
    capsys.readouterr()
    holder = RunDirectory.open(out)
    holder.lock()
    assert run(monkeypatch, train.main, "--resume", out, "--total-env-steps", 256) == 2
    assert "in use" in one_line(capsys.readouterr())


def test_full_disk_is_one_line_and_the_old_checkpoint_stays(monkeypatch, capsys, tmp_path, demos):
    out = tmp_path / "run"
    assert run(monkeypatch, train.main, *FAST, "--demos", demos, "--out", out, "--total-env-steps", 128) == 0
    capsys.readouterr()
    before = (out / "checkpoints/last/state.safetensors").read_bytes()

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    assert run(monkeypatch, train.main, "--resume", out, "--total-env-steps", 256) == 2
    assert "space" in one_line(capsys.readouterr()).lower()
    assert (out / "checkpoints/last/state.safetensors").read_bytes() == before


def test_place_that_cannot_hold_a_run_is_named(monkeypatch, capsys, tmp_path, demos):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    assert run(monkeypatch, train.main, *FAST, "--demos", demos, "--out", blocked / "run") == 2
    assert "file" in one_line(capsys.readouterr())


def test_video_without_a_renderer_says_what_to_install(monkeypatch, capsys, tmp_path, demos):
    out = tmp_path / "run"
    assert run(monkeypatch, train.main, *FAST, "--demos", demos, "--out", out, "--total-env-steps", 128) == 0
    capsys.readouterr()
    monkeypatch.setenv("MUJOCO_GL", "egl")
    monkeypatch.setenv("PYOPENGL_PLATFORM", "no-such-platform")
    assert run(monkeypatch, record.main, out) == 2
    assert "install" in one_line(capsys.readouterr())


@pytest.mark.parametrize("verb", ["train", "evaluate", "record", "expert", "demos"])
def test_help_needs_neither_torch_nor_sb3(verb):
    code = (
        "import atexit, sys\n"
        "heavy = {'torch', 'stable_baselines3', 'gymnasium', 'mujoco'}\n"
        "atexit.register(lambda: print('heavy:', sorted(heavy & set(sys.modules))))\n"
        f"sys.argv = ['verb', '--help']\nimport gail_suite.{verb} as verb\nverb.main()"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.endswith("heavy: []\n")
    assert "--help" in result.stdout
