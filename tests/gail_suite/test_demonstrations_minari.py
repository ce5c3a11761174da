"""Minari's data sets: what is in them is read, and what a stranger wrote into one is not run."""

import json
import sys

import numpy as np
import pytest

from benchmarks.reliability.samples import write_minari
from gail_suite.demonstrations import Demonstrations
from gail_suite.errors import InputError


@pytest.mark.parametrize("source", ["minari:some-v0", "D4RL/door/human-v2"])
def test_minari_is_asked_for_when_it_is_missing(source, monkeypatch):
    monkeypatch.setitem(sys.modules, "minari", None)
    with pytest.raises(InputError, match=r"minari is not installed; pip install 'minari\[hdf5\]'"):
        Demonstrations.load(source)


@pytest.fixture
def data_set(tmp_path, monkeypatch):
    pytest.importorskip("minari", reason="minari is not installed: pip install 'minari[hdf5]'")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    return write_minari(tmp_path)


def change(data_set, **fields):
    """Those of the record; None takes one out."""
    path = data_set / "data" / "metadata.json"
    record = json.loads(path.read_text()) | fields
    path.write_text(json.dumps({name: value for name, value in record.items() if value is not None}))


def test_its_episodes_are_read(data_set):
    import h5py

    demos = Demonstrations.load(f"minari:{data_set.name}", env_id="Hopper-v4")
    assert demos.provenance.lengths == (10, 20)
    assert demos.provenance.complete == (True, True)
    assert demos.provenance.returns == (10.0, 20.0)
    assert demos.terminated.nonzero()[0].tolist() == [9]  # the second one ran out of time
    with h5py.File(data_set / "data" / "main_data.hdf5") as file:
        observations = file["episode_1"]["observations"][:]
    np.testing.assert_array_equal(demos.obs[10:], observations[:-1].astype(demos.obs.dtype))
    np.testing.assert_array_equal(demos.next_obs[10:], observations[1:].astype(demos.obs.dtype))


def test_a_function_named_in_a_record_is_not_called(data_set, tmp_path):
    """Minari makes the environment where the record has no spaces, and that calls its entry point."""
    ran = tmp_path / "ran"
    spec = {"id": "Foo-v0", "entry_point": "os:mkdir", "kwargs": {"path": str(ran)}, "additional_wrappers": []}
    change(data_set, env_spec=json.dumps(spec), observation_space=None)
    with pytest.raises(InputError, match=r"has no observation_space\); see: minari show"):
        Demonstrations.load(f"minari:{data_set.name}")
    assert not ran.exists()


@pytest.mark.parametrize("promised", [2**31, 0, -1, True, "2", [2]])
def test_promises_that_its_bytes_cannot_keep_are_refused(data_set, promised):
    change(data_set, total_episodes=promised)
    with pytest.raises(InputError, match=r"it promises .* episodes in [\d,]+ bytes"):
        Demonstrations.load(f"minari:{data_set.name}")


def test_what_is_not_there_or_damaged_is_a_line(data_set):
    with pytest.raises(InputError, match="is not on this machine; get it with: minari download other-v0"):
        Demonstrations.load("minari:other-v0")
    file = data_set / "data" / "main_data.hdf5"
    file.write_bytes(file.read_bytes()[:2000])
    with pytest.raises(InputError, match=r"^Minari's noise-v0 cannot be read \(.*\); see: minari show noise-v0$"):
        Demonstrations.load(f"minari:{data_set.name}")
