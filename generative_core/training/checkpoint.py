"""Checkpoints: one safetensors file that holds a tree of tensors, arrays and plain values, and never a pickle.

The file is a valid safetensors file (8 bytes of header length, a JSON header, raw little-endian bytes), so any reader
of that format opens its tensors.  The tree's structure is JSON in the header's metadata, beside two SHA-256 sums: of
that JSON, which names every tensor's dtype and shape, and of the tensors' bytes.
"""

import hashlib
import json
import os
import secrets
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

FORMAT = "generative_core checkpoint 1"

# safetensors' name of a dtype -> (torch's, numpy's)
_DTYPES: dict[str, tuple[str, str | None]] = {
    "BOOL": ("bool", "bool"),
    "U8": ("uint8", "uint8"),
    "I8": ("int8", "int8"),
    "I16": ("int16", "int16"),
    "U16": ("uint16", "uint16"),
    "I32": ("int32", "int32"),
    "U32": ("uint32", "uint32"),
    "I64": ("int64", "int64"),
    "U64": ("uint64", "uint64"),
    "F16": ("float16", "float16"),
    "BF16": ("bfloat16", None),
    "F32": ("float32", "float32"),
    "F64": ("float64", "float64"),
}
_CODE_OF_TORCH = {torch_name: code for code, (torch_name, _) in _DTYPES.items()}
_CODE_OF_NUMPY = {numpy_name: code for code, (_, numpy_name) in _DTYPES.items() if numpy_name}


class CheckpointError(ValueError):
    """A checkpoint file that is damaged or was not written by `save_checkpoint`."""


def save_checkpoint(path: Path, state: dict[Any, Any]) -> None:
    """Write `state` to `path`, whole or not at all; a file that was there is replaced in one atomic move.

    `state` is a tree of dicts (keys str or int), lists and tuples over tensors, numpy arrays, numpy scalars, int (any
    size), float (to the bit, inf and nan too), str, bool and None.  All come back as they were, tensors on the CPU; a
    subclass of dict, list or tuple comes back as the plain type.

    Raises TypeError for any other value, and says where in the tree it is; OSError where the disk does not take the
    file.  After either, what was at `path` is untouched and no temporary file is left.
    """
    path = Path(path)
    blobs: list[_Blob] = []
    tree = json.dumps(_encode(state, "state", blobs))
    content = _assemble(tree, blobs)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with open(temporary, "xb") as file:
            for part in content:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:  # it names the file that the user knows
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    finally:
        temporary.unlink(missing_ok=True)
    _fsync_folder(path.parent)


def load_checkpoint(path: Path) -> dict[Any, Any]:
    """The tree that `save_checkpoint` wrote, verified against both of its checksums.

    Raises CheckpointError on a file that is damaged or is no checkpoint, and FileNotFoundError where there is none.
    """
    path = Path(path)
    content = path.read_bytes()
    try:
        tree, payload = _disassemble(content)
        state = _decode(tree, payload)
    except (ValueError, KeyError, TypeError, IndexError, RuntimeError, AttributeError, OverflowError) as error:
        raise CheckpointError(
            f"{path} is damaged or is no checkpoint ({_one_line(error)}); go back to another checkpoint of the run, or "
            "copy the file again from where it came"
        ) from error
    return state


class _Blob:
    """One tensor's bytes with its entry in the header."""

    def __init__(self, name: str, code: str, shape: tuple[int, ...], data: memoryview) -> None:
        self.name, self.code, self.shape, self.data = name, code, list(shape), data


def _encode(node: Any, where: str, blobs: list[_Blob]) -> Any:
    """Tree -> JSON: null, true, false, strings and small ints stand for themselves, the rest is a one-key object."""
    if node is None or isinstance(node, bool):
        return node
    if isinstance(node, Tensor):
        return {"tensor": _add_blob(node, where, blobs)}
    if isinstance(node, np.ndarray | np.generic):
        kind = "array" if isinstance(node, np.ndarray) else "numpy_scalar"
        return {kind: _add_blob(np.asarray(node), where, blobs)}
    if isinstance(node, str):
        return str(node)
    if isinstance(node, int):
        return int(node) if abs(node) < 2**53 else {"int": hex(node)}
    if isinstance(node, float):
        return {"float": node.hex()}
    if isinstance(node, dict):
        for key in node:
            if isinstance(key, bool) or not isinstance(key, str | int):
                raise TypeError(f"{where} has the key {key!r}: a checkpoint takes str and int keys")
        return {"dict": [[key, _encode(value, f"{where}.{key}", blobs)] for key, value in node.items()]}
    if isinstance(node, list | tuple):
        kind = "list" if isinstance(node, list) else "tuple"
        return {kind: [_encode(value, f"{where}.{i}", blobs) for i, value in enumerate(node)]}
    raise TypeError(f"{where} is a {type(node).__name__}: a checkpoint takes tensors, arrays and plain values")


