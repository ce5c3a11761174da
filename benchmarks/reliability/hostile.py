"""Files made to do harm: pickles with code, zip bombs, headers that promise too much, members with names of places."""

import gzip
import io
import json
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from generative_core.training import checkpoint

DEEP = "[" * 200_000


class Payload:
    """Unpickling it makes a folder."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple[Any, tuple[str, ...]]:
        import os

        return os.mkdir, (self.path,)


Maker = Callable[[Path, Path], None]
"""(the file to write, the folder that must not come about) -> None."""


def _npy(shape: tuple[int, ...], descr: Any = "<f4", content: bytes = b"") -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": descr, "fortran_order": False, "shape": shape})
    return stream.getvalue() + content


def _npz(members: dict[str, bytes]) -> Maker:
    def write(path: Path, ran: Path) -> None:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members.items():
                archive.writestr(name, content)

    return write


def _sound(**arrays: Any) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def _object_array(path: Path, ran: Path) -> None:
    evil = np.empty(1, object)
    evil[0] = Payload(ran)
    np.savez(path, obs=evil, acts=evil, dones=[True])


def _link(path: Path, ran: Path) -> None:
    """A member that is a symbolic link out of the folder, and one of that name with content."""
    with zipfile.ZipFile(path, "w") as archive:
        member = zipfile.ZipInfo("obs.npy")
        member.external_attr = 0o120777 << 16
        archive.writestr(member, str(ran))
        archive.writestr("../../abroad.npy", _npy((1,), content=bytes(4)))
        archive.writestr("/abroad.npy", _npy((1,), content=bytes(4)))


def _bomb(name: str, declared: int) -> Maker:
    """A mebibyte of zeros that the archive's directory declares to be `declared` bytes."""

    def write(path: Path, ran: Path) -> None:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(name, bytes(1 << 20))
            archive.filelist[0].file_size = declared

    return write


def _header(change: dict[str, Any]) -> Maker:
    """Our own demonstrations, sound but for their record."""

    def write(path: Path, ran: Path) -> None:
        with np.load(path, allow_pickle=False) as arrays:
            found = dict(arrays)
        found["provenance"] = np.array(json.dumps(json.loads(str(found["provenance"])) | change))
        np.savez(path, **found)

    return write


def _pickle(path: Path, ran: Path) -> None:
    path.write_bytes(pickle.dumps(Payload(ran)))


def _evil_policy(path: Path, ran: Path) -> None:
    """An SB3 file whose weights are a pickle with code, and whose record is one too."""
    weights = io.BytesIO()
    torch.save({"action_net.weight": Payload(ran)}, weights)
    _rewrite(path, {"policy.pth": weights.getvalue()})


def _repeated_weights(path: Path, ran: Path) -> None:
    """One number that stands for ten thousand million."""
    weights = io.BytesIO()
    torch.save({"action_net.weight": torch.zeros(1).expand(1, 10**10)}, weights)
    _rewrite(path, {"policy.pth": weights.getvalue()})


