"""Experts and policies: exact folding, files without pickles, and the cache of what they demonstrated."""

import base64
import json
import os
import pickle
import zipfile

import numpy as np
import pytest
import torch
from stable_baselines3 import A2C, DQN, PPO, SAC, TD3
from torch import nn

import envs
from gail_suite.demonstrations import Demonstrations
from gail_suite.demonstrations.cache import cache_path
from gail_suite.demonstrations.experts import available_experts, expert_card, load_expert, save_expert, user_folder
from gail_suite.errors import InputError
from gail_suite.policies import fold_normaliser, plain_policy, read_sb3_zip


@pytest.fixture(autouse=True)
def own_home(monkeypatch, tmp_path):
    """No expert and no cache of the person who runs the tests."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def task(env_id: str):
    venv = envs.make_venv(env_id, 1, None)
    venv.close()
    return venv.observation_space, venv.action_space


# -- policies ----------------------------------------------------------------------------------------------------------


def test_folding_a_normaliser_is_exact():
    rng = np.random.default_rng(0)
    weight, bias, x = rng.normal(size=(5, 7)), rng.normal(size=5), rng.normal(size=(100, 7))
    shift, scale = rng.normal(size=7) * 10, rng.uniform(0.01, 100, 7)
    folded, offset = fold_normaliser(weight, bias, scale, shift)
    np.testing.assert_allclose(x @ folded.T + offset, ((x - shift) * scale) @ weight.T + bias, rtol=1e-12, atol=1e-10)


def test_a_scale_of_zero_drops_the_input():
    weight, bias = np.ones((2, 3), np.float32), np.zeros(2, np.float32)
    folded, offset = fold_normaliser(weight, bias, np.array([1.0, 0.0, 2.0]), np.array([0.0, 1e9, 0.5]))
    assert folded.dtype == offset.dtype == np.float64
    np.testing.assert_array_equal(folded, [[1, 0, 2], [1, 0, 2]])
    np.testing.assert_array_equal(offset, [-1, -1])


def test_a_plain_policy_has_nothing_of_ours():
    policy = plain_policy(*task("Ant-v4"), hidden=[8, 4], activation=nn.ELU, value_hidden=[6])
    assert {type(module).__module__.split(".")[0] for module in policy.modules()} == {"torch", "stable_baselines3"}
    assert [m.out_features for m in policy.mlp_extractor.value_net if isinstance(m, nn.Linear)] == [6]


SMALL = {"net_arch": {"pi": [6, 5], "qf": [4]}, "activation_fn": nn.ELU}
MODELS = {
    "ppo": lambda: PPO("MlpPolicy", "Pendulum-v1", policy_kwargs={**SMALL, "net_arch": {"pi": [6, 5], "vf": [4]}}),
    "a2c": lambda: A2C("MlpPolicy", "CartPole-v1"),
    "sac": lambda: SAC("MlpPolicy", "Pendulum-v1", policy_kwargs={**SMALL, "n_critics": 3}, buffer_size=9),
    "td3": lambda: TD3("MlpPolicy", "Pendulum-v1", policy_kwargs=SMALL, buffer_size=9),
}


@pytest.mark.parametrize("name", MODELS)
def test_an_sb3_file_gives_the_same_actions_as_sb3(name, tmp_path):
    model = MODELS[name]()
    model.save(tmp_path / "m.zip")
    before = torch.get_rng_state()
    policy = read_sb3_zip(tmp_path / "m.zip", model.observation_space, model.action_space)
    assert torch.equal(torch.get_rng_state(), before)
    obs = np.stack([model.observation_space.sample() for _ in range(20)])
    np.testing.assert_array_equal(policy.predict(obs, deterministic=True)[0], model.predict(obs, deterministic=True)[0])
    assert policy.state_dict().keys() == model.policy.state_dict().keys()


def test_an_sb3_file_is_rolled_out(tmp_path):
    MODELS["a2c"]().save(tmp_path / "m.zip")
    demos = Demonstrations.load(tmp_path / "m.zip", env_id="CartPole-v1", n_episodes=3)
    assert (demos.n_episodes, demos.act_size, demos.provenance.env_id) == (3, 2, "CartPole-v1")
    with pytest.raises(InputError, match="does not say for which task"):
        Demonstrations.load(tmp_path / "m.zip")


def rewrite(path, **members):
    """The zip file with some of its members replaced."""
    with zipfile.ZipFile(path) as old:
        content = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(path, "w") as new:
        for name, data in {**content, **members}.items():
            new.writestr(name, data)


class Payload:
    """Unpickling it makes a folder."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_no_pickle_of_an_sb3_file_is_opened(tmp_path):
    path, ran = tmp_path / "m.zip", tmp_path / "ran"
    MODELS["a2c"]().save(path)
    with zipfile.ZipFile(path) as archive:
        data = json.loads(archive.read("data"))
    evil = base64.b64encode(pickle.dumps(Payload(ran))).decode()
    for value in data.values():
        if isinstance(value, dict) and ":serialized:" in value:
            value[":serialized:"] = evil
    rewrite(path, data=json.dumps(data))
    read_sb3_zip(path, *task("CartPole-v1"))
    assert not ran.exists()
    torch.save({"action_net.weight": Payload(ran)}, tmp_path / "evil.pth")
    rewrite(path, **{"policy.pth": (tmp_path / "evil.pth").read_bytes()})
    with pytest.raises(InputError, match="cannot be read as an SB3 policy") as caught:
        read_sb3_zip(path, *task("CartPole-v1"))
    assert "\n" not in str(caught.value)
    assert not ran.exists()


