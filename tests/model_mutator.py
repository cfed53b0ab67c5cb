"""Damages .tflite files, at random and repeatably: what a seed does to a file is always the same.

A third of the damage is to bytes of the flatbuffer's structure, the rest to the objects in it: shapes, types,
quantization, buffers, the order and operands of ops, options, metadata, and this package's own ops and constants.
"""

from __future__ import annotations

import copy
import random
import struct
from collections.abc import Callable, Sequence
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from fmtc_tflite.coding.crc32c import crc32c

INTEGERS = (0, 1, 2, 3, 7, -1, -2, 127, 128, 255, 256, 46341, 65535, 65536, 1_000_000, 2**31 - 1, -(2**31))
FLOATS = (0.0, -0.0, -1.0, 1e-45, 1e-30, 1e38, float("nan"), float("inf"), -float("inf"))
OWN_OPS = (b"FMTC_ENCODE", b"FMTC_DECODE")
CUSTOM_CODES = (None, b"", *OWN_OPS, b"\xff\xfe", b"a\nb", b"TFLite_Detection_PostProcess", b"x" * 5000)
NAMES = (None, b"", b"\xff\xfe\x00a", b"x" * 20_000, b"a\nb\x1b[31m", "ü漢字".encode(), b"../../x")
METADATA = (b"", b"{", b"[]", b"null", b"{}", b"\xff", b"[" * 100_000, b'{"sites":[1]}', b'{"sites":{},"model":3}')
LARGE = (0, 1, 2, 100, 2**31, 2**63, 2**64 - 1)

Random = random.Random
Change = Callable[[Random, Any], None]


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
    changes = OWN if own_ops_only else ANY
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


# --- objects ----------------------------------------------------------------------------------------------------------


def _graph(rng: Random, model: Any) -> Any:
    return rng.choice(model.subgraphs)


def _tensor(rng: Random, model: Any) -> Any:
    return rng.choice(_graph(rng, model).tensors)


def _op(rng: Random, model: Any) -> Any:
    return rng.choice(list(_graph(rng, model).operators))


def _list(vector: Any) -> list[int]:
    return [] if vector is None else [int(value) for value in vector]


def _int32(values: Sequence[int]) -> np.ndarray:
    return np.array(values, np.int64).astype(np.int32)


def shape(rng: Random, model: Any) -> None:
    tensor = _tensor(rng, model)
    sizes = _list(tensor.shape)
    kind = rng.randrange(6)
    if kind < 3 and sizes:
        sizes[rng.randrange(len(sizes))] = rng.choice(INTEGERS)
    elif kind == 3:
        sizes.append(rng.choice(INTEGERS))
    elif kind == 4:
        sizes = sizes[:-1]
    else:
        sizes = [rng.choice(INTEGERS) for _ in range(rng.randrange(7))]
    tensor.shape = None if rng.random() < 0.05 else _int32(sizes)


def shape_signature(rng: Random, model: Any) -> None:
    tensor = _tensor(rng, model)
    tensor.shapeSignature = _int32([rng.choice((size, -1, rng.choice(INTEGERS))) for size in _list(tensor.shape)])


def tensor_type(rng: Random, model: Any) -> None:
    _tensor(rng, model).type = rng.choice((*range(19), 99, -1))


def buffer_index(rng: Random, model: Any) -> None:
    count = len(model.buffers)
    _tensor(rng, model).buffer = rng.choice((0, 1, count - 1, count, rng.randrange(count), 2**32 - 1))


def quantization(rng: Random, model: Any) -> None:
    tensors = [t for t in _graph(rng, model).tensors if t.quantization is not None and t.quantization.scale is not None]
    parameters = rng.choice(tensors).quantization
    scales = [float(scale) for scale in parameters.scale]
    zero_points, kind = _list(parameters.zeroPoint), rng.randrange(8)
    if kind < 3 and scales:
        scales[rng.randrange(len(scales))] = rng.choice(FLOATS)
    elif kind == 3:
        scales += [rng.choice((*FLOATS, 0.05))] * rng.choice((1, 2, 5))
    elif kind == 4:
        scales = scales[:-1]
    elif kind == 5 and zero_points:
        zero_points[0] = rng.choice((-129, -128, 127, 128, 255, 2**31, -(2**40), 2**63 - 1))
    elif kind == 6:
        zero_points += [0] * rng.choice((1, 7))
    else:
        parameters.quantizedDimension = int(rng.choice(INTEGERS))
    parameters.scale, parameters.zeroPoint = np.array(scales, np.float32), np.array(zero_points, np.int64)
    if rng.random() < 0.1:
        parameters.zeroPoint = None


def no_quantization(rng: Random, model: Any) -> None:
    _tensor(rng, model).quantization = rng.choice((None, schema.QuantizationParametersT()))


