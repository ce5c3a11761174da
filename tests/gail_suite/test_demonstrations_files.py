"""Files of other people: their layouts, and everything that can be wrong with them."""

import json
import os
import pickle
import zipfile

import numpy as np
import pytest

from gail_suite.demonstrations import Demonstrations, archive
from gail_suite.errors import InputError
from tests.gail_suite import toy_envs
from tests.gail_suite.test_demonstrations import make

STEPS = np.arange(10, dtype=np.float64)
OBS, ACTS = np.stack([STEPS, STEPS], axis=1), -STEPS[:, None] / 10
DONES = np.isin(STEPS, [3, 9])
FLAT = {"observations": OBS, "actions": ACTS, "rewards": STEPS}
D4RL = {**FLAT, "terminals": STEPS == 3, "timeouts": STEPS == 9}


class Payload:
    """Unpickling it makes a folder."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.fixture
def npz(tmp_path):
    def write(**arrays):
        path = tmp_path / "theirs.npz"
        np.savez(path, **arrays)
        return path

    return write


# -- layouts -----------------------------------------------------------------------------------------------------------


def test_d4rl_with_successors_keeps_every_step(npz):
    demos = Demonstrations.load(npz(**D4RL, next_observations=OBS + 1))
    assert demos.provenance.lengths == (4, 6)
    assert demos.provenance.returns == (6.0, 39.0)
    assert np.flatnonzero(demos.terminated).tolist() == [3]
    np.testing.assert_array_equal(demos.next_obs, OBS + 1)
    np.testing.assert_array_equal(demos.rewards, STEPS)


@pytest.mark.parametrize(
    "ends",
    [
        {"terminals": DONES, "timeouts": np.zeros(10, bool)},
        {"dones": DONES},
        {"episode_starts": np.isin(STEPS, [0, 4])},
        {"episode_lengths": np.array([4, 6])},
    ],
    ids=lambda ends: next(iter(ends)),
)
def test_without_successors_the_next_row_is_used_and_never_one_of_another_episode(npz, ends):
    demos = Demonstrations.load(npz(obs=OBS, acts=ACTS, **ends))
    assert demos.provenance.lengths == (4, 6)
    np.testing.assert_array_equal(demos.obs[:, 0], [0, 1, 2, 4, 5, 6, 7, 8])
    np.testing.assert_array_equal(demos.next_obs, demos.obs + 1)
    np.testing.assert_array_equal(demos.episode, [0, 0, 0, 1, 1, 1, 1, 1])
    np.testing.assert_allclose(demos.acts[:, 0], -demos.obs[:, 0] / 10)
    assert demos.returns is None


def test_stacked_episodes_with_and_without_the_last_observation(npz):
    obs, acts = np.random.default_rng(0).normal(size=(3, 6, 2)), np.zeros((3, 5, 1))
    with_last = Demonstrations.load(npz(obs=obs, acts=acts, rews=np.ones((3, 5))))
    assert with_last.provenance.lengths == (5, 5, 5)
    np.testing.assert_array_equal(with_last.next_obs[:5], obs[0, 1:].astype(np.float32))
    without = Demonstrations.load(npz(obs=obs[:, :5], acts=acts))
    assert (without.provenance.lengths, len(without)) == ((5, 5, 5), 12)
    padded = Demonstrations.load(npz(obs=obs, acts=acts, lengths=np.array([5, 2, 3])))
    assert padded.provenance.lengths == (5, 2, 3)
    np.testing.assert_array_equal(padded.next_obs[5:7], obs[1, 1:3].astype(np.float32))


def test_states_alone_are_enough(npz):
    demos = Demonstrations.load(npz(observations=OBS, dones=DONES))
    assert (demos.act_size, len(demos), demos.provenance.lengths) == (0, 8, (3, 5))


def test_the_time_limit_tells_a_time_out_from_an_end(npz):
    n = toy_envs.LIMIT + 5
    rows = {"obs": np.ones((n, 2)), "next_obs": np.ones((n, 2)), "acts": np.ones((n, 1))}
    path = npz(**rows, dones=np.isin(np.arange(n), [toy_envs.LIMIT - 1, n - 1]))
    assert np.flatnonzero(Demonstrations.load(path, env_id="Endless-v0").terminated).tolist() == [n - 1]
    with pytest.raises(InputError, match="45 steps without an end, the task stops at 40; add timeouts"):
        Demonstrations.load(npz(**rows, dones=np.arange(n) == n - 1), env_id="Endless-v0")


def test_a_recording_cut_in_the_middle_is_said_to_be_incomplete(npz):
    demos = Demonstrations.load(npz(obs=OBS, acts=ACTS, dones=np.arange(10) == 3))
    assert demos.provenance.complete == (True, False)
    assert not demos.terminated.any()


def test_integer_actions_become_one_hot(npz):
    path = npz(obs=OBS, acts=np.arange(10) % 2, dones=DONES)
    assert Demonstrations.load(path).acts.shape == (8, 2)
    demos = Demonstrations.load(path, env_id="CountingChoice-v0")  # has three choices
    np.testing.assert_array_equal(demos.acts[:2], [[1, 0, 0], [0, 1, 0]])
    assert demos.provenance.one_hot_actions
    with pytest.raises(InputError, match="has the action 3, the task has 3 choices; number them 0 to 2"):
        Demonstrations.load(npz(obs=OBS, acts=np.arange(10) % 6, dones=DONES), env_id="CountingChoice-v0")


def test_the_first_episodes_are_taken(npz):
    path = npz(**D4RL)
    assert Demonstrations.load(path, n_episodes=1).n_episodes == 1
    assert Demonstrations.load(path, n_episodes=99).n_episodes == 2
    with pytest.raises(InputError, match="ask for 1 or more"):
        Demonstrations.load(path, n_episodes=0)


# -- refusals ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"acts": ACTS}, "has no observations, only acts; name them"),
        ({"obs": OBS, "acts": ACTS}, "does not say where its episodes end; add dones"),
        ({**D4RL, "actions": ACTS[:7]}, "has 10 obs but 7 acts"),
        ({**D4RL, "rewards": np.append(STEPS[:9], np.nan)}, "1 NaN or infinite values in its rewards"),
        ({**D4RL, "observations": OBS * 1e300}, "infinite values in its observations"),
        ({**D4RL, "observations": OBS.astype(str)}, "the observations of .* not numbers"),
        ({**D4RL, "observations": STEPS}, "observations of one dimension"),
        ({**D4RL, "observations": np.zeros((10, 4, 4, 3), np.uint8)}, r"uint8 observations of shape \(4, 4, 3\)"),
        ({**D4RL, "actions": np.zeros((10, 2, 2))}, "actions of one dimension"),
        ({**D4RL, "next_observations": OBS[:, :1]}, "make them fit"),
        ({"obs": OBS, "episode_lengths": [4, 9]}, "add up to 13 for 10 steps"),
        ({"obs": OBS[None], "lengths": [99]}, "episode lengths up to 99"),
        ({"obs": OBS[None], "acts": ACTS[None, :4]}, "make them fit"),
        ({"obs": OBS[:0], "dones": DONES[:0]}, "holds no transitions"),
        ({"obs": OBS[:1], "dones": DONES[:1]}, "holds no transitions"),
    ],
)
def test_bad_arrays_are_refused_with_the_mend(npz, arrays, message):
    path = npz(**arrays)
    with pytest.raises(InputError, match=message) as caught:
        Demonstrations.load(path)
    assert "theirs.npz" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_pickle_is_opened(tmp_path, npz):
    evil = np.empty(1, object)
    evil[0] = Payload(tmp_path / "ran")
    with pytest.raises(InputError, match="holds Python objects in 'obs', which may run a stranger's code"):
        Demonstrations.load(npz(obs=evil, dones=[True]))
    assert Demonstrations.load(npz(**D4RL, infos=evil)).n_episodes == 2  # a key that nobody asks for
    plain = tmp_path / "theirs.pkl"
    plain.write_bytes(pickle.dumps(Payload(tmp_path / "ran")))
    with pytest.raises(InputError, match="is a pickle, which may run a stranger's code; save arrays with"):
        Demonstrations.load(plain)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is an empty file"),
        (b"obs,acts\n1,2\n", "is not an .npz file"),
        (b"PK\x03\x04 and no more", "truncated or damaged"),
        (b"\x93NUMPY\x01\x00", "is one .npy array"),
        (b"\x89HDF\r\n\x1a\n", "is HDF5"),
    ],
)
def test_other_files_are_refused_by_name(tmp_path, content, message):
    path = tmp_path / "f.npz"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        Demonstrations.load(path)


def test_a_truncated_and_a_flipped_file_are_refused(tmp_path):
    whole = tmp_path / "d.npz"
    make((50,)).save(whole)
    content = bytearray(whole.read_bytes())
    (tmp_path / "cut.npz").write_bytes(content[: len(content) // 2])
    content[len(content) // 3] ^= 1
    (tmp_path / "flipped.npz").write_bytes(content)
    for name in ("cut", "flipped"):
        with pytest.raises(InputError, match=f"{name}.npz is .*damaged"):
            Demonstrations.load(tmp_path / f"{name}.npz")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"obs": np.zeros((8, 3), np.float32)}, "its arrays do not match its checksum"),
        ({"obs": np.zeros((8, 3))}, "obs has shape .* float64"),
        ({"acts": np.zeros((5, 2), np.float32)}, r"acts has shape \(5, 2\)"),
        ({"episode": np.arange(8)}, "episode index does not run over 0 .. 1"),
        ({"provenance": np.array("{}")}, "was not written by this version"),
        ({"provenance": np.array("no json")}, "was not written by this version"),
    ],
)
def test_our_own_file_is_checked(tmp_path, change, message):
    path = tmp_path / "d.npz"
    make((5, 3)).save(path)
    with np.load(path) as arrays:
        changed = {**arrays, **change}
    np.savez(path, **changed)
    with pytest.raises(InputError, match=message):
        Demonstrations.load(path)


def test_a_zip_bomb_is_not_unpacked(tmp_path, monkeypatch):
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bomb, bomb.open("obs.npy", "w") as member:
        for _ in range(300):
            member.write(bytes(1 << 20))
    with pytest.raises(InputError, match=r"would unpack from .* to 314,572,800 bytes"):
        Demonstrations.load(path)
    monkeypatch.setattr(archive, "MAX_BYTES", 500)
    np.savez(tmp_path / "large.npz", **D4RL)
    with pytest.raises(InputError, match="more than such files do"):
        Demonstrations.load(tmp_path / "large.npz")


def test_a_header_that_promises_too_much_takes_no_memory(tmp_path):
    path = tmp_path / "liar.npz"
    header = {"descr": "<f4", "fortran_order": False, "shape": (1 << 40, 4)}
    with zipfile.ZipFile(path, "w") as liar, liar.open("obs.npy", "w") as member:
        np.lib.format.write_array_header_1_0(member, header)
    with pytest.raises(InputError, match=r"is damaged: obs cannot be read .its header declares shape"):
        Demonstrations.load(path)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nothing here", "no demonstrations called 'nothing here'; give an environment id"),
        ("missing.npz", "there is no file missing.npz"),
        (
            "Nowhere-v4",
            "no expert for Nowhere-v4 .only for Ant-v4, .*; .* gail_suite.expert --env Nowhere-v4",
        ),
        ("missing.zip", "there is no file missing.zip"),
    ],
)
def test_sources_that_are_not_there(source, message, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    with pytest.raises(InputError, match=message):
        Demonstrations.load(source)


def test_another_task_is_refused(tmp_path):
    make((5,), env_id="Ant-v4").save(tmp_path / "d.npz")
    with pytest.raises(InputError, match="was recorded in Ant-v4, not in Humanoid-v4"):
        Demonstrations.load(tmp_path / "d.npz", env_id="Humanoid-v4")


# -- other libraries ---------------------------------------------------------------------------------------------------


def imitation_trajectory(n_steps: int, terminal: bool, acts=None):
    from imitation.data.types import TrajectoryWithRew

    steps = np.arange(n_steps + 1, dtype=np.float64)
    return TrajectoryWithRew(
        obs=np.stack([steps, steps], axis=1),
        acts=np.full((n_steps, 1), 0.5, np.float32) if acts is None else acts,
        infos=np.array([{"a": 1}] * n_steps),
        terminal=terminal,
        rews=np.ones(n_steps),
    )


def save_imitation(path, *trajectories):
    from imitation.data import serialize

    serialize.save(path, trajectories)
    return path


def test_an_imitation_folder_is_read(tmp_path):
    path = save_imitation(tmp_path / "t", imitation_trajectory(4, True), imitation_trajectory(3, False))
    demos = Demonstrations.load(path)
    assert demos.provenance.lengths == (4, 3)
    assert demos.provenance.complete == (True, False)
    assert demos.provenance.returns == (4.0, 3.0)
    assert np.flatnonzero(demos.terminated).tolist() == [3]
    np.testing.assert_array_equal(demos.next_obs[:, 0], [1, 2, 3, 4, 1, 2, 3])
    discrete = save_imitation(tmp_path / "d", imitation_trajectory(3, True, acts=np.array([0, 2, 1])))
    np.testing.assert_array_equal(Demonstrations.load(discrete, env_id="CountingChoice-v0").acts[1], [0, 0, 1])
    limit = save_imitation(tmp_path / "l", imitation_trajectory(toy_envs.LIMIT, True))
    assert not Demonstrations.load(limit, env_id="Endless-v0").terminated.any()  # imitation calls time-outs terminal


def test_the_infos_of_an_imitation_folder_are_never_decoded(tmp_path):
    import pyarrow as pa

    folder, ran = tmp_path / "t", tmp_path / "ran"
    save_imitation(folder, imitation_trajectory(2, True))
    (file,) = folder.glob("*.arrow")
    table = pa.ipc.open_stream(file.read_bytes()).read_all()
    order = json.dumps({"py/reduce": [{"py/function": "os.mkdir"}, {"py/tuple": [str(ran)]}]})
    column = pa.array([[order, order]])
    table = table.set_column(table.column_names.index("infos"), "infos", column)
    with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    assert len(Demonstrations.load(folder)) == 2
    assert not ran.exists()
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(InputError, match="is damaged"):
        Demonstrations.load(folder)
    file.unlink()
    with pytest.raises(InputError, match="is damaged"):
        Demonstrations.load(folder)
    with pytest.raises(InputError, match=r"has no state\.json"):
        Demonstrations.load(tmp_path)
