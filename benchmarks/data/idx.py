"""The idx files of MNIST and its relatives, read strictly: the array that they declare, or an error.

Layout: two zero bytes, a type code (8: unsigned bytes, the only one here), the number of dimensions, each dimension as
four bytes (big-endian), then the values.  Gzipped or not.
"""

import gzip
import hashlib
import io
import math
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gail_suite.errors import InputError

GZIP_MAGIC = b"\x1f\x8b"
UNSIGNED_BYTES = 8
MAX_DIMS = 4
MAX_VALUES = 2**28
"""Five times MNIST's training images.  A file that declares more is refused before any of it is read."""


class IdxError(InputError):
    """A file that is damaged or not what it should be."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path} {problem}; copy or download it again")
        self.problem = problem


class Idx(NamedTuple):
    """What a file holds, and the SHA-256 of its content before compression: that of a gzip differs by who made it."""

    values: NDArray[np.uint8]
    sha256: str


def read_idx(path: Path, *, max_values: int = MAX_VALUES) -> Idx:
    """Read an idx file of unsigned bytes.

    No more than the declared size is ever decompressed.  Raises IdxError on a file that is damaged, cut short, too
    long, too large, or something else.
    """
    try:
        with open(path, "rb") as file:
            is_gzip = file.read(2) == GZIP_MAGIC
        with gzip.open(path) if is_gzip else open(path, "rb") as stream:
            return _read(stream, max_values)
    except EOFError as error:
        raise IdxError(path, "ends too early") from error
    except (zlib.error, gzip.BadGzipFile) as error:
        raise IdxError(path, f"is a damaged gzip file ({error})") from error
    except _Damage as error:
        raise IdxError(path, str(error)) from error


class _Damage(Exception):
    """What is wrong, in words."""


def _read(stream: io.BufferedIOBase, max_values: int) -> Idx:
    head = _exactly(stream, 4)
    if head[:2] != b"\0\0" or head[2] != UNSIGNED_BYTES or not 1 <= head[3] <= MAX_DIMS:
        raise _Damage(
            f"is no idx file of bytes: it begins with {head.hex()}, not with 0000080n for n = 1 to {MAX_DIMS}"
        )
    dimensions = _exactly(stream, 4 * head[3])
    shape = tuple(int(size) for size in np.frombuffer(dimensions, ">u4"))
    n_values = math.prod(shape)
    if not 0 < n_values <= max_values:
        raise _Damage(f"declares {' x '.join(map(str, shape))} values, where 1 to {max_values:,} are allowed")
    content = stream.read(n_values + 1)  # one more than there should be: so that a gzip's own checksum is compared too
    if len(content) != n_values:
        found = f"only {len(content):,}" if len(content) < n_values else "more"
        raise _Damage(f"declares {n_values:,} values and holds {found}")
    digest = hashlib.sha256(head)
    digest.update(dimensions)
    digest.update(content)
    return Idx(np.frombuffer(bytearray(content), np.uint8).reshape(shape), digest.hexdigest())  # writable


def _exactly(stream: io.BufferedIOBase, n: int) -> bytes:
    content = stream.read(n)
    if len(content) < n:
        raise EOFError
    return content
