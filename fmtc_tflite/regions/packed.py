"""Weights and biases as a program holds them, back to the form that they have in a graph (REGION.md, section 5)."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace

import numpy as np

from fmtc_tflite.errors import ModelFormatError
from fmtc_tflite.graph.model import Tensor
from fmtc_tflite.regions.program import Program

_CONV, _DEPTHWISE, _FULLY_CONNECTED, _TRANSPOSE_CONV = 1, 2, 3, 23
_PARAMETERS = struct.Struct("<8HIHBbBBBBIIIIIII8x")
_BLOCK, _STEP = 16, 4  # output channels of a block, values of a k-step
_WEIGHTS = 1  # the graph's input; biases are the next


@dataclass(frozen=True)
class _Packed:
    """What the parameters of a convolution or fully connected op say."""

    kind: int
    kernel: tuple[int, int]
    groups: int
    weight_zero: int
    weights: int
    biases: int
    strides: tuple[int, int]


def unpack_constant(program: Program, op: int, operand: int, tensor: Tensor) -> np.ndarray | None:
    """The constant of a graph's op from the op of a program that it became.

    Args:
      operand: 1 for weights, 2 for biases.
      tensor: says shape and type.

    Returns:
      An array of the tensor's shape and type, or None where the program does not hold the constant in that form.

    Raises:
      ModelFormatError: the program's offsets lead out of it.
    """
    record = program.ops[op]
    kinds = (_CONV, _DEPTHWISE, _FULLY_CONNECTED, _TRANSPOSE_CONV)
    if record.kind not in kinds or len(record.parameters) != _PARAMETERS.size:
        return None
    kernel_rows, kernel_columns, *strides, _, _, _, _, _, groups, _, weight_zero = _PARAMETERS.unpack(
        record.parameters
    )[:12]
    places = _PARAMETERS.unpack(record.parameters)[16:18]
    kernel = (kernel_rows, kernel_columns)
    packed = _Packed(record.kind, kernel, max(groups, 1), weight_zero, places[0], places[1], (strides[0], strides[1]))
    if operand == _WEIGHTS:
        weights = _weights(program, op, packed, tensor.shape)
        return None if weights is None else _as_stored(weights, tensor)
    return _biases(program, op, packed, tensor)


def _as_stored(weights: np.ndarray, tensor: Tensor) -> np.ndarray:
    return (weights.view(np.uint8) ^ 0x80) if tensor.dtype == np.uint8 else weights


def _weights(program: Program, op: int, packed: _Packed, shape: tuple[int, ...]) -> np.ndarray | None:
    """Stored int8 weights in the graph's order."""
    if packed.kind == _DEPTHWISE:
        if len(shape) != 4 or shape[1:3] != packed.kernel:
            return None
        channels = -(-shape[3] // _BLOCK) * _BLOCK
        array = _array(program, packed.weights, np.int8, (*packed.kernel, channels))
        return np.ascontiguousarray(array[None, :, :, : shape[3]])
    if packed.kind == _CONV:
        if len(shape) != 4 or shape[1:3] != packed.kernel or shape[0] % packed.groups:
            return None
        inputs = program.tensors[program.ops[op].inputs[0]].channels
        if shape[0] == inputs == 1 < shape[3]:  # of a depthwise op
            blocks = _blocks(program, packed, 1, (shape[3], *packed.kernel, 1))
            return np.ascontiguousarray(blocks.reshape(shape[3], *packed.kernel).transpose(1, 2, 0)[None])
        if shape[3] * packed.groups != inputs:
            return None
        return _blocks(program, packed, packed.groups, (shape[0], *packed.kernel, shape[3])).reshape(shape)
    if packed.kind == _TRANSPOSE_CONV:
        return _phases(program, packed, shape)
    source = program.tensors[program.ops[op].inputs[0]]
    if len(shape) != 2 or shape[1] != source.height * source.width * source.channels:
        return None
    rows = _blocks(program, packed, 1, (shape[0], source.width, source.channels), source.height)
    return np.ascontiguousarray(rows).reshape(shape)


def _blocks(
    program: Program, packed: _Packed, groups: int, shape: tuple[int, ...], rows: int | None = None
) -> np.ndarray:
    """[rows][groups * blocks][K / 4][16][4] as [output channels][rows][taps][input channels], rows left out if None."""
    outputs, *taps, inputs = shape
    own = outputs // groups
    blocks, padded = -(-own // _BLOCK), -(-inputs // _STEP) * _STEP
    k = int(np.prod(taps)) * padded
    array = _array(program, packed.weights, np.int8, (rows or 1, groups, blocks, k // _STEP, _BLOCK, _STEP))
    array = array.transpose(1, 2, 4, 0, 3, 5).reshape(groups, blocks * _BLOCK, rows or 1, *taps, padded)
    array = array[:, :own, ..., :inputs].reshape(outputs, rows or 1, *taps, inputs)
    return np.ascontiguousarray(array)


def _phases(program: Program, packed: _Packed, shape: tuple[int, ...]) -> np.ndarray | None:
    """The kernel whose taps the phases of the strides have between them, each its own from the last back."""
    if len(shape) != 4 or any(k < taps for k, taps in zip(packed.kernel, shape[1:3], strict=True)):
        return None
    whole = np.zeros((shape[0], *packed.kernel, shape[3]), np.int8)
    place = packed.weights
    for row in range(packed.strides[0]):
        for column in range(packed.strides[1]):
            part = whole[:, row :: packed.strides[0], column :: packed.strides[1]]
            blocks = _blocks(program, replace(packed, weights=place), 1, part.shape).reshape(part.shape)
            part[...] = blocks[:, ::-1, ::-1]
            padded = -(-shape[0] // _BLOCK) * _BLOCK * -(-shape[3] // _STEP) * _STEP
            place += padded * part.shape[1] * part.shape[2]
    return np.ascontiguousarray(whole[:, : shape[1], : shape[2]])


def _biases(program: Program, op: int, packed: _Packed, tensor: Tensor) -> np.ndarray | None:
    """The biases without the input's zero point, which the program has folded into them."""
    outputs = int(np.prod(tensor.shape))
    if packed.kind == _TRANSPOSE_CONV or tensor.dtype != np.int32 or outputs % packed.groups:
        return None
    own = outputs // packed.groups
    padded = -(-own // _BLOCK) * _BLOCK
    folded = _array(program, packed.biases, np.int32, (packed.groups, padded))[:, :own].reshape(-1)
    sums = _weight_sums(program, op, packed, outputs)
    if sums is None:
        return None
    zero_point = program.tensors[program.ops[op].inputs[0]].padding
    return (folded.astype(np.int64) + zero_point * sums).astype(np.int32).reshape(tensor.shape)


def _weight_sums(program: Program, op: int, packed: _Packed, outputs: int) -> np.ndarray | None:
    """Of w - zw over all taps and input channels, int64 [output channels]."""
    source = program.tensors[program.ops[op].inputs[0]]
    if packed.kind == _DEPTHWISE:
        shape: tuple[int, ...] = (1, *packed.kernel, outputs)
    elif packed.kind == _CONV:
        shape = (outputs, *packed.kernel, source.channels // packed.groups)
    else:
        shape = (outputs, source.height * source.width * source.channels)
    weights = _weights(program, op, packed, shape)
    if weights is None:
        return None
    by_output = weights.reshape(-1, outputs).T if packed.kind == _DEPTHWISE else weights.reshape(outputs, -1)
    return (by_output.astype(np.int64) - packed.weight_zero).sum(axis=1)


def _array(program: Program, offset: int, dtype: type, shape: tuple[int, ...]) -> np.ndarray:
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    if offset + size > len(program.content):
        raise ModelFormatError(
            f"region program: an array of {size} bytes at {offset}, beyond its {len(program.content)} bytes"
        )
    return np.frombuffer(program.content, np.dtype(dtype).newbyteorder("<"), int(np.prod(shape)), offset).reshape(shape)
