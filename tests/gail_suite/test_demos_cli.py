"""`python -m gail_suite.demos` as a user meets it: what it prints, and how it ends."""

import subprocess
import sys

import numpy as np
import pytest

from gail_suite import demos
from gail_suite.cli import run_verb
from gail_suite.demonstrations import Demonstrations
from gail_suite.errors import InputError
from tests.gail_suite import toy_envs  # noqa: F401  # registers them
from tests.gail_suite.test_demonstrations import make


def run(capsys, *arguments: object) -> tuple[int, str, str]:
    """Exit code, stdout and stderr."""
    with pytest.raises(SystemExit) as caught:
        run_verb(lambda: demos.main([str(a) for a in arguments]))
    out, err = capsys.readouterr()
    return int(caught.value.code or 0), out, err


def refused(capsys, *arguments: object) -> str:
    """The one line that a refusal prints."""
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    return err


@pytest.fixture
def policy(tmp_path):
    from stable_baselines3 import PPO

    path = tmp_path / "ppo.zip"
    PPO("MlpPolicy", "CartPole-v1").save(path)
    return path


def test_collect_inspect_validate(capsys, tmp_path, policy):
    out = tmp_path / "d.npz"
    collect = ("collect", "--env", "CartPole-v1", "--policy", policy, "--n-episodes", 3, "--out", out)
    code, printed, err = run(capsys, *collect)
    assert (code, err.strip()) == (0, "")  # no progress bar where stderr is no terminal
    assert "3 episodes" in printed
    first = Demonstrations.load(out)
    assert run(capsys, *collect, "--deterministic", "--seed", 1)[0] == 0
    assert Demonstrations.load(out).checksum != first.checksum
    code, table, _ = run(capsys, "inspect", out)
    assert code == 0
    for part in ("CartPole-v1", "ppo.zip, deterministic actions", "2 (one-hot)", "gymnasium", "sha256"):
        assert part in table
    code, printed, _ = run(capsys, "validate", out, "--env", "CartPole-v1")
    assert code == 0
    assert printed.startswith("fits CartPole-v1: 3 episodes")
    assert "was recorded in CartPole-v1, not in Pendulum-v1" in refused(capsys, "validate", out, "--env", "Pendulum-v1")


def test_inspect_names_constant_dimensions(capsys, tmp_path):
    made = make((50,), n_obs=6)
    made.obs[:, [1, 2, 5]] = 7.0
    made.save(tmp_path / "d.npz")
    assert "6, of them constant 3 (1-2, 5)" in run(capsys, "inspect", tmp_path / "d.npz")[1]


def test_convert_a_file_of_others(capsys, tmp_path):
    np.savez(tmp_path / "theirs.npz", obs=np.eye(4), acts=np.zeros((4, 1)), dones=[False, True, False, True])
    out = tmp_path / "ours.npz"
    code, printed, _ = run(capsys, "convert", tmp_path / "theirs.npz", "--out", out, "--env", "Counting-v0")
    assert code == 0
    assert "2 episodes, 2 transitions" in printed
    assert Demonstrations.load(out).provenance.env_id == "Counting-v0"
    assert "have 4 observations, Counting-v0 has 2" in refused(capsys, "validate", out, "--env", "Counting-v0")


def test_bad_input_is_one_line_and_loses_nothing(capsys, tmp_path, policy):
    kept = tmp_path / "kept.npz"
    make((4,)).save(kept)
    content = kept.read_bytes()
    bad = tmp_path / "bad.npz"
    bad.write_bytes(b"PK broken")
    assert "truncated or damaged" in refused(capsys, "convert", bad, "--out", kept)
    assert "no expert for Counting-v0" in refused(capsys, "collect", "--env", "Counting-v0", "--out", kept)
    assert "cannot make the environment 'Nowhere-v0'" in refused(capsys, "validate", kept, "--env", "Nowhere-v0")
    assert "ask for 1 or more" in refused(
        capsys, "collect", "--env", "CartPole-v1", "--policy", policy, "--n-episodes", 0, "--out", kept
    )
    assert "cannot be read as an SB3 policy ([Errno 2]" in refused(
        capsys, "collect", "--env", "CartPole-v1", "--policy", tmp_path / "none.zip", "--out", kept
    )
    assert "ends in .npz" in refused(capsys, "convert", kept, "--out", tmp_path / "d.txt")
    assert "a part of this path is a file" in refused(capsys, "convert", kept, "--out", kept / "x" / "d.npz")
    assert "there is no file" in refused(capsys, "inspect", tmp_path / "missing.npz")
    assert kept.read_bytes() == content


@pytest.mark.parametrize("arguments", [(), ("collect",), ("nonsense",), ("inspect",), ("collect", "--n-episodes", "x")])
def test_wrong_arguments_end_with_code_2(capsys, arguments):
    assert run(capsys, *arguments)[0] == 2


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (InputError("what is wrong\nand how to mend it"), 2, "error: what is wrong and how to mend it\n"),
        (OSError(28, "No space left on device", "/a/b"), 2, "error: /a/b: No space left on device; free some space"),
        (PermissionError(13, "Permission denied", "/a"), 2, "error: /a: Permission denied; choose a place"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
    ],
)
def test_how_a_verb_ends(capsys, error, code, line):
    def main():
        raise error

    with pytest.raises(SystemExit) as caught:
        run_verb(main)
    assert caught.value.code == code
    assert capsys.readouterr().err.startswith(line)


def test_a_bug_keeps_its_traceback():
    def main():
        raise KeyError("ours")

    with pytest.raises(KeyError):
        run_verb(main)


def test_help_comes_without_torch():
    script = (
        "import sys; from gail_suite import demos\n"
        "try: demos.main(['--help'])\n"
        "except SystemExit as end: assert end.code == 0\n"
        "assert not {'torch', 'stable_baselines3', 'gymnasium'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, stdout=subprocess.DEVNULL, timeout=60)
