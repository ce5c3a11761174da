"""Exported policies act as the original, in every format and of every learner; the card says what the files say."""

import re
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from gymnasium import spaces

from gail_suite import GAIL, cli, export, train
from gail_suite.config import TrainConfig
from gail_suite.errors import InputError
from gail_suite.exports import formats
from gail_suite.exports.actor import Actor, read_actor
from gail_suite.exports.card import usage
from gail_suite.exports.check import Returns, difference, real_observations
from gail_suite.learner import load_policy
from gail_suite.run_directory import RunDirectory, read_json
from tests.gail_suite.helpers import demonstrations
from tests.gail_suite.test_train_cli import FAST

HAS_ONNX = find_spec("onnx") is not None and find_spec("onnxruntime") is not None
ONNX = pytest.param("onnx", marks=pytest.mark.skipif(not HAS_ONNX, reason="needs the extra `export`"))
FORMATS = [ONNX, "sb3", "safetensors"]
LEARNERS = {
    "ppo": TrainConfig(env="Hopper-v4", algo="ppo", n_envs=2),
    "sac": TrainConfig(env="Hopper-v4", algo="sac", n_envs=2),
    "td3": TrainConfig(env="Hopper-v4", algo="td3", n_envs=2),
    "discrete": TrainConfig(env="CartPole-v1", algo="ppo", n_envs=2),
}


@pytest.fixture(scope="module", params=LEARNERS)
def learned(request, tmp_path_factory):
    """(configuration, policy, its policy.zip, 1,000 observations of the task): untrained, with loud actions."""
    config = LEARNERS[request.param]
    rng = np.random.default_rng(0)
    discrete = config.env == "CartPole-v1"
    acts = np.eye(2)[rng.integers(2, size=50)] if discrete else rng.uniform(-1, 1, (50, 3))
    small = replace(config.off_policy, buffer_size=1_000)
    demos = demonstrations(rng.normal(size=(50, 4 if discrete else 11)), acts, one_hot=discrete)
    gail = GAIL(config.env, demos, replace(config, off_policy=small))
    policy = gail.policy
    with torch.no_grad():
        last = policy.action_net if hasattr(policy, "action_net") else policy.actor.mu
        last = last[-2] if isinstance(last, torch.nn.Sequential) else last
        last.weight.mul_(50 if config.algo == "ppo" else 5)
    policy.normaliser.update(torch.as_tensor(real_observations(policy, config, 200)))
    path = tmp_path_factory.mktemp("zip") / "policy.zip"
    gail.to_sb3().save(path)
    return config, policy, path, real_observations(policy, config)


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_acts_as_the_original(learned, format, tmp_path):
    config, policy, policy_zip, observations = learned
    path = tmp_path / formats.FILES[format]
    formats.write(format, path, read_actor(policy), policy_zip)
    exported = formats.read(format, path, policy.observation_space, policy.action_space)
    assert len(observations) == 1_000
    assert difference(policy, exported, observations, policy.action_space) <= formats.TOLERANCES[format]
    actions = policy.predict(observations, deterministic=True)[0]
    assert len(np.unique(actions.round(2))) > (1 if config.env == "CartPole-v1" else 50)  # not a constant


@pytest.mark.parametrize("format", FORMATS)
def test_card_shows_code_that_computes_the_action(learned, format, tmp_path, monkeypatch):
    config, policy, policy_zip, observations = learned
    actor = read_actor(policy)
    formats.write(format, tmp_path / formats.FILES[format], actor, policy_zip)
    monkeypatch.chdir(tmp_path)
    for observation in observations[::250].astype(np.float64):
        names = {"observation": observation}
        exec(usage(format, config, actor), names)
        expected = policy.predict(observation, deterministic=True)[0]
        np.testing.assert_allclose(names["action"], expected, atol=1e-3)


def test_checkpoint_gives_the_policy_back(learned):
    config, policy, _, observations = learned
    again = load_policy(config, policy.observation_space, policy.action_space, policy.state_dict())
    assert difference(policy, again, observations, policy.action_space) == 0
    wider = replace(config, ppo=replace(config.ppo, hidden=(7,)), off_policy=replace(config.off_policy, hidden=(7,)))
    with pytest.raises(InputError, match="does not fit"):
        load_policy(wider, policy.observation_space, policy.action_space, policy.state_dict())


