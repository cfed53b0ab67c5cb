"""Damage to the objects of a .tflite file: shapes, types, quantization, buffers, ops, options, metadata.

A change is a function of a source of random numbers and of an unpacked model, which it damages in place.
"""

from __future__ import annotations

import copy
import random
import struct
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

INTEGERS = (0, 1, 2, 3, 7, -1, -2, 127, 128, 255, 256, 46341, 65535, 65536, 1_000_000, 2**31 - 1, -(2**31))
FLOATS = (0.0, -0.0, -1.0, 1e-45, 1e-30, 1e38, float("nan"), float("inf"), -float("inf"))
OWN_OPS = (b"FMTC_ENCODE", b"FMTC_DECODE")
CUSTOM_CODES = (None, b"", *OWN_OPS, b"\xff\xfe", b"a\nb", b"TFLite_Detection_PostProcess", b"x" * 5000)
NAMES = (None, b"", b"\xff\xfe\x00a", b"x" * 20_000, b"a\nb\x1b[31m", "ü漢字".encode(), b"../../x")
METADATA = (b"", b"{", b"[]", b"null", b"{}", b"\xff", b"[" * 100_000, b'{"sites":[1]}', b'{"sites":{},"model":3}')
LARGE = (0, 1, 2, 100, 2**31, 2**63, 2**64 - 1)

Random = random.Random
Change = Callable[[Random, Any], None]


def _graph(rng: Random, model: Any) -> Any:
    return rng.choice(model.subgraphs)


def _tensor(rng: Random, model: Any) -> Any:
    return rng.choice(_graph(rng, model).tensors)


def _op(rng: Random, model: Any) -> Any:
    return rng.choice(list(_graph(rng, model).operators))


def int_list(vector: Any) -> list[int]:
    return [] if vector is None else [int(value) for value in vector]


def int32(values: Sequence[int]) -> np.ndarray:
    return np.array(values, np.int64).astype(np.int32)


def shape(rng: Random, model: Any) -> None:
    tensor = _tensor(rng, model)
    sizes = int_list(tensor.shape)
    kind = rng.randrange(6)
    if kind < 3 and sizes:
        sizes[rng.randrange(len(sizes))] = rng.choice(INTEGERS)
    elif kind == 3:
        sizes.append(rng.choice(INTEGERS))
    elif kind == 4:
        sizes = sizes[:-1]
    else:
        sizes = [rng.choice(INTEGERS) for _ in range(rng.randrange(7))]
    tensor.shape = None if rng.random() < 0.05 else int32(sizes)


def shape_signature(rng: Random, model: Any) -> None:
    tensor = _tensor(rng, model)
    tensor.shapeSignature = int32([rng.choice((size, -1, rng.choice(INTEGERS))) for size in int_list(tensor.shape)])


def tensor_type(rng: Random, model: Any) -> None:
    _tensor(rng, model).type = rng.choice((*range(19), 99, -1))


def buffer_index(rng: Random, model: Any) -> None:
    count = len(model.buffers)
    _tensor(rng, model).buffer = rng.choice((0, 1, count - 1, count, rng.randrange(count), 2**32 - 1))


def quantization(rng: Random, model: Any) -> None:
    tensors = [t for t in _graph(rng, model).tensors if t.quantization is not None and t.quantization.scale is not None]
    parameters = rng.choice(tensors).quantization
    scales = [float(scale) for scale in parameters.scale]
    zero_points, kind = int_list(parameters.zeroPoint), rng.randrange(8)
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
    found, kind = int_list(getattr(op, field)), rng.randrange(8)
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
    setattr(op, field, int32(found))


def order(rng: Random, model: Any) -> None:
    graph = _graph(rng, model)
    ops = list(graph.operators)
    first, second = sorted(rng.sample(range(len(ops)), 2))
    kind = rng.randrange(4)
    if kind == 0:
        ops[first].inputs = int32([int(ops[second].outputs[0]), *int_list(ops[first].inputs)[1:]])
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
        setattr(options, name, int32([rng.choice(INTEGERS) for _ in range(rng.randrange(6))]))


def custom_options(rng: Random, model: Any) -> None:
    op = _op(rng, model)
    if rng.random() < 0.5:
        op.customOptions = np.frombuffer(rng.randbytes(rng.choice((0, 1, 3, 16, 200))), np.uint8)
    else:
        op.largeCustomOptionsOffset, op.largeCustomOptionsSize = rng.choice(LARGE), rng.choice(LARGE)


def graph_ends(rng: Random, model: Any) -> None:
    graph = _graph(rng, model)
    field, count, kind = rng.choice(("inputs", "outputs")), len(graph.tensors), rng.randrange(5)
    found = int_list(getattr(graph, field))
    other = rng.choice((-1, count, 2**31 - 1, *(rng.randrange(count) for _ in range(3))))
    if kind < 2 and found:
        found[rng.randrange(len(found))] = other
    elif kind == 2:
        found.append(other)
    else:
        found = [] if kind == 3 else found * 2
    setattr(graph, field, int32(found))


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
        model.metadataBuffer = int32([rng.choice((0, 5, -1, 10**6))])
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
        traversal = int32([rng.choice(INTEGERS) for _ in range(3)])
        tensor.sparsity = schema.SparsityParametersT(traversalOrder=traversal, blockMap=int32([0]), dimMetadata=[])
    else:
        tensor.hasRank, tensor.externalBuffer = rng.random() < 0.5, rng.choice((0, 1, 9))


GRAPH_CHANGES: Sequence[Change] = (
    *(shape,) * 4,
    *(quantization,) * 4,
    *(operands,) * 4,
    *(option,) * 4,
    *(order, operator_code, graph_ends, buffer_data, other_options) * 2,
    *(shape_signature, tensor_type, buffer_index, no_quantization, no_options, custom_options),
    *(name, metadata, graphs, tensor_flags),
)
