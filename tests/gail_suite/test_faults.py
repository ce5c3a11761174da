"""Faults in flight: each is counted, stops with what was sound still saved, and nothing is replaced by a zero."""

import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from gail_suite import cli, session, train
from gail_suite.config import TrainConfig
from gail_suite.errors import InputError
from gail_suite.recorder import RunRecorder
from gail_suite.replay import RelabellingReplayBuffer
from gail_suite.reward.adversarial import AdversarialReward
from gail_suite.reward.protocol import require_finite
from gail_suite.run_directory import RunDirectory
from gail_suite.scalars import Scalars
from gail_suite.trainer import GAIL
from generative_core import CriticStep
from generative_core.training.checkpoint import load_checkpoint
from tests.gail_suite.test_train_cli import FAST, demos, one_line, run

__all__ = ["demos"]  # a fixture

SAC = ["--algo", "sac", "--off-policy.n-steps", "32", "--off-policy.learning-starts", "128"]
SAC += ["--off-policy.batch-size", "16", "--off-policy.hidden", "8", "--off-policy.buffer-size", "512"]
ONE_ROUND = ["--total-env-steps", 128, "--select", "last"]


@pytest.fixture
def begun(monkeypatch, capsys, tmp_path, demos):
    """A function: starts a run, with a fault patched in from the second round on, and ends with what came of it."""

    def begin(*more: object) -> tuple[int, str, object]:
        out = tmp_path / "run"
        arguments = [*FAST, "--demos", demos, "--out", out, "--total-env-steps", 640, "--eval-every", 128, *more]
        code = run(monkeypatch, train.main, *arguments)
        return code, capsys.readouterr().err, out

    return begin


def after(n: int, sound, broken):
    """`sound` for the first n calls, then `broken`."""
    calls = []

    def call(*args, **kwargs):
        calls.append(1)
        return (sound if len(calls) <= n else broken)(*args, **kwargs)

    return call


def fault_of(out) -> dict:
    (line,) = (out / "faults.jsonl").read_text().splitlines()
    return json.loads(line)


def assert_last_is_sound(out) -> None:
    state = load_checkpoint(out / "checkpoints/last/state.safetensors")["gail"]
    for group in (state["learner"]["policy"]["policy"], state["reward_model"]["step"]["critic"]):
        assert all(torch.isfinite(tensor).all() for tensor in group.values() if tensor.is_floating_point())


@pytest.mark.parametrize("learner", [[], SAC], ids=["ppo", "sac"])
def test_rewards_that_are_infinite_stop_the_run_and_are_counted(monkeypatch, begun, learner):
    infinite = lambda self, batch: np.full(len(batch.obs), np.inf, np.float32)  # noqa: E731
    monkeypatch.setattr(AdversarialReward, "reward", after(2, AdversarialReward.reward, infinite))
    code, said, out = begun(*learner)
    assert code == 1
    assert "are not finite" in said
    assert str(out / "checkpoints/last") in said
    assert "rewards" in fault_of(out)["fault"]
    assert_last_is_sound(out)


def test_a_critic_whose_loss_turns_nan_stops_the_run(monkeypatch, begun):
    sound = CriticStep.__call__

    def broken(self, x, x_model):
        return sound(self, x * torch.nan, x_model)

    monkeypatch.setattr(CriticStep, "__call__", after(4, sound, broken))
    code, said, out = begun()
    assert code == 1
    assert "the critic's loss" in said
    assert fault_of(out)["env_steps"] > 0
    assert_last_is_sound(out)


def test_metrics_of_a_reward_model_that_are_nan_stop_the_run(monkeypatch, begun):
    sound = AdversarialReward.update
    monkeypatch.setattr(AdversarialReward, "update", after(1, sound, lambda *a: sound(*a) | {"odd": float("nan")}))
    code, said, _ = begun()
    assert code == 1
    assert "the reward model's odd is nan" in said


def test_networks_that_have_become_nan_do_not_take_the_place_of_sound_ones(monkeypatch, begun):
    sound = RunRecorder.save

    def broken(self):
        with torch.no_grad():
            next(self.gail.reward_model.critic.parameters()).fill_(torch.nan)
        sound(self)

    monkeypatch.setattr(RunRecorder, "save", after(2, sound, broken))
    code, said, out = begun()
    assert code == 1
    assert "has become NaN" in said
    assert_last_is_sound(out)