def _rewrite(path: Path, parts: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path) as archive:
        kept = {member: archive.read(member) for member in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (kept | parts).items():
            archive.writestr(name, content)


def _checkpoint_of(tree: Any, blobs: list[Any]) -> bytes:
    return b"".join(bytes(part) for part in checkpoint._assemble(json.dumps(tree), blobs))


def _repeated_tensor(path: Path, ran: Path) -> None:
    """A sound checkpoint of 4 MiB that names its one tensor a thousand times."""
    blob = checkpoint._Blob("a", "F32", (1 << 20,), memoryview(bytes(4 << 20)))
    path.write_bytes(_checkpoint_of({"list": [{"tensor": ["a", "F32", [1 << 20]]}] * 1000}, [blob]))


def _deep_tree(path: Path, ran: Path) -> None:
    text = json.dumps(
        {"__metadata__": {"format": checkpoint.FORMAT, "tree": "", "tree_sha256": "", "payload_sha256": ""}}
    )
    content = text.replace('"tree": ""', f'"tree": {DEEP}').encode()
    path.write_bytes(len(content).to_bytes(8, "little") + content)


def _bytes(content: bytes) -> Maker:
    def write(path: Path, ran: Path) -> None:
        path.write_bytes(content)

    return write


def _idx(*shape: int) -> bytes:
    return bytes([0, 0, 8, len(shape)]) + struct.pack(f">{len(shape)}I", *shape)


def _minari_environment(path: Path, ran: Path) -> None:
    """A record without spaces, whose environment is a function that makes a folder."""
    record = json.loads(path.read_text())
    del record["observation_space"]
    spec = {"id": "Foo-v0", "entry_point": "os:mkdir", "kwargs": {"path": str(ran)}, "additional_wrappers": []}
    path.write_text(json.dumps(record | {"env_spec": json.dumps(spec)}))


def _minari_record(change: dict[str, Any]) -> Maker:
    def write(path: Path, ran: Path) -> None:
        path.write_text(json.dumps(json.loads(path.read_text()) | change))

    return write


HUGE_BOX = {"type": "Box", "dtype": "float32", "shape": [1 << 40], "low": -1.0, "high": 1.0}
FLAGS = {"dones.npy": _npy((4,), "|b1", b"\0\0\0\1")}
HOSTILE: dict[str, list[Maker]] = {
    "npz of others": [
        _object_array,
        _pickle,
        _link,
        _bomb("obs.npy", 300 << 20),
        _bomb("obs.npy", 2**63),
        _bomb("obs.npy", 100),
        _npz({"obs.npy": _npy((1 << 40, 4))}),
        _npz({"obs.npy": _npy((10**12, 0)), "dones.npy": _npy((10**12,), "<U0")}),
        _npz({"obs.npy": _npy((-4, 2)), **FLAGS}),
        _npz({"obs": _npy((4, 2), content=bytes(32)), "obs.npy": _npy((1 << 40,)), **FLAGS}),
        _npz({"obs.npy": b"\x93NUMPY\x01\x00\x10\x00" + b"((((((((((((((((", **FLAGS}),
        _npz({"obs.npy": _npy((4,), [("a", "|O")], bytes(32)), **FLAGS}),
        _npz({"\x1b[31m[bold]x.npy": _npy((1,), content=bytes(4))}),
        _bytes(_sound(obs=np.zeros((4, 2)), episode_lengths=np.array([-1, 5]))),
        _bytes(_sound(obs=np.zeros((4, 2)), episode_lengths=np.array([2**62, 2**62]))),
        _bytes(_sound(obs=np.zeros((2, 3, 2)), lengths=np.array([np.nan, 2]))),
        _bytes(_sound(obs=np.zeros((4, 2)), acts=np.array([0, 1, 2**40, 1]), dones=np.ones(4, bool))),
        _bytes(_sound(obs=np.zeros((4, 2)), acts=np.zeros(4), dones=np.ones(4, bool), env_id=np.array("os:Foo-v0"))),
    ],
    "demonstrations": [
        _header({"lengths": [10**400]}),
        _header({"lengths": ["\x1b[31m"]}),
        _header({"source": "[red]\x1b]0;title\x07"}),
        _header({"versions": [1]}),
        _header({"env_id": {}}),
        _header({"returns": "abc"}),
        _header({"seed": "none"}),
    ],
    "SB3 policy": [
        _evil_policy,
        _repeated_weights,
        _pickle,
        _bomb("data", 300 << 20),
        lambda path, ran: _rewrite(path, {"data": DEEP.encode()}),
        lambda path, ran: _rewrite(path, {"data": b'{"policy_class": 3, "policy_kwargs": [1]}'}),
    ],
    "checkpoint": [_pickle, _repeated_tensor, _deep_tree, _bytes((2**63 - 1).to_bytes(8, "little") + b"{}")],
    "idx": [_bytes(_idx(2**32 - 1, 2**32 - 1)), _bytes(_idx(0, 4, 4)), _bytes(_idx(2**14, 2**14)), _pickle],
    "idx.gz": [_bytes(gzip.compress(_idx(2, 4, 4) + bytes(8 << 20))), _bytes(gzip.compress(_idx(2**14, 2**14)))],
    "imitation state": [
        _bytes(DEEP.encode()),
        _bytes(b'{"_data_files": [{"filename": "../../../../etc/passwd"}]}'),
        _bytes(b'{"_data_files": [{"filename": 5}]}'),
        _bytes(b'{"_data_files": {"filename": "x"}}'),
        _bytes(b"[]"),
    ],
    "imitation folder": [_pickle],
    "Minari data": [_pickle],
    "Minari metadata": [
        _minari_environment,
        _minari_record({"total_episodes": 2**31}),
        _minari_record({"observation_space": json.dumps(HUGE_BOX)}),
        _minari_record({"env_spec": json.dumps({"id": "os:Foo-v0", "entry_point": "os:mkdir"})}),
        _bytes(DEEP.encode()),
    ],
    "run configuration": [
        _bytes(DEEP.encode()),
        _bytes(b'{"ppo": {"hidden": ["a"]}}'),
        _bytes(b'{"reward": "\\u001b[2Jnone"}'),
        _bytes(b'{"n_envs": 1e400}'),
    ],
    "run metrics": [
        _bytes(DEEP.encode()),
        _bytes(b'[1]\n{"env_steps": "many"}\n\xff\xfe\n{"env_steps": 1, "a": []}\n'),
        _bytes(b'{"env_steps": 1, "reward/mean": 0.5}\n' * 12),
    ],
    "run evaluation": [
        _bytes(DEEP.encode()),
        _bytes(b'{"policy": 3}'),
        _bytes(b'{"scale": {"random": "\\u001b"}}'),
        _bytes(b'{"policy": {"return_mean": 1%s}}' % (b"0" * 400)),
    ],
    "image configuration": [_bytes(DEEP.encode()), _bytes(b'{"steps": true}'), _bytes(b'{"out": 3}')],
    "image result": [_bytes(DEEP.encode()), _bytes(b"[]"), _bytes(b'{"benchmark": []}')],
}
