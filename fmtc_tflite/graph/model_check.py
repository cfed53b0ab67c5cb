"""Checks that a model from a file is one that this package can reason about, once, after it was read.

What is refused here no TFLite runtime runs either, or it runs into memory that nothing was written to. What a kernel
merely does not support is the runtime's to say. The values of constants (axes, paddings, ...) are checked by who reads
them, in `graph.operators`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

import numpy as np

from fmtc_tflite.errors import ModelFormatError
from fmtc_tflite.graph.model import Model, Op, Subgraph, Tensor
from fmtc_tflite.graph.names import DECODE, ENCODE

_MAX_BYTES = 1 << 62  # of one tensor; runtimes count in 64 bits


@dataclass(frozen=True)
class _Form:
    """What an operator must look like.

    Attributes:
      inputs: fewest and most inputs; the fewest must be present.
      options: name of its options table; None if nothing in it matters here.
      needs_options: without the table, runtimes would take all fields for 0.
      positive: fields of the options that must be at least 1.
    """

    inputs: tuple[int, int]
    options: str | None = None
    needs_options: bool = False
    positive: tuple[str, ...] = ()


_MANY = 1 << 30
_STRIDES = ("strideH", "strideW")
_POOL = _Form((1, 1), "Pool2DOptions", True, (*_STRIDES, "filterHeight", "filterWidth"))
_REDUCE = _Form((2, 2), "ReducerOptions")
_UNARY = _Form((1, 1))
_BINARY = {name: _Form((2, 2), f"{name.capitalize()}Options") for name in ("ADD", "SUB", "MUL", "DIV")}

# Operators that this package interprets. All write at least one tensor.
_FORMS: dict[str, _Form] = {
    **_BINARY,
    "AVERAGE_POOL_2D": _POOL,
    "CONCATENATION": _Form((1, _MANY), "ConcatenationOptions", True),
    "CONV_2D": _Form((2, 3), "Conv2DOptions", True, _STRIDES),
    "DEPTHWISE_CONV_2D": _Form((2, 3), "DepthwiseConv2DOptions", True, _STRIDES),
    "DEQUANTIZE": _UNARY,
    DECODE: _Form((2, 3)),  # a view may have a table
    ENCODE: _Form((2, 2)),
    "FULLY_CONNECTED": _Form((2, 3), "FullyConnectedOptions"),
    "L2_POOL_2D": _POOL,
    "LOGISTIC": _UNARY,
    "MAX_POOL_2D": _POOL,
    "MEAN": _REDUCE,
    "PAD": _Form((2, 2)),
    "PADV2": _Form((3, 3)),
    "QUANTIZE": _UNARY,
    "RELU": _UNARY,
    "RELU6": _UNARY,
    "RELU_0_TO_1": _UNARY,
    "RELU_N1_TO_1": _UNARY,
    "RESHAPE": _Form((1, 2), "ReshapeOptions"),
    "RESIZE_BILINEAR": _Form((2, 2), "ResizeBilinearOptions", True),
    "SOFTMAX": _Form((1, 1), "SoftmaxOptions"),
    "SQUEEZE": _Form((1, 1), "SqueezeOptions"),
    "STRIDED_SLICE": _Form((4, 4), "StridedSliceOptions", True),
    "SUM": _REDUCE,
    "TRANSPOSE_CONV": _Form((3, 4), "TransposeConvOptions", True, _STRIDES),
}


def check_model(model: Model) -> None:
    """Checks tensors, operators and the order of execution.

    Raises:
      ModelFormatError: the first thing that is wrong.
    """
    for subgraph in model.subgraphs:
        for tensor in subgraph.tensors:
            _check_shape(tensor)
            _check_constant(tensor)
            _check_quantization(tensor)
        for position, op in enumerate(subgraph.ops):
            _check_op(op, f"op {position} ({op.opcode}) of subgraph {subgraph.index}")
        _check_order(subgraph)
        _check_codec(subgraph)


def _fail(problem: str) -> None:
    raise ModelFormatError(f"inconsistent TFLite model: {problem}; export it again")


def _check_shape(tensor: Tensor) -> None:
    if any(size < 0 for size in tensor.shape):
        _fail(f"tensor '{tensor.name}' has the shape {list(tensor.shape)}, expected no negative sizes")
    item_bytes = 1 if tensor.dtype is None else tensor.dtype.itemsize
    if prod(tensor.shape) * item_bytes > _MAX_BYTES:
        _fail(f"tensor '{tensor.name}' of the shape {list(tensor.shape)} is larger than any memory")


def _check_constant(tensor: Tensor) -> None:
    if tensor.data is None or tensor.dtype is None or tensor.raw.sparsity is not None:
        return
    needed = prod(tensor.shape) * tensor.dtype.itemsize
    if tensor.data.size < needed:
        _fail(
            f"constant '{tensor.name}' has {tensor.data.size} bytes, its shape {list(tensor.shape)} and type "
            f"{tensor.type_name} need {needed}"
        )


def _check_quantization(tensor: Tensor) -> None:
    parameters = tensor.quantization
    if parameters is None or parameters.details is not None or parameters.scale is None:
        return
    if not np.isfinite(parameters.scale).all():
        _fail(f"tensor '{tensor.name}' has a scale that is no finite number")
    given = parameters.zeroPoint
    if given is not None and len(given) and len(parameters.scale) not in (0, len(given)):
        _fail(f"tensor '{tensor.name}' has {len(parameters.scale)} scales and {len(given)} zero points")


def _check_op(op: Op, where: str) -> None:
    constants = [tensor.name for tensor in op.outputs if tensor is not None and tensor.data is not None]
    if constants:
        _fail(f"{where} writes '{constants[0]}', a constant")
    form = _FORMS.get(op.opcode)
    if form is None:
        return
    fewest, most = form.inputs
    if not fewest <= len(op.inputs) <= most or None in op.inputs[:fewest]:
        absent = op.inputs.count(None)
        expected = str(fewest) if fewest == most else f"{fewest} or more" if most == _MANY else f"{fewest} to {most}"
        _fail(f"{where} has {len(op.inputs)} inputs, {absent} of them absent, expected {expected}")
    if not op.outputs or op.outputs[0] is None:
        _fail(f"{where} has no output")
    if form.options is None:
        return
    found = None if op.options is None else type(op.options).__name__.removesuffix("T")
    if found not in (form.options, *(() if form.needs_options else (None,))):
        _fail(f"{where} has {found or 'no options'}, expected {form.options}")
    for field in form.positive:
        if getattr(op.options, field) < 1:
            _fail(f"{where} has {field} {getattr(op.options, field)}, expected 1 or more")


def _check_order(subgraph: Subgraph) -> None:
    """No op reads what was never written: that memory holds anything, or does not exist.

    Except custom ops, whose inputs may be working memory, as in models that were compiled for an NPU.
    """
    written = {id(tensor) for tensor in (*subgraph.inputs, *_given(subgraph))}
    for position, op in enumerate(subgraph.ops):
        early = [t for t in op.inputs if t is not None and id(t) not in written]
        if early and (op.opcode in _FORMS or not op.is_custom):
            where = f"op {position} ({op.opcode}) of subgraph {subgraph.index}"
            _fail(f"{where} reads '{early[0].name}' before any op has written it")
        written |= {id(tensor) for tensor in op.outputs}
    for tensor in subgraph.outputs:
        if id(tensor) not in written:
            _fail(f"no op writes '{tensor.name}', an output of subgraph {subgraph.index}")


def _given(subgraph: Subgraph) -> Iterator[Tensor]:
    """Tensors that have a value, or none to have, before the first op runs."""
    for tensor in subgraph.tensors:
        is_empty = 0 in tensor.shape
        if tensor.data is not None or tensor.is_variable or is_empty or tensor.raw.externalBuffer:
            yield tensor


def _check_codec(subgraph: Subgraph) -> None:
    """This package's own ops: what they code, how large it may get, and that what is decoded was encoded."""
    encoded: set[int] = set()
    for position, op in enumerate(subgraph.ops):
        if op.opcode not in (ENCODE, DECODE):
            continue
        where = f"op {position} ({op.opcode}) of subgraph {subgraph.index}"
        source, side, result = op.inputs[0], op.inputs[1], op.outputs[0]
        assert source is not None
        assert side is not None
        assert result is not None
        feature_map, coded = (source, result) if op.opcode == ENCODE else (result, source)
        if side.data is None or side.dtype != np.uint8:
            _fail(f"{where} reads '{side.name}', expected a constant of bytes")
        if feature_map.dtype not in (np.int8, np.uint8) or len(feature_map.shape) != 4:
            _fail(f"{where} codes '{feature_map.name}' {feature_map.type_name} {list(feature_map.shape)}")
        if coded.dtype != np.uint8 or len(coded.shape) != 2:
            _fail(f"{where} has the coded tensor '{coded.name}' {coded.type_name} {list(coded.shape)}")
        if coded is source and id(coded) not in encoded:
            _fail(f"{where} reads '{coded.name}', which no FMTC_ENCODE has written before")
        if coded is result:
            encoded.add(id(coded))
            _check_capacity(feature_map, coded, where)


def _check_capacity(feature_map: Tensor, coded: Tensor, where: str) -> None:
    """The ops accept up to twice what always suffices; see FORMAT.md section 3 for how much that is."""
    batch, height, width, channels = feature_map.shape
    most = 2 * (16 + 4 * height + height * width * channels + 8)
    if coded.shape[0] != batch or coded.shape[1] > most:
        _fail(
            f"{where} has the coded tensor '{coded.name}' {list(coded.shape)} for '{feature_map.name}' "
            f"{list(feature_map.shape)}, expected [{batch}, at most {most}]"
        )
