"""A checkpoint comes back as it was, or not at all."""

import errno
import math
import os
import struct

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors import safe_open
from torch import Tensor, nn

from generative_core import CheckpointError, load_checkpoint, save_checkpoint
from generative_core.training.checkpoint import _assemble, _Blob

NUMPY_DTYPES = [
    np.dtype(name)
    for name in (
        *("bool", "uint8", "int8", "int16", "uint16", "int32", "uint32", "int64", "uint64"),
        *("float16", "float32", "float64"),
    )
]
ARRAYS = st.sampled_from(NUMPY_DTYPES).flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3))
)
TORCH_DTYPES = [torch.bool, torch.uint8, torch.int64, torch.float16, torch.bfloat16, torch.float32, torch.float64]
TENSORS = st.builds(
    lambda dtype, shape, seed: (torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * 100).to(dtype),
    st.sampled_from(TORCH_DTYPES),
    st.lists(st.integers(0, 3), max_size=3),
    st.integers(0, 99),
)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**200), 2**200)
    | st.floats()
    | st.text(st.characters(), max_size=5)
    | ARRAYS
    | ARRAYS.filter(lambda array: array.size == 1).map(lambda array: array.reshape(-1)[0])
    | TENSORS
)
KEYS = st.text(max_size=4) | st.integers(-9, 2**70)
TREES = st.dictionaries(
    KEYS,
    st.recursive(
        LEAVES,
        lambda node: (
            st.lists(node, max_size=3) | st.lists(node, max_size=3).map(tuple) | st.dictionaries(KEYS, node, max_size=3)
        ),
        max_leaves=8,
    ),
    max_size=4,
)