def test_other_policies_are_refused_by_name(tmp_path):
    cases = {
        "has q_net": DQN("MlpPolicy", "CartPole-v1", buffer_size=9),
        "use_sde": PPO("MlpPolicy", "Pendulum-v1", use_sde=True),
    }
    for message, model in cases.items():
        model.save(tmp_path / "m.zip")
        with pytest.raises(InputError, match=f"m.zip is not a plain MlpPolicy .*{message}"):
            read_sb3_zip(tmp_path / "m.zip", model.observation_space, model.action_space)


def test_an_sb3_file_that_does_not_fit_is_refused(tmp_path):
    path = tmp_path / "m.zip"
    MODELS["ppo"]().save(path)
    with pytest.raises(InputError, match="maps 3 observations to 1 actions, the task has 27 and 8"):
        read_sb3_zip(path, *task("Ant-v4"))
    with zipfile.ZipFile(path) as archive:
        data = json.loads(archive.read("data"))
    data["policy_kwargs"]["activation_fn"] = "<class 'os.system'>"
    rewrite(path, data=json.dumps(data))
    with pytest.raises(InputError, match=r"has the activation <class 'os\.system'>"):
        read_sb3_zip(path, *task("Pendulum-v1"))
    data["policy_class"]["__module__"] = "their.own"
    rewrite(path, data=json.dumps(data))
    with pytest.raises(InputError, match=r"its class is from their\.own"):
        read_sb3_zip(path, *task("Pendulum-v1"))
    for content in (b"", b"PK no zip"):
        path.write_bytes(content)
        with pytest.raises(InputError, match="cannot be read as an SB3 policy"):
            read_sb3_zip(path, *task("Pendulum-v1"))


# -- experts -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("env_id", "n_obs", "n_acts"), [("Ant-v4", 27, 8), ("Humanoid-v4", 376, 17)])
def test_the_bundled_experts_do_what_their_cards_say(env_id, n_obs, n_acts):
    card, policy = expert_card(env_id), load_expert(env_id)
    assert (card["obs_size"], card["act_size"], card["hidden"]) == (n_obs, n_acts, [256, 128, 64])
    assert isinstance(policy.mlp_extractor.policy_net[1], nn.ELU)
    assert available_experts()[env_id].stat().st_size < 2 << 20
    demos = Demonstrations.load(env_id, n_episodes=2, seed=2)
    assert demos.returns is not None
    assert demos.returns.max > 0.8 * card["returns"]["stochastic"]["return_median"]


def test_the_humanoid_expert_ignores_inputs_that_never_change():
    first = load_expert("Humanoid-v4").mlp_extractor.policy_net[0].get_parameter("weight")
    constant = Demonstrations.load("Humanoid-v4", n_episodes=2, seed=2).obs.std(axis=0) < 1e-5
    assert constant.sum() >= 41
    assert not first[:, torch.from_numpy(constant)].any()


def test_an_expert_of_ones_own_is_kept_and_does_not_hide_a_bundled_one():
    policy = plain_policy(*task("CartPole-v1"), hidden=[6, 5], activation=nn.Tanh)
    path = save_expert(user_folder(), "CartPole-v1", policy, {"command": "mine"})
    assert available_experts()["CartPole-v1"] == path
    assert expert_card("CartPole-v1")["command"] == "mine"
    obs = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    again = load_expert("CartPole-v1")
    np.testing.assert_array_equal(again.predict(obs, deterministic=True)[0], policy.predict(obs, deterministic=True)[0])
    assert not again.predict_values(torch.from_numpy(obs)).any()
    save_expert(user_folder(), "Ant-v4", plain_policy(*task("Ant-v4"), hidden=[3], activation=nn.ReLU))
    assert expert_card("Ant-v4")["hidden"] == [256, 128, 64]
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(
        InputError, match=r"CartPole-v1.safetensors cannot be read .*gail_suite.expert --env CartPole-v1"
    ):
        load_expert("CartPole-v1")


def test_demonstrations_are_rolled_out_once_and_a_damaged_cache_is_mended(capsys):
    policy = plain_policy(*task("CartPole-v1"), hidden=[4], activation=nn.Tanh)
    save_expert(user_folder(), "CartPole-v1", policy)
    first = Demonstrations.load("CartPole-v1", n_episodes=3)
    path = cache_path("CartPole-v1", 3, 0)
    written = path.stat().st_mtime_ns
    assert Demonstrations.load("CartPole-v1", n_episodes=3).checksum == first.checksum
    assert path.stat().st_mtime_ns == written
    assert not capsys.readouterr().err.strip()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert Demonstrations.load("CartPole-v1", n_episodes=3).checksum == first.checksum
    notice = capsys.readouterr().err.strip() + "\n"
    assert notice.startswith("note: rolling out afresh")
    assert notice.count("\n") == 1
    assert Demonstrations.load("CartPole-v1", n_episodes=3).checksum == first.checksum
    assert not capsys.readouterr().err.strip()
    assert Demonstrations.load("CartPole-v1").n_episodes == 25


def test_a_cache_that_cannot_be_written_is_done_without(capsys, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    save_expert(user_folder(), "CartPole-v1", plain_policy(*task("CartPole-v1"), hidden=[4], activation=nn.Tanh))
    assert Demonstrations.load("CartPole-v1", n_episodes=1).n_episodes == 1
    assert "not kept for the next time" in capsys.readouterr().err