@pytest.mark.parametrize("learner", [[], SAC], ids=["ppo", "sac"])
def test_a_simulation_that_shows_nan_stops_the_run(monkeypatch, begun, learner):
    import envs

    sound = envs.BatchedMujocoVecEnv.step_wait

    def broken(self):
        obs, *rest = sound(self)
        return np.where(np.arange(obs.shape[1]) == 3, np.nan, obs) if self.num_envs == 4 else obs, *rest

    monkeypatch.setattr(envs.BatchedMujocoVecEnv, "step_wait", after(100, sound, broken))
    code, said, out = begun(*learner, "--reward", "constant")
    assert code == 1
    assert "numbers observed are not finite" in said
    assert fault_of(out)


@pytest.mark.parametrize(("number", "remedy"), [(errno.ENOSPC, "free some space"), (errno.EROFS, "can be written")])
def test_a_disk_that_refuses_leaves_the_old_checkpoint_and_a_resume_goes_on(monkeypatch, capsys, begun, number, remedy):
    def refuse(descriptor):
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(RunRecorder, "save", after(2, RunRecorder.save, _with_fsync(patch, refuse)))
        code, said, out = begun()
    assert code == 2
    errors = [line for line in said.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert remedy in errors[0]
    assert str(out / "checkpoints/last/state.safetensors") in errors[0]
    assert not list(out.rglob(".*tmp*"))
    saved = load_checkpoint(out / "checkpoints/last/state.safetensors")["gail"]["env_steps"]
    assert saved == 128
    assert run(monkeypatch, train.main, "--resume", out) == 0
    assert json.loads((out / "evaluation.json").read_text())["faults"] == 1


def _with_fsync(patch, fsync):
    sound = RunRecorder.save

    def save(self):
        patch.setattr(os, "fsync", fsync)
        sound(self)

    return save


def refuse(patch, *names: str) -> None:
    """The disk takes no file whose path ends in one of these."""
    sound = os.replace

    def replace(source, target):
        if str(target).endswith(names):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sound(source, target)

    patch.setattr(os, "replace", replace)


@pytest.mark.parametrize("name", ["behavioural_cloning/policy.safetensors", "policy.zip", "evaluation.json"])
def test_a_full_disk_before_and_after_the_training_is_counted_and_made_up_for(monkeypatch, begun, name):
    with monkeypatch.context() as patch:
        refuse(patch, name)
        code, said, out = begun(*ONE_ROUND)
    assert code == 2
    assert f"error: {out}/" in said
    assert f"{name}: No space left on device; free some space" in said
    assert "No space left" in fault_of(out)["fault"]
    assert not list(out.rglob(".*tmp*"))
    assert not (out / "evaluation.json").exists()
    assert run(monkeypatch, train.main, "--resume", out) == 0
    assert json.loads((out / "evaluation.json").read_text())["faults"] == 1


def test_a_full_disk_at_the_start_leaves_no_run(monkeypatch, begun):
    with monkeypatch.context() as patch:
        refuse(patch, "config.json")
        code, said, out = begun()
    assert code == 2
    assert f"error: {out}/config.json: No space left on device" in said
    with pytest.raises(InputError, match="is not the folder of a run"):
        RunDirectory.open(out)


def test_a_fault_of_the_control_is_counted_in_the_run_with_the_steps_of_the_control(monkeypatch, begun):
    with monkeypatch.context() as patch:
        refuse(patch, "constant_reward/checkpoints/last/state.safetensors")
        code, said, out = begun(*ONE_ROUND, "--controls")
    assert code == 2
    assert "No space left" in said
    assert fault_of(out)["env_steps"] == 0  # its first look, where the run itself has made all its steps


def test_cloning_that_is_not_finite_is_counted(monkeypatch, begun):
    def lost(self):
        raise FloatingPointError("the cloning loss is not finite")

    monkeypatch.setattr(GAIL, "warm_start", lost)
    code, said, out = begun()
    assert code == 1
    assert "the cloning loss is not finite" in said
    assert "nothing is saved yet" in said
    assert fault_of(out) == {"env_steps": 0, "fault": "FloatingPointError: the cloning loss is not finite"}


def test_episodes_that_diverged_are_in_the_curve_and_in_the_evaluation(monkeypatch, begun):
    import envs

    sound = envs.BatchedMujocoVecEnv.step_wait

    def diverging(self):
        self.n_diverged = 3
        return sound(self)

    monkeypatch.setattr(envs.BatchedMujocoVecEnv, "step_wait", diverging)
    code, _, out = begun(*ONE_ROUND)
    assert code == 0
    assert RunDirectory.open(out).metrics()[-1]["rollout/diverged_episodes"] == 3
    assert json.loads((out / "evaluation.json").read_text())["diverged_episodes"] == 3


needs_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")


@needs_full
def test_a_log_that_a_full_disk_does_not_take_is_named(tmp_path):
    (tmp_path / "metrics.jsonl").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left") as caught:
        RunDirectory(tmp_path).append_metrics({"env_steps": 1})
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(tmp_path / "metrics.jsonl"))

    scalars = Scalars(tmp_path / "tensorboard")
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, scalars._file.fileno())
    os.close(full)
    with pytest.raises(OSError, match="No space left") as caught:
        scalars.add({"x": 1.0}, 1)
    assert "events.out.tfevents" in caught.value.filename


