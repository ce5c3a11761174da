"""The verbs as a user meets them: one run with all its files, a kill in mid-run, and bad input."""

import json
import os
import resource
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
        (["--threads", "-1"], "--threads"),
        (["--ppo.n-steps", "0"], "--ppo.n-steps"),
        (["--critic.dropout", "2"], "--critic.dropout"),
        (["--ppo.policy-lr", "nan"], "--ppo.policy-lr"),
        (["--device", "no-such-device"], "--device"),
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
    dones = np.arange(10) == 9
    np.savez(path, obs=obs, acts=np.zeros((10, 3), np.float32), dones=dones)
    assert run(monkeypatch, train.main, *FAST, "--demos", path, "--out", tmp_path / "run") == 2
    line = one_line(capsys.readouterr())
    assert "nan.npz" in line
    assert "NaN" in line


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


def test_resume_with_other_demonstrations_is_refused(monkeypatch, capsys, tmp_path, demos):
    out = tmp_path / "run"
    assert run(monkeypatch, train.main, *FAST, "--demos", demos, "--out", out, "--total-env-steps", 128) == 0
    capsys.readouterr()
    demonstrations(np.ones((50, 11)), np.zeros((50, 3)), env_id="Hopper-v4").save(demos)
    assert run(monkeypatch, train.main, "--resume", out, "--total-env-steps", 256) == 2
    assert "not those that this run began with" in one_line(capsys.readouterr())


def test_extended_run_remembers_its_extension_and_ends_its_evaluation(monkeypatch, capsys, tmp_path, demos):
    out = tmp_path / "run"
    assert run(monkeypatch, train.main, *FAST, "--demos", demos, "--out", out, "--total-env-steps", 128) == 0
    assert run(monkeypatch, train.main, "--resume", out, "--total-env-steps", 256) == 0
    (out / "evaluation.json").unlink()  # as if killed between training and the evaluation
    assert run(monkeypatch, train.main, "--resume", out) == 0
    found = json.loads((out / "evaluation.json").read_text())
    assert found["env_steps"] == 256
    assert "--total-env-steps 128" in found["command"]  # the run's own command, not the last resume's
    capsys.readouterr()


@pytest.mark.parametrize("select", ["reward", "last"])
def test_selection_without_the_oracle(monkeypatch, capsys, tmp_path, demos, select):
    arguments = [*FAST, "--demos", demos, "--out", tmp_path / "run", "--total-env-steps", 384, "--eval-every", 128]
    assert run(monkeypatch, train.main, *arguments, "--select", select, "--reward", "log-d") == 0
    capsys.readouterr()
    found = json.loads((tmp_path / "run/evaluation.json").read_text())
    assert found["policy_env_steps"] > 0
    assert select == "reward" or found["policy_env_steps"] == 384


def test_demonstrations_without_actions_teach_by_states(monkeypatch, capsys, tmp_path):
    path = tmp_path / "states.npz"
    rng = np.random.default_rng(0)
    demonstrations(rng.normal(size=(100, 11)), np.zeros((100, 0)), env_id="Hopper-v4").save(path)
    arguments = [*FAST, "--demos", path, "--out", tmp_path / "run", "--total-env-steps", 128]
    assert run(monkeypatch, train.main, *arguments) == 2
    assert "--no-warm-start" in one_line(capsys.readouterr())
    assert not (tmp_path / "run").exists()
    assert run(monkeypatch, train.main, *arguments, "--no-warm-start", "--view", "state-next-state") == 0
    assert "behavioural_cloning" not in json.loads((tmp_path / "run/evaluation.json").read_text())


def test_discrete_actions_through_the_command_line(monkeypatch, capsys, tmp_path):
    path = tmp_path / "cartpole.npz"
    rng = np.random.default_rng(0)
    acts = np.eye(2)[rng.integers(2, size=60)]
    demonstrations(rng.normal(size=(60, 4)), acts, env_id="CartPole-v1", one_hot=True).save(path)
    arguments = [*FAST, "--demos", path, "--out", tmp_path / "run", "--total-env-steps", 128]
    arguments[arguments.index("Hopper-v4")] = "CartPole-v1"
    assert run(monkeypatch, train.main, *arguments) == 0
    assert json.loads((tmp_path / "run/evaluation.json").read_text())["policy"]["displacement_mean"] is None
    assert run(monkeypatch, train.main, "--resume", tmp_path / "run", "--total-env-steps", 256) == 0
    assert "begin anew" in capsys.readouterr().err


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


@pytest.mark.slow
def test_full_disk_is_one_line_and_the_old_checkpoint_stays(tmp_path, demos):
    """A real limit on file sizes stands in for the disk: the small files still fit, a checkpoint does not."""
    out = tmp_path / "run"
    train_it = [sys.executable, "-m", "gail_suite.train"]
    first = [*FAST, "--demos", str(demos), "--out", str(out), "--total-env-steps", "128"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([*train_it, *first], check=True, capture_output=True, env=environment)
    before = (out / "checkpoints/last/state.safetensors").read_bytes()

    def small_files():
        resource.setrlimit(resource.RLIMIT_FSIZE, (16_384, 16_384))

    more = ["--resume", str(out), "--total-env-steps", "2560"]
    result = subprocess.run(
        [*train_it, *more], preexec_fn=small_files, capture_output=True, text=True, env=environment, timeout=120
    )
    assert result.returncode == 2, result.stderr
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert "Traceback" not in result.stderr
    assert (out / "checkpoints/last/state.safetensors").read_bytes() == before


def test_place_that_cannot_hold_a_run_is_named(monkeypatch, capsys, tmp_path, demos):
    blocked = tmp_path / "taken"
    blocked.write_text("not a folder")
    assert run(monkeypatch, train.main, *FAST, "--demos", demos, "--out", blocked / "run") == 2
    assert "a part of this path is a file" in one_line(capsys.readouterr())


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