def _add_blob(value: Tensor | np.ndarray, where: str, blobs: list[_Blob]) -> list[Any]:
    """Append the bytes; return what the tree says of them: [name, dtype code, shape]."""
    if isinstance(value, Tensor):
        code = _CODE_OF_TORCH.get(str(value.dtype).removeprefix("torch."))
        strided = value.layout is torch.strided and not value.is_quantized
        if code is not None and strided:
            flat = value.detach().cpu().contiguous().reshape(-1)
            data = flat.view(torch.uint8).numpy().data
    else:
        code = _CODE_OF_NUMPY.get(value.dtype.name) if value.dtype.isnative else None
        strided = True
        if code is not None:
            data = np.ascontiguousarray(value).reshape(-1).view(np.uint8).data
    if code is None or not strided:
        raise TypeError(f"{where} has dtype {value.dtype}, which a checkpoint does not take")
    readable = where.encode("ascii", "backslashreplace").decode()
    blob = _Blob(f"{len(blobs):05d} {readable}", code, tuple(value.shape), data)
    blobs.append(blob)
    return [blob.name, blob.code, blob.shape]


def _assemble(tree: str, blobs: list[_Blob]) -> list[bytes | memoryview]:
    """The file's parts in order."""
    payload_sum = hashlib.sha256()
    header: dict[str, Any] = {}
    start = 0
    for blob in blobs:
        payload_sum.update(blob.data)
        header[blob.name] = {
            "dtype": blob.code,
            "shape": blob.shape,
            "data_offsets": [start, start + blob.data.nbytes],
        }
        start += blob.data.nbytes
    metadata = {
        "format": FORMAT,
        "tree": tree,
        "tree_sha256": hashlib.sha256(tree.encode()).hexdigest(),
        "payload_sha256": payload_sum.hexdigest(),
    }
    text = json.dumps({"__metadata__": metadata, **header}).encode()
    text += b" " * (-len(text) % 8)  # the format aligns the data to 8 bytes
    return [len(text).to_bytes(8, "little"), text, *(blob.data for blob in blobs)]


def _disassemble(content: bytes) -> tuple[Any, dict[str, tuple[str, list[int], memoryview]]]:
    """The tree's JSON and, for each tensor's name, its dtype code, shape and bytes.  Raises ValueError on damage."""
    n_header = int.from_bytes(content[:8], "little")
    if len(content) < 8 or n_header > len(content) - 8:
        raise ValueError(f"its header should be {n_header} bytes, the file has {len(content)}")
    header = json.loads(content[8 : 8 + n_header].decode())
    metadata = header.pop("__metadata__")
    if metadata["format"] != FORMAT:
        raise ValueError(f"its format is {metadata['format']!r}, not {FORMAT!r}")
    tree_text = metadata["tree"]
    if hashlib.sha256(tree_text.encode()).hexdigest() != metadata["tree_sha256"]:
        raise ValueError("its structure does not match its checksum")
    data = memoryview(content)[8 + n_header :]
    if hashlib.sha256(data).hexdigest() != metadata["payload_sha256"]:
        raise ValueError("its tensors do not match their checksum")
    payload = {}
    end = 0
    for name, entry in header.items():
        start, stop = entry["data_offsets"]
        if start != end:
            raise ValueError(f"the tensor {name!r} is not where it should be")
        payload[name] = (entry["dtype"], entry["shape"], data[start:stop])
        end = stop
    return json.loads(tree_text), payload


def _decode(node: Any, payload: dict[str, tuple[str, list[int], memoryview]]) -> Any:
    if not isinstance(node, dict):
        return node
    ((kind, value),) = node.items()
    match kind:
        case "dict":
            return {key: _decode(item, payload) for key, item in value}
        case "list":
            return [_decode(item, payload) for item in value]
        case "tuple":
            return tuple(_decode(item, payload) for item in value)
        case "float":
            return float.fromhex(value)
        case "int":
            return int(value, 16)
    name, code, shape = value
    stored_code, stored_shape, data = payload.pop(name)  # once: a small file may not repeat a tensor without end
    if [code, shape] != [stored_code, stored_shape]:
        raise ValueError(f"the tensor {name!r} is {stored_code} {stored_shape}, not {code} {shape}")
    torch_name, numpy_name = _DTYPES[code]
    if kind == "tensor":
        dtype = getattr(torch, torch_name)
        flat = torch.frombuffer(bytearray(data), dtype=dtype) if data.nbytes else torch.empty(0, dtype=dtype)
        return flat.reshape(shape)
    array = np.frombuffer(bytearray(data), dtype=numpy_name).reshape(shape)
    return array if kind == "array" else array[()]


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if not isinstance(error, ValueError) else text


def _fsync_folder(folder: Path) -> None:
    """Make the rename itself survive a power cut; Windows cannot open folders and does without."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