@needs_full
def test_a_fault_that_cannot_be_noted_is_told_all_the_same(tmp_path):
    (tmp_path / "faults.jsonl").symlink_to("/dev/full")

    class Learner:
        env_steps = 7

    with pytest.raises(FloatingPointError, match="lost"), session._noting_faults(Learner(), RunDirectory(tmp_path)):
        raise FloatingPointError("lost")


@pytest.mark.parametrize(
    "error", [torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to\nallocate"), MemoryError()]
)
def test_no_memory_is_one_line_with_the_remedy(monkeypatch, begun, error):
    def full(self, *args):
        raise error

    monkeypatch.setattr(CriticStep, "__call__", after(4, CriticStep.__call__, full))
    code, said, out = begun()
    assert code == 2
    (line,) = [line for line in said.splitlines() if line.startswith("error: ")]
    assert "not enough memory" in line
    assert "smaller batches" in line
    assert "Memory" in fault_of(out)["fault"]
    assert_last_is_sound(out)


def raised(error):
    raise error


@pytest.mark.parametrize(
    "full",
    [
        lambda: np.empty(1 << 60, np.uint8),
        lambda: torch.empty(1 << 60, dtype=torch.uint8),  # a RuntimeError of the processor's allocator
        lambda: raised(RuntimeError("std::bad_alloc")),
        lambda: raised(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`")),
        lambda: raised(OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))),
    ],
    ids=["numpy", "torch", "bad_alloc", "cublas", "system"],
)
def test_no_memory_of_a_verb_is_one_line(monkeypatch, capsys, full):
    assert run(monkeypatch, full) == cli.EXIT_BAD_INPUT
    assert "not enough memory" in one_line(capsys.readouterr())


def test_other_errors_of_torch_keep_their_traceback(monkeypatch):
    with pytest.raises(RuntimeError, match="shapes"):
        run(monkeypatch, lambda: raised(RuntimeError("shapes of the memory cannot be multiplied")))


def test_numbers_that_are_not_finite_end_any_verb_with_one_line(monkeypatch, capsys):
    assert run(monkeypatch, lambda: raised(FloatingPointError("2 of 2 returns\nare not finite"))) == 1
    assert "2 of 2 returns are not finite" in one_line(capsys.readouterr())


@pytest.mark.parametrize(("number", "remedy"), [(errno.EACCES, "you may read and write"), (errno.EROFS, "be written")])
def test_a_folder_that_cannot_be_written_is_told_at_the_start_and_at_the_resume(
    monkeypatch, capsys, tmp_path, begun, number, remedy
):
    def refused(self, *args, **kwargs):
        raise OSError(number, os.strerror(number), str(self))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "mkdir", refused)
        code, said, out = begun()
    assert code == 2
    assert said.startswith(f"error: {out}: ")
    assert remedy in said
    assert not out.exists()
    RunDirectory.create(TrainConfig(env="Hopper-v4", out=str(out))).unlock()
    monkeypatch.setattr(RunDirectory, "lock", lambda self: refused(self.path / ".lock"))
    assert run(monkeypatch, train.main, "--resume", out) == 2
    assert remedy in one_line(capsys.readouterr())


def test_what_is_not_finite_is_counted():
    require_finite(np.ones(3), "values")
    with pytest.raises(FloatingPointError, match="2 of 1,000 values are not finite"):
        require_finite(np.r_[np.ones(998), np.nan, -np.inf], "values")


@pytest.mark.parametrize("first", [True, False])
def test_the_replay_buffer_takes_no_nan(first):
    buffer = object.__new__(RelabellingReplayBuffer)  # it is refused before anything of it is needed
    sound, bad = np.zeros((1, 2)), np.array([[0.0, np.nan]])
    with pytest.raises(FloatingPointError, match="1 of 2 numbers observed"):
        buffer.add(*(bad, sound) if first else (sound, bad), None, None, None, [])
