"""Damage to what a converted model has of this package: its ops, their options, constants and side information."""

from __future__ import annotations

import copy
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from fmtc_tflite.coding.crc32c import crc32c
from graph_damage import OWN_OPS, Change, Random, int32, int_list


def _own_ops(model: Any) -> list[Any]:
    codes = model.operatorCodes
    return [op for op in model.subgraphs[0].operators if codes[op.opcodeIndex].customCode in OWN_OPS]


def _is_encode(model: Any, op: Any) -> bool:
    return model.operatorCodes[op.opcodeIndex].customCode == OWN_OPS[0]


def _of(model: Any, index: int) -> Any:
    return model.subgraphs[0].tensors[int(index)]


def side_information(rng: Random, model: Any) -> None:
    """Lies in any field, mostly with a checksum that fits."""
    tensor = _of(model, rng.choice(_own_ops(model)).inputs[1])
    data = bytearray(bytes(model.buffers[tensor.buffer].data))
    for _ in range(rng.choice((1, 1, 2, 3))):
        kind = rng.randrange(8)
        if kind < 2:
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        elif kind == 2:
            struct.pack_into("<I", data, 16 + 4 * rng.randrange(2), rng.choice((0, 1, 8, 9, 63, 65, 65536, 2**32 - 1)))
        elif kind == 3:
            data[rng.choice((4, 5, 6, 7))] = rng.choice((0, 1, 2, 8, 63, 255))
        elif kind == 4:
            data[24 + rng.randrange(8)] = rng.randrange(256)
        elif kind == 5:
            data[32 + rng.randrange(len(data) - 32)] = rng.randrange(256)
        else:
            data = data + bytes(16) if kind == 6 else data[: max(48, len(data) - 16)]
    if rng.random() < 0.85:
        struct.pack_into("<I", data, 8, len(data))
        struct.pack_into("<I", data, 12, crc32c(bytes(data[:12]), bytes(data[16:])))
    model.buffers[tensor.buffer].data = np.frombuffer(bytes(data), np.uint8)
    tensor.shape = int32([len(data)])


def side_tensor(rng: Random, model: Any) -> None:
    op, kind = rng.choice(_own_ops(model)), rng.randrange(5)
    tensor = _of(model, op.inputs[1])
    size = int(tensor.shape[0])
    if kind == 0:
        tensor.type = rng.choice((0, 2, 4, 5, 6, 9))
    elif kind == 1:
        tensor.buffer = 0
    elif kind == 2:
        tensor.shape = int32(rng.choice(([1, size], [size, 1], [], [0], [size - 1], [size + 1], [-1])))
    elif kind == 3:
        tensor.isVariable, tensor.buffer = True, rng.choice((0, tensor.buffer))
    else:
        op.inputs = int32([int(op.inputs[0]), int(rng.choice(_own_ops(model)).inputs[1])])


def own_options(rng: Random, model: Any) -> None:
    op = rng.choice(_own_ops(model))
    data, kind = bytearray(bytes(op.customOptions)), rng.randrange(3)
    if kind == 0:
        for _ in range(rng.choice((1, 1, 2, 5))):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    elif kind == 1:
        data = data[: rng.randrange(len(data) + 1)]
    else:
        data[rng.randrange(len(data))] = rng.choice((0, 1, 127, 128, 255))
    op.customOptions = np.frombuffer(bytes(data), np.uint8)


def capacity(rng: Random, model: Any) -> None:
    op = rng.choice(_own_ops(model))
    tensor = _of(model, op.outputs[0] if _is_encode(model, op) else op.inputs[0])
    size = int(tensor.shape[1])
    sizes = (
        [1, 15],
        [1, 16],
        [1, 0],
        [1, -1],
        [1, size // 2],
        [1, size - 1],
        [1, size + 8],
        [2, size],
        [size],
        [0, size],
    )
    tensor.shape = int32(rng.choice((*sizes, [1, 1, size], [1, 2**31 - 1], [1, 2**30])))
    if rng.random() < 0.2:
        tensor.type = rng.choice((0, 9))


def own_operands(rng: Random, model: Any) -> None:
    graph, op = model.subgraphs[0], rng.choice(_own_ops(model))
    field, other = rng.choice(("inputs", "inputs", "outputs")), rng.choice(_own_ops(model))
    found, count, kind = int_list(getattr(op, field)), len(graph.tensors), rng.randrange(5)
    if kind == 0:
        found = found[::-1] if rng.random() < 0.5 else found[:-1]
    elif kind == 1:
        found.append(rng.randrange(count))
    elif kind == 2:
        found[rng.randrange(len(found))] = rng.choice((-1, -2, count, 2**31 - 1))
    elif kind == 3:
        found[rng.randrange(len(found))] = rng.randrange(count)
    else:
        found[0] = int(other.inputs[0] if field == "inputs" else other.outputs[0])
    setattr(op, field, int32(found))


def own_order(rng: Random, model: Any) -> None:
    graph, chosen, kind = model.subgraphs[0], rng.choice(_own_ops(model)), rng.randrange(3)
    ops = list(graph.operators)
    place = next(i for i, op in enumerate(ops) if op is chosen)
    if kind == 0:
        del ops[place]
    elif kind == 1:
        ops.insert(rng.randrange(len(ops)), ops.pop(place))
    else:
        ops.insert(place, copy.copy(chosen))
    graph.operators = ops


def own_kind(rng: Random, model: Any) -> None:
    codes = [i for i, code in enumerate(model.operatorCodes) if code.customCode in OWN_OPS]
    if rng.random() < 0.5:
        rng.choice(_own_ops(model)).opcodeIndex = rng.choice(codes)
    else:
        model.operatorCodes[rng.choice(codes)].version = rng.choice((0, 2, 127))


def constant_operand(rng: Random, model: Any) -> None:
    """What is encoded or decoded, or what is written, is a constant."""
    op = rng.choice(_own_ops(model))
    tensor = _of(model, rng.choice((op.inputs[0], op.outputs[0])))
    model.buffers.append(schema.BufferT(data=np.frombuffer(rng.randbytes(int(np.prod(tensor.shape))), np.uint8)))
    tensor.buffer = len(model.buffers) - 1


def own_ends(rng: Random, model: Any) -> None:
    """A coded tensor as input or output of the graph, or a variable."""
    graph, kind = model.subgraphs[0], rng.randrange(3)
    op = rng.choice([op for op in _own_ops(model) if not _is_encode(model, op)])
    coded = int(op.inputs[0])
    if kind == 0:
        graph.inputs = int32([*int_list(graph.inputs), coded])
        graph.operators = [o for o in graph.operators if coded not in int_list(o.outputs)]
    elif kind == 1:
        graph.outputs = int32([*int_list(graph.outputs), coded])
    else:
        _of(model, rng.choice((coded, op.outputs[0]))).isVariable = True


def own_shape(rng: Random, model: Any) -> None:
    op = rng.choice(_own_ops(model))
    tensor = _of(model, op.inputs[0] if _is_encode(model, op) else op.outputs[0])
    sizes = int_list(tensor.shape)
    place = rng.randrange(len(sizes))
    sizes[place] = rng.choice((0, -1, 1, 2, 2 * sizes[place], sizes[place] + 1, 2**31 - 1))
    tensor.shape = int32(sizes)


OWN_OP_CHANGES: Sequence[Change] = (
    *(side_information,) * 8,
    *(own_options, own_operands, capacity) * 4,
    *(side_tensor, own_order, own_ends, own_shape) * 2,
    *(own_kind, constant_operand),
)