def linear(shift: float) -> Actor:
    """action = observation - shift, within [-1, 1]."""
    one = np.ones(1)
    return Actor(
        shift=shift * one,
        scale=one,
        layers=((np.ones((1, 1), np.float32), np.zeros(1, np.float32)),),
        activation="ReLU",
        head="clip",
        low=-one.astype(np.float32),
        high=one.astype(np.float32),
    )


@pytest.mark.parametrize("format", ["safetensors", ONNX])
def test_the_normaliser_computes_in_double_precision(format, tmp_path):
    """1e8 + 0.3 is not a float32."""
    path = tmp_path / formats.FILES[format]
    formats.write(format, path, linear(1e8), Path("unused"))
    policy = formats.read(format, path, None, None)
    observations = 1e8 + np.array([[-5.0], [-0.3], [0.3], [5.0]])
    np.testing.assert_allclose(policy.predict(observations)[0][:, 0], [-1, -0.3, 0.3, 1], atol=1e-7)


def test_differences_are_fractions_of_the_action_range():
    space = spaces.Box(-1, 1, (1,))
    assert difference(linear(0.0), linear(0.5), np.zeros((3, 1)), space) == pytest.approx(0.25)


def test_loss_is_that_of_the_pairs():
    returns = Returns(np.array([3.0, 5.0, 7.0]), np.array([2.0, 5.0, 5.0]))
    assert returns.loss == pytest.approx((1.0, 1.0 / np.sqrt(3)))


# -- the verb ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """The folder of a short run."""
    folder = tmp_path_factory.mktemp("runs")
    rng = np.random.default_rng(0)
    made = demonstrations(rng.normal(size=(100, 11)), rng.uniform(-1, 1, (100, 3)), env_id="Hopper-v4")
    made.save(folder / "hopper.npz")
    flags = [*FAST, "--demos", str(folder / "hopper.npz"), "--out", str(folder / "run"), "--total-env-steps", "256"]
    with pytest.MonkeyPatch.context() as patch:
        assert call(patch, train.main, *flags) == 0
    return folder / "run"


def call(monkeypatch, main, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["verb", *map(str, arguments)])
    with pytest.raises(SystemExit) as caught:
        cli.run_verb(main)
    return caught.value.code


@pytest.mark.parametrize("format", FORMATS)
def test_verb_writes_the_policy_and_a_card_of_the_runs_own_figures(finished, format, monkeypatch, capsys, tmp_path):
    out = tmp_path / "out"
    assert call(monkeypatch, export.main, finished, "--format", format, "--out", out, "--episodes", "2") == 0
    assert capsys.readouterr().out.strip() == str(out / formats.FILES[format])
    assert sorted(path.name for path in out.iterdir()) == sorted(["README.md", formats.FILES[format]])
    card, found = (out / "README.md").read_text(), read_json(finished / "evaluation.json")
    for row in ("policy", "last", "behavioural_cloning", "random", "expert"):
        if "return_mean" in found[row]:
            assert f"{found[row]['return_mean']:,.0f} ±" in card
    for row in ("policy", "last"):
        assert f"| {found[row]['displacement_mean']:,.1f} |" in card
    assert found["command"] in card
    assert "Not measured: constant reward" in card
    assert "- seed: 0 of training, 0 of the demonstrations" in card
    assert f"- pairs: {found['pairs']}" in card
    assert "over 2 episodes from the same starts" in card
    prose = re.sub(r"^```.*?^```$", "", card, flags=re.MULTILINE | re.DOTALL)
    assert not re.search(r"\bNone\b|\bnan\b", prose)


def test_a_file_that_acts_otherwise_is_not_left_behind(finished, monkeypatch, capsys, tmp_path):
    honest = formats.to_safetensors
    monkeypatch.setattr(formats, "to_safetensors", lambda actor: honest(replace(actor, shift=actor.shift + 0.5)))
    assert call(monkeypatch, export.main, finished, "--format", "safetensors", "--out", tmp_path) == 2
    assert "otherwise than the original" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_bad_input_is_one_line(finished, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(formats, "find_spec", lambda name: None)
    assert call(monkeypatch, export.main, finished, "--format", "onnx") == 2
    assert "generative-imitation[export]" in capsys.readouterr().err
    assert call(monkeypatch, export.main, finished, "--format", "sb3", "--episodes", "1") == 2
    assert "--episodes" in capsys.readouterr().err
    unfinished = RunDirectory.create(TrainConfig(env="Hopper-v4", out=str(tmp_path / "run")))
    unfinished.unlock()
    assert call(monkeypatch, export.main, unfinished.path, "--format", "sb3") == 2
    assert "--resume" in capsys.readouterr().err