def buffer_data(rng: Random, model: Any) -> None:
    buffer = rng.choice(model.buffers[1:])
    data, kind = np.array(buffer.data, np.uint8), rng.randrange(6)
    if kind == 0:
        buffer.data = None
    elif kind == 1:
        buffer.data = data[: rng.randrange(len(data))]
    elif kind == 2:
        buffer.data = np.concatenate([data, np.zeros(rng.choice((1, 3, 16, 1000)), np.uint8)])
    elif kind == 3:
        buffer.offset, buffer.size = rng.choice(LARGE), rng.choice(LARGE)
    elif kind == 4:
        data[:4] = np.frombuffer(struct.pack("<i", rng.choice(INTEGERS)), np.uint8)
        buffer.data = data
    else:
        buffer.data = np.frombuffer(rng.randbytes(len(data)), np.uint8)


def operands(rng: Random, model: Any) -> None:
    graph = _graph(rng, model)
    op, field, count = rng.choice(list(graph.operators)), rng.choice(("inputs", "outputs")), len(graph.tensors)
    found, kind = _list(getattr(op, field)), rng.randrange(8)
    other = rng.choice((-1, -2, count, 2**31 - 1, -(2**31), *(rng.randrange(count) for _ in range(3))))
    if kind < 4 and found:
        found[rng.randrange(len(found))] = other
    elif kind == 4:
        found.append(other)
    elif kind == 5:
        found = found[:-1]
    elif kind == 6:
        found = []
    else:
        found[0] = int(op.outputs[0])
    setattr(op, field, _int32(found))


def order(rng: Random, model: Any) -> None:
    graph = _graph(rng, model)
    ops = list(graph.operators)
    first, second = sorted(rng.sample(range(len(ops)), 2))
    kind = rng.randrange(4)
    if kind == 0:
        ops[first].inputs = _int32([int(ops[second].outputs[0]), *_list(ops[first].inputs)[1:]])
    elif kind == 1:
        ops[first], ops[second] = ops[second], ops[first]
    elif kind == 2:
        ops.insert(first, copy.copy(ops[second]))
    else:
        del ops[first]
    graph.operators = ops


def operator_code(rng: Random, model: Any) -> None:
    code, kind = rng.choice(model.operatorCodes), rng.randrange(6)
    if kind == 0:
        count = len(model.operatorCodes)
        _op(rng, model).opcodeIndex = rng.choice((count, 2**32 - 1, rng.randrange(count)))
    elif kind == 1:
        code.builtinCode = rng.choice((*range(-5, 210), 2**31 - 1, -(2**31)))
    elif kind == 2:
        code.deprecatedBuiltinCode = rng.randrange(-128, 128)
    elif kind == 3:
        code.version = rng.choice(INTEGERS)
    elif kind == 4:
        code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
        code.customCode = rng.choice(CUSTOM_CODES)
    else:
        model.operatorCodes = model.operatorCodes[:-1]


def no_options(rng: Random, model: Any) -> None:
    op = _op(rng, model)
    op.builtinOptions, op.builtinOptionsType = None, 0


def other_options(rng: Random, model: Any) -> None:
    op, other = _op(rng, model), _op(rng, model)
    if rng.random() < 0.3:
        op.builtinOptionsType = rng.choice((0, 1, 5, 8, 99, 127, 255))
    else:
        op.builtinOptions, op.builtinOptionsType = other.builtinOptions, other.builtinOptionsType


def option(rng: Random, model: Any) -> None:
    ops = [op for graph in model.subgraphs for op in graph.operators if op.builtinOptions is not None]
    options = rng.choice(ops).builtinOptions
    name = rng.choice(list(vars(options)))
    value = getattr(options, name)
    if isinstance(value, float):
        setattr(options, name, rng.choice(FLOATS))
    elif isinstance(value, int | np.integer):
        setattr(options, name, rng.choice((0, 1, 2, 3, 6, 100, 127, -1, *INTEGERS)))
    else:
        setattr(options, name, _int32([rng.choice(INTEGERS) for _ in range(rng.randrange(6))]))


def custom_options(rng: Random, model: Any) -> None:
    op = _op(rng, model)
    if rng.random() < 0.5:
        op.customOptions = np.frombuffer(rng.randbytes(rng.choice((0, 1, 3, 16, 200))), np.uint8)
    else:
        op.largeCustomOptionsOffset, op.largeCustomOptionsSize = rng.choice(LARGE), rng.choice(LARGE)


def graph_ends(rng: Random, model: Any) -> None:
    graph = _graph(rng, model)
    field, count, kind = rng.choice(("inputs", "outputs")), len(graph.tensors), rng.randrange(5)
    found = _list(getattr(graph, field))
    other = rng.choice((-1, count, 2**31 - 1, *(rng.randrange(count) for _ in range(3))))
    if kind < 2 and found:
        found[rng.randrange(len(found))] = other
    elif kind == 2:
        found.append(other)
    else:
        found = [] if kind == 3 else found * 2
    setattr(graph, field, _int32(found))


def name(rng: Random, model: Any) -> None:
    _tensor(rng, model).name = rng.choice((*NAMES, _tensor(rng, model).name))


