"""Damages .tflite files, at random and repeatably: what a seed does to a file is always the same.

A third of the damage is to bytes of the flatbuffer's structure, the rest to the objects in it: shapes, types,
quantization, buffers, the order and operands of ops, options, metadata, and this package's own ops and constants.
"""

from __future__ import annotations

import struct
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from graph_damage import GRAPH_CHANGES, Random
from own_op_damage import OWN_OP_CHANGES


def unpack(content: bytes) -> Any:
    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(content))


def pack(model: Any) -> bytes:
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def mutate(seed: int, content: bytes, own_ops_only: bool = False) -> tuple[str, bytes]:
    """A damaged copy, and what was done to it.

    Args:
      own_ops_only: of a converted model, damage what belongs to this package's ops.
    """
    rng = Random(seed)
    if not own_ops_only and rng.random() < 1 / 3:
        return _damage_bytes(rng, content)
    changes = OWN_OP_CHANGES if own_ops_only else GRAPH_CHANGES
    for _ in range(8):  # some combinations cannot be written
        model, done = unpack(content), []
        try:
            for _ in range(rng.choice((1, 1, 1, 2, 3))):
                change = rng.choice(changes)
                change(rng, model)
                done.append(change.__name__)
            return " ".join(done), pack(model)
        except (struct.error, IndexError, TypeError, ValueError, AttributeError, OverflowError):
            continue
    return "nothing", content


# --- bytes ------------------------------------------------------------------------------------------------------------


def _damage_bytes(rng: Random, content: bytes) -> tuple[str, bytes]:
    places, data = _structure(content), bytearray(content)

    def place() -> int:
        return int(places[rng.randrange(len(places))])

    kind = rng.choice(("flip", "flip", "word", "word", "add", "copy", "delete", "truncate"))
    start = place()
    word = min(start & ~3, len(data) - 4)
    if kind == "flip":
        for _ in range(rng.choice((1, 1, 2, 4, 16))):
            data[place()] ^= 1 << rng.randrange(8)
    elif kind == "word":
        struct.pack_into("<I", data, word, rng.choice((0, 1, 2**31 - 1, 2**31, 2**32 - 1, len(data), len(data) - word)))
    elif kind == "add":
        value = struct.unpack_from("<I", data, word)[0] + rng.choice((1, -1, 4, -4, 16, 1000, -1000, 2**31))
        struct.pack_into("<I", data, word, value % 2**32)
    elif kind == "copy":
        source, size = place(), rng.choice((4, 16, 64))
        data[start : start + size] = data[source : source + size]
    elif kind == "delete":
        del data[start : start + rng.choice((1, 4, 8, 100))]
    else:
        del data[rng.randrange(len(data)) :]
    return f"bytes: {kind}", bytes(data)


def _structure(content: bytes) -> np.ndarray:
    """Positions of all bytes but those of large constants, whose damage changes nothing but numbers."""
    is_structure = np.ones(len(content), bool)
    for buffer in unpack(content).buffers:
        if buffer.data is not None and len(buffer.data) > 64:
            start = content.find(bytes(buffer.data))
            is_structure[start : start + len(buffer.data)] = False
    return np.flatnonzero(is_structure)
