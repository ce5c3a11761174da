"""Lossless compression: an entropy coder driven by an autoregressive model."""

import hashlib
import math
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from generative_core.autoregressive.conditionals import DiscreteConditional
from generative_core.autoregressive.protocols import Autoregressive

MAGIC = b"GCAR"
VERSION = 1
_FIXED = struct.Struct("<4sBBI")  # magic, version, number of axes of an event, number of events
_DIGEST = 8  # bytes of each of the two hashes, of the model and of the content


@torch.no_grad()
def encode(model: Autoregressive, x: Float[Tensor, "n *E"], context: Float[Tensor, "n *K"] | None = None) -> bytes:
    """The events as -log2 p(x | context) bits, a word of 32 more at most, and a header of some 40 bytes.

    Range coding: the encoder walks along the model's order and narrows an interval by each element's probability, a
    decoder that walks the same way with the same numbers finds the elements again.  The context is not stored.

    Raises ValueError on a model in training mode, one of a continuous law, and events off its levels; ImportError
    without the package `constriction`.  Paper: Bamler 2022, https://arxiv.org/abs/2201.01741.
    """
    law = _discrete_law(model)
    if tuple(x.shape[1:]) != model.event_shape:
        raise ValueError(f"{type(model).__name__} codes events {model.event_shape}, got {tuple(x.shape[1:])}")
    index = law.index(x)
    off_level = (law.value(index, x) - x).abs() > 1e-3 / law.levels
    if off_level.any() or (index < 0).any() or (index >= law.levels).any():
        raise ValueError(f"events must lie on the {law.levels} levels of {law}; quantise them first")
    symbols = index.flatten(1).cpu()  # (n, D)
    queue, family = _range_coder()
    encoder = queue.RangeEncoder()

    def put(d: int, table: np.ndarray) -> Tensor:
        encoder.encode(symbols[:, d].numpy().astype(np.int32), family, table)
        return symbols[:, d]

    _walk(model, law, len(x), context, put)
    payload = encoder.get_compressed().astype("<u4").tobytes()
    body = _header(model, len(x)) + _content_digest(symbols) + payload
    return body + struct.pack("<I", zlib.crc32(body))


@torch.no_grad()
def decode(
    model: Autoregressive, data: bytes, n: int | None = None, context: Float[Tensor, "n *K"] | None = None
) -> Float[Tensor, "n *E"]:
    """The events that `encode` was given, level for level, in the dtype and on the device of the model.

    Both sides must compute the same numbers: the same parameters and context, and the same machine type, thread count
    and library versions, as far as rounding depends on them.  A stored hash of the content shows where they do not.

    Raises ValueError on data that are damaged or were coded by another model, with another context or other arithmetic,
    and where `n` is given and is not the number of events in them.
    """
    law = _discrete_law(model)
    n_events, content_digest, words = _open(model, data, n)
    queue, family = _range_coder()
    decoder = queue.RangeDecoder(words)
    n_dims = math.prod(model.event_shape)
    symbols = torch.empty(n_events, n_dims, dtype=torch.int64)

    def take(d: int, table: np.ndarray) -> Tensor:
        symbols[:, d] = torch.from_numpy(decoder.decode(family, table).astype(np.int64))
        return symbols[:, d]

    try:
        like = _walk(model, law, n_events, context, take)
        is_same = _content_digest(symbols) == content_digest
    except AssertionError:  # the coder met words that no symbol leads to
        is_same = False
    if not is_same:
        raise ValueError(
            "the decoded content is not what was encoded: the context is another, or the model computes other numbers "
            "here than there (check the dtype, the device, the number of threads and the version of torch)"
        )
    return law.value(symbols, like).unflatten(1, model.event_shape)


def _walk(
    model: Autoregressive,
    law: DiscreteConditional,
    n: int,
    context: Tensor | None,
    code: Callable[[int, np.ndarray], Tensor],
) -> Tensor:
    """Call code(d, table (n, levels)) -> symbols (n,) for each element along the order; return some parameters."""
    walk = model.walk(n, context)
    parameters = next(walk)
    order = model.order.tolist()
    for t, d in enumerate(order):
        table = law.log_table(parameters.double()).exp().cpu().numpy()
        symbols = code(d, table)
        if t + 1 < len(order):
            parameters = walk.send(law.value(symbols, parameters))
    walk.close()
    return parameters


def _discrete_law(model: Autoregressive) -> DiscreteConditional:
    """The model's element-wise law.  Raises ValueError where the model is not ready to code."""
    name = type(model).__name__
    if not isinstance(model.conditional, DiscreteConditional):
        raise ValueError(
            f"{name} has the continuous law {model.conditional}, and real numbers have no finite code; build it with "
            "Bernoulli(), Categorical(...) or DiscretisedLogisticMixture(...)"
        )
    if getattr(model, "training", False):
        raise ValueError(
            f"{name} is in training mode, where it may compute other numbers each time; call .eval() first"
        )
    return model.conditional


def _range_coder() -> tuple[Any, Any]:
    """constriction's queue module, and its family of explicit probability tables."""
    try:
        import constriction
    except ImportError as error:
        raise ImportError("coding needs the package `constriction`: pip install constriction") from error
    return constriction.stream.queue, constriction.stream.model.Categorical(perfect=False)


def _header(model: Autoregressive, n: int) -> bytes:
    shape = model.event_shape
    return _FIXED.pack(MAGIC, VERSION, len(shape), n) + struct.pack(f"<{len(shape)}I", *shape) + _model_digest(model)


def _model_digest(model: Autoregressive) -> bytes:
    """A hash of the class, the law, the order and everything in the state."""
    assert isinstance(model, nn.Module)
    digest = hashlib.blake2b(f"{type(model).__name__} {model.conditional}".encode(), digest_size=_DIGEST)
    for name, tensor in sorted({**model.state_dict(), "order of the walk": model.order}.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().contiguous().flatten().view(torch.uint8).cpu().numpy().tobytes())
    return digest.digest()


def _content_digest(symbols: Tensor) -> bytes:
    return hashlib.blake2b(symbols.numpy().astype("<u4").tobytes(), digest_size=_DIGEST).digest()


def _open(model: Autoregressive, data: bytes, n: int | None) -> tuple[int, bytes, np.ndarray]:
    """(number of events, hash of the content, words of the code).  Raises ValueError where they are not for us."""
    if data[: len(MAGIC)] != MAGIC or len(data) < _FIXED.size + 2 * _DIGEST + 4:
        raise ValueError("these are not events coded by `encode`: the data do not begin as such data do")
    body, (checksum,) = data[:-4], struct.unpack("<I", data[-4:])
    if zlib.crc32(body) != checksum:
        raise ValueError("the coded data are damaged or cut short: their checksum does not match")
    _, version, n_axes, n_events = _FIXED.unpack_from(body)
    if version != VERSION:
        raise ValueError(f"the data have format version {version}, this code reads version {VERSION}")
    expected = _header(model, n_events)
    if body[: len(expected)] != expected:
        shape = struct.unpack_from(f"<{n_axes}I", body, _FIXED.size)
        raise ValueError(
            f"the data were coded by another model, of events {shape}: this {type(model).__name__} of events "
            f"{model.event_shape} has other parameters; load the one that encoded them"
        )
    if n is not None and n != n_events:
        raise ValueError(f"the data hold {n_events} events, not {n}")
    content = len(expected) + _DIGEST
    return n_events, body[len(expected) : content], np.frombuffer(body[content:], "<u4").astype(np.uint32)