def metadata(rng: Random, model: Any) -> None:
    kind, count = rng.randrange(4), len(model.buffers)
    if kind == 0:
        names = (b"fmtc_conversion", b"min_runtime_version", b"TFLITE_METADATA", b"x", None)
        entry = schema.MetadataT(rng.choice(names), rng.choice((0, count - 1, count, 2**32 - 1)))
    elif kind == 1:
        model.buffers.append(schema.BufferT(data=np.frombuffer(rng.choice(METADATA), np.uint8)))
        entry = schema.MetadataT(b"fmtc_conversion", count)
    elif kind == 2:
        model.metadataBuffer = _int32([rng.choice((0, 5, -1, 10**6))])
        return
    else:
        pair = schema.TensorMapT(name=rng.choice((b"x", None, b"\xff")), tensorIndex=rng.choice((0, 1, 10**6)))
        key, graph = rng.choice((b"k", None)), rng.choice((0, 1, 2**32 - 1))
        model.signatureDefs = [*(model.signatureDefs or []), schema.SignatureDefT([pair], None, key, graph)]
        return
    model.metadata = [entry, *(model.metadata or [])]


def graphs(rng: Random, model: Any) -> None:
    kind = rng.randrange(4)
    empty = schema.SubGraphT(tensors=[], inputs=[], outputs=[], operators=[])
    if kind == 0:
        model.subgraphs = [*model.subgraphs, copy.copy(model.subgraphs[0])]
    elif kind == 1:
        model.subgraphs = [empty, *model.subgraphs] if rng.random() < 0.5 else [*model.subgraphs, empty]
    elif kind == 2:
        _graph(rng, model).operators = []
    else:
        graph = _graph(rng, model)
        graph.tensors = graph.tensors[:-1]


def tensor_flags(rng: Random, model: Any) -> None:
    tensor, kind = _tensor(rng, model), rng.randrange(3)
    if kind == 0:
        tensor.isVariable = True
    elif kind == 1:
        traversal = _int32([rng.choice(INTEGERS) for _ in range(3)])
        tensor.sparsity = schema.SparsityParametersT(traversalOrder=traversal, blockMap=_int32([0]), dimMetadata=[])
    else:
        tensor.hasRank, tensor.externalBuffer = rng.random() < 0.5, rng.choice((0, 1, 9))


# --- this package's ops -----------------------------------------------------------------------------------------------


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
    tensor.shape = _int32([len(data)])


def side_tensor(rng: Random, model: Any) -> None:
    op, kind = rng.choice(_own_ops(model)), rng.randrange(5)
    tensor = _of(model, op.inputs[1])
    size = int(tensor.shape[0])
    if kind == 0:
        tensor.type = rng.choice((0, 2, 4, 5, 6, 9))
    elif kind == 1:
        tensor.buffer = 0
    elif kind == 2:
        tensor.shape = _int32(rng.choice(([1, size], [size, 1], [], [0], [size - 1], [size + 1], [-1])))
    elif kind == 3:
        tensor.isVariable, tensor.buffer = True, rng.choice((0, tensor.buffer))
    else:
        op.inputs = _int32([int(op.inputs[0]), int(rng.choice(_own_ops(model)).inputs[1])])


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
    tensor.shape = _int32(rng.choice((*sizes, [1, 1, size], [1, 2**31 - 1], [1, 2**30])))
    if rng.random() < 0.2:
        tensor.type = rng.choice((0, 9))


def own_operands(rng: Random, model: Any) -> None:
    graph, op = model.subgraphs[0], rng.choice(_own_ops(model))
    field, other = rng.choice(("inputs", "inputs", "outputs")), rng.choice(_own_ops(model))
    found, count, kind = _list(getattr(op, field)), len(graph.tensors), rng.randrange(5)
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
    setattr(op, field, _int32(found))


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
        graph.inputs = _int32([*_list(graph.inputs), coded])
        graph.operators = [o for o in graph.operators if coded not in _list(o.outputs)]
    elif kind == 1:
        graph.outputs = _int32([*_list(graph.outputs), coded])
    else:
        _of(model, rng.choice((coded, op.outputs[0]))).isVariable = True


def own_shape(rng: Random, model: Any) -> None:
    op = rng.choice(_own_ops(model))
    tensor = _of(model, op.inputs[0] if _is_encode(model, op) else op.outputs[0])
    sizes = _list(tensor.shape)
    place = rng.randrange(len(sizes))
    sizes[place] = rng.choice((0, -1, 1, 2, 2 * sizes[place], sizes[place] + 1, 2**31 - 1))
    tensor.shape = _int32(sizes)


ANY: Sequence[Change] = (
    *(shape,) * 4,
    *(quantization,) * 4,
    *(operands,) * 4,
    *(option,) * 4,
    *(order, operator_code, graph_ends, buffer_data, other_options) * 2,
    *(shape_signature, tensor_type, buffer_index, no_quantization, no_options, custom_options),
    *(name, metadata, graphs, tensor_flags),
)
OWN: Sequence[Change] = (
    *(side_information,) * 8,
    *(own_options, own_operands, capacity) * 4,
    *(side_tensor, own_order, own_ends, own_shape) * 2,
    *(own_kind, constant_operand),
)
