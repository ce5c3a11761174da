"""Reading an `.npz` of a stranger: no pickles, no zip bombs, nothing read that nobody asked for."""

import lzma
import math
import struct
import tokenize
import zipfile
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gail_suite.errors import InputError

MAX_BYTES = 8 << 30  # what one recording may unpack to
MAX_RATIO = 100  # ... for its size on the disk, once it unpacks to more than
SMALL_BYTES = 256 << 20  # ... this: flags of a long recording do compress a thousandfold

_MAGIC = {  # how files begin that people mistake for .npz
    b"\x80": "a pickle, which may run a stranger's code; save arrays with numpy.savez(path, obs=..., acts=...)",
    b"\x93NUMPY": "one .npy array; save obs and acts together with numpy.savez(path, obs=..., acts=...)",
    b"\x89HDF": "HDF5; read it with h5py and save with numpy.savez(path, observations=..., actions=...)",
}
READING_ERRORS = (  # what zipfile, zlib and numpy raise for damaged content
    zipfile.BadZipFile,
    zlib.error,
    OSError,
    ValueError,
    KeyError,
    EOFError,
    RuntimeError,  # RecursionError and NotImplementedError too
    TypeError,
    AttributeError,
    IndexError,
    OverflowError,
    MemoryError,
    SyntaxError,
    tokenize.TokenError,
    struct.error,
    lzma.LZMAError,
)


def check_zip_sizes(archive: zipfile.ZipFile, name: str | Path, max_bytes: int | None = None) -> None:
    """Raise `InputError` when the directory of a zip file declares more than it can honestly hold."""
    unpacked = sum(member.file_size for member in archive.infolist())
    packed = sum(member.compress_size for member in archive.infolist())
    if unpacked > (max_bytes or MAX_BYTES) or (unpacked > SMALL_BYTES and unpacked > MAX_RATIO * packed):
        raise InputError(
            f"{name} would unpack from {packed:,} to {unpacked:,} bytes, more than such files do; "
            f"if you trust it, split it or save it again"
        )


class NpzArchive:
    """The arrays of an `.npz` by name, each read when it is asked for.

    Every problem is an `InputError` that names the file.
    """

    def __init__(self, path: Path):
        self.path = path
        if path.stat().st_size == 0:
            raise InputError(f"{path} is an empty file; copy it again from where it came from")
        with open(path, "rb") as file:
            head = file.read(8)
        for magic, what in _MAGIC.items():
            if head.startswith(magic):
                raise InputError(f"{path} is {what}")
        try:
            with zipfile.ZipFile(path) as archive:
                check_zip_sizes(archive, path)
                self._members = {m.filename.removesuffix(".npy"): m for m in archive.infolist()}
        except InputError:
            raise
        except READING_ERRORS as error:
            what = "truncated or damaged" if head.startswith(b"PK") else "not an .npz file"
            raise InputError(f"{path} is {what}; copy it again, or save it with numpy.savez") from error

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def names(self) -> list[str]:
        return list(self._members)

    def __getitem__(self, name: str) -> NDArray:
        try:
            self._check_header(name)
            with zipfile.ZipFile(self.path) as archive, archive.open(self._members[name]) as file:
                return np.lib.format.read_array(file, allow_pickle=False)
        except InputError:
            raise
        except READING_ERRORS as error:
            raise InputError(f"{self.path} is damaged: {name} cannot be read ({error}); copy it again") from error

    def _check_header(self, name: str) -> None:
        """Before any memory is taken: plain numbers only, and no more of them than the file has bytes."""
        member = self._members[name]
        with zipfile.ZipFile(self.path) as archive, archive.open(member) as file:
            version = np.lib.format.read_magic(file)
            read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
            shape, _, dtype = read_header[version](file)
        if dtype.hasobject:
            raise InputError(
                f"{self.path} holds Python objects in {name!r}, which may run a stranger's code and is never read; "
                f"save plain numbers (for episodes of different lengths: joined, with episode_lengths)"
            )
        # of no bytes there may be many too: (10^12, 0) numbers, or as many empty strings
        rows = math.prod(max(size, 1) for size in shape) * max(dtype.itemsize, 1)
        if math.prod(shape) * dtype.itemsize > member.file_size or rows > max(member.file_size, SMALL_BYTES):
            raise ValueError(f"its header declares shape {shape}, more than the file holds")
