"""Damage: bytes flipped, cut, doubled and overwritten, and values of JSON exchanged for others."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np

Random = np.random.Generator
NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFF_FFFF, 0xFFFF_FFFF, 2**63 - 1, 2**64 - 1)
VALUES: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    2**31,
    10**400,
    float("nan"),
    float("inf"),
    -1e308,
    "",
    "[red]\x1b[2J\r\n\u202eworld",
    "../../outside",
    [],
    [[[]]],
    {},
    {"": None},
)


def damage(content: bytes, rng: Random) -> bytes:
    """One to three changes."""
    for _ in range(int(rng.integers(1, 4))):
        content = KINDS[rng.integers(len(KINDS))](content, rng) if content else b"\x00"
    return content


def _flip(content: bytes, rng: Random) -> bytes:
    changed = bytearray(content)
    changed[rng.integers(len(changed))] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def _cut(content: bytes, rng: Random) -> bytes:
    return content[: rng.integers(len(content))]


def _remove(content: bytes, rng: Random) -> bytes:
    begin, length = int(rng.integers(len(content))), int(rng.integers(1, 64))
    return content[:begin] + content[begin + length :]


def _double(content: bytes, rng: Random) -> bytes:
    begin, length = int(rng.integers(len(content))), int(rng.integers(1, 256))
    return content[: begin + length] + content[begin : begin + length] + content[begin + length :]


def _overwrite(content: bytes, rng: Random) -> bytes:
    begin, noise = int(rng.integers(len(content))), rng.bytes(int(rng.integers(1, 32)))
    return content[:begin] + noise + content[begin + len(noise) :]


def _number(content: bytes, rng: Random) -> bytes:
    """A size, as a header may hold it."""
    n_bytes, order = int(rng.choice([1, 2, 4, 8])), "big" if rng.integers(2) else "little"
    value = NUMBERS[rng.integers(len(NUMBERS))] % 256**n_bytes
    begin = int(rng.integers(min(len(content), 512)))
    return content[:begin] + value.to_bytes(n_bytes, order) + content[begin + n_bytes :]


KINDS: tuple[Callable[[bytes, Random], bytes], ...] = (_flip, _cut, _remove, _double, _overwrite, _number)


def damage_json(content: bytes, rng: Random) -> bytes:
    """A value somewhere in it, or in its last line, becomes another; or a name is lost."""
    *before, last = content.rstrip().split(b"\n") if content.lstrip()[:2] != b"{\n" else [content]
    tree = json.loads(last)
    for _ in range(int(rng.integers(1, 4))):
        parent: Any = None
        node, key = tree, None
        while isinstance(node, dict | list) and node and (parent is None or rng.random() < 0.7):
            keys = list(node) if isinstance(node, dict) else list(range(len(node)))
            parent, key = node, keys[rng.integers(len(keys))]
            node = node[key]
        if parent is None:
            break
        if isinstance(parent, dict) and rng.random() < 0.2:
            del parent[key]
        else:
            parent[key] = VALUES[rng.integers(len(VALUES))]
    return b"\n".join([*before, json.dumps(tree).encode()])