def same(a: object, b: object) -> bool:
    """Equal in type, dtype, shape, order and every bit."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict) and isinstance(b, dict):
        return (
            list(a) == list(b)
            and all(type(k) is type(m) for k, m in zip(a, b, strict=True))
            and all(same(a[key], b[key]) for key in a)
        )
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        bits = (a.reshape(-1).view(torch.uint8), b.reshape(-1).view(torch.uint8))
        return a.dtype == b.dtype and a.shape == b.shape and torch.equal(*bits)
    if isinstance(a, np.ndarray | np.generic) and isinstance(b, np.ndarray | np.generic):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, float) and isinstance(b, float):
        return (math.isnan(a) and math.isnan(b)) or struct.pack("d", a) == struct.pack("d", b)
    return a == b


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tree=TREES)
def test_any_tree_comes_back_as_it_was(tree, tmp_path):
    path = tmp_path / "state.safetensors"
    save_checkpoint(path, tree)
    assert same(load_checkpoint(path), tree)


def test_random_states_come_back_as_they_were(tmp_path):
    rng = np.random.default_rng(7)
    rng.normal(size=3)
    legacy = np.random.RandomState(3).get_state(legacy=False)
    state = {"pcg64": rng.bit_generator.state, "mt19937": legacy, "torch": torch.Generator().get_state()}
    save_checkpoint(tmp_path / "s", state)
    loaded = load_checkpoint(tmp_path / "s")
    assert same(loaded, state)
    other = np.random.default_rng(0)
    other.bit_generator.state = loaded["pcg64"]
    assert other.normal() == rng.normal()


def test_restored_arrays_and_tensors_can_be_written_to(tmp_path):
    save_checkpoint(tmp_path / "s", {"array": np.zeros(3), "tensor": torch.zeros(3)})
    loaded = load_checkpoint(tmp_path / "s")
    loaded["array"][0] = 1
    loaded["tensor"][0] = 1
    assert loaded["array"].sum() == loaded["tensor"].sum() == 1


def test_views_parameters_and_transposes_are_saved_by_value(tmp_path):
    base = torch.arange(6.0).reshape(2, 3)
    parameter = nn.Parameter(base)
    save_checkpoint(tmp_path / "s", {"t": base.T, "p": parameter, "n": base.numpy()[:, ::2]})
    loaded = load_checkpoint(tmp_path / "s")
    assert torch.equal(loaded["t"], base.T)
    assert torch.equal(loaded["p"], base)
    np.testing.assert_array_equal(loaded["n"], base.numpy()[:, ::2])


def test_the_file_is_a_plain_safetensors_file(tmp_path):
    save_checkpoint(tmp_path / "s", {"net": {"weight": torch.arange(3)}, "rng": np.uint32([1, 2])})
    with safe_open(tmp_path / "s", framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  not a dict
    assert torch.equal(next(value for name, value in tensors.items() if "net.weight" in name), torch.arange(3))
    assert len(tensors) == 2


@pytest.mark.parametrize(
    ("value", "where"),
    [
        ({1, 2}, "state.a.0"),
        (nn.Linear(1, 1), "state.a.0"),
        (np.array(["text"]), "state.a.0"),
        (np.array([object()]), "state.a.0"),
        (np.zeros(2, dtype=">f8"), "state.a.0"),
        (torch.zeros(2).to_sparse(), "state.a.0"),
        (torch.zeros(2, dtype=torch.complex64), "state.a.0"),
        ({(1, 2): 3}, "state.a.0"),
        ({True: 3}, "state.a.0"),
    ],
)
def test_what_cannot_be_saved_is_refused_by_its_place_and_leaves_the_old_file(tmp_path, value, where):
    save_checkpoint(tmp_path / "s", {"old": 1})
    with pytest.raises(TypeError, match=where):
        save_checkpoint(tmp_path / "s", {"a": [value]})
    assert load_checkpoint(tmp_path / "s") == {"old": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["s"]


# Damage


@pytest.fixture
def small(tmp_path):
    """A checkpoint with a little of everything, its bytes and its path."""
    path = tmp_path / "state.safetensors"
    state = {"w": torch.tensor([1.0, 2.0]), "n": np.array([True]), 3: [1.5, 2**70, "é", None, (False,)]}
    save_checkpoint(path, state)
    return path, path.read_bytes()


def test_every_truncation_is_detected(small):
    path, content = small
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(CheckpointError, match=r"state\.safetensors is damaged"):
            load_checkpoint(path)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_flipped_bit_in_any_byte_is_detected(small, seed):
    path, content = small
    bits = np.random.default_rng(seed).integers(8, size=len(content))
    for position, bit in enumerate(bits.tolist()):
        damaged = bytearray(content)
        damaged[position] ^= 1 << bit
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError):
            load_checkpoint(path)


def test_swapped_tensors_are_detected(tmp_path):
    path = tmp_path / "s"
    save_checkpoint(path, {"a": torch.zeros(2), "b": torch.ones(2)})
    content = path.read_bytes()
    swapped = content.replace(b"[0, 8]", b"[X, 8]").replace(b"[8, 16]", b"[0, 8]").replace(b"[X, 8]", b"[8, 16]")
    assert swapped != content
    assert len(swapped) == len(content)
    path.write_bytes(swapped)
    with pytest.raises(CheckpointError, match="not where it should be"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 8,
        b"not a safetensors file at all",
        struct.pack("<Q", 2**62) + b"{}",
        struct.pack("<Q", 2) + b"{}",
        struct.pack("<Q", 2) + b"[]",
        struct.pack("<Q", 4) + b"null",
        struct.pack("<Q", 20) + b'{"__metadata__": {}}',
        struct.pack("<Q", 40) + b"[" * 40,
        struct.pack("<Q", 100_000) + b"[" * 100_000,
        os.urandom(500),
    ],
)
def test_foreign_files_are_refused_in_one_line(tmp_path, content):
    path = tmp_path / "foreign"
    path.write_bytes(content)
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "tree",
    ['{"float": "0x1p99999"}', '{"tensor": ["00000 x", "F32", [2]]}'],
    ids=["a float beyond all floats", "a shape beyond the bytes"],
)
def test_a_tree_that_was_never_saved_is_refused_though_its_checksums_are_right(tmp_path, tree):
    blob = _Blob("00000 x", "F32", (2,), memoryview(bytes(4)))
    path = tmp_path / "forged"
    path.write_bytes(b"".join(bytes(part) for part in _assemble(tree, [blob])))
    with pytest.raises(CheckpointError, match="forged is damaged or is no checkpoint"):
        load_checkpoint(path)


def test_a_safetensors_file_of_another_kind_is_refused(tmp_path):
    from safetensors.torch import save_file

    save_file({"w": torch.zeros(2)}, tmp_path / "other.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match="format"):
        load_checkpoint(tmp_path / "other.safetensors")


def test_a_missing_file_is_a_file_not_found(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_checkpoint(tmp_path / "nothing")


# The disk


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failing_disk_leaves_the_old_file_and_no_other(tmp_path, monkeypatch, call):
    path = tmp_path / "s"
    save_checkpoint(path, {"old": 1})

    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(OSError, match="No space left") as caught:
            save_checkpoint(path, {"new": torch.zeros(10)})
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.filename == str(path)  # the file that the user knows, not the temporary one
    assert load_checkpoint(path) == {"old": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["s"]


def test_a_disk_that_fills_up_in_the_middle_leaves_the_old_file_and_no_other(tmp_path):
    resource = pytest.importorskip("resource")  # the limit on file size is the operating system's: not on Windows
    path = tmp_path / "s"
    save_checkpoint(path, {"old": 1})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
        with pytest.raises(OSError, match="too large"):
            save_checkpoint(path, {"new": torch.zeros(100_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert load_checkpoint(path) == {"old": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["s"]


def test_the_bytes_are_on_the_disk_before_the_name_changes(tmp_path, monkeypatch):
    calls = []
    real_fsync, real_replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (calls.append("fsync"), real_fsync(fd))[1])
    monkeypatch.setattr(os, "replace", lambda a, b: (calls.append("replace"), real_replace(a, b))[1])
    save_checkpoint(tmp_path / "new" / "folder" / "s", {"a": 1})
    assert calls == ["fsync", "replace", "fsync"]  # the file, its name, the folder that holds the name
