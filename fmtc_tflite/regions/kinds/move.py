"""PAD, STRIDED_SLICE, TRANSPOSE of an input, CONCATENATION: values move and stay what they are."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, replace

from fmtc_tflite.graph.operators import constants
from fmtc_tflite.graph.operators.activation import fused_activation
from fmtc_tflite.graph.operators.window import result_of
from fmtc_tflite.regions.kinds.elementwise import ElementwiseOp
from fmtc_tflite.regions.kinds.facts import Operands, require
from fmtc_tflite.regions.ops import RegionOp

Add = Callable[[bytes, int], int]

_RULE = 1
_MOST_INPUTS = 65535


@dataclass(frozen=True, eq=False)
class Pad(RegionOp):
    """PAD of rows, columns and channels with the zero point."""

    kind = 10
    above: int
    left: int
    channels_before: int

    def rows_needed(self, operand: int, step: int) -> tuple[int, int]:
        row = min(max(step - self.above, 0), self.inputs[0].height - 1)
        return row, row

    def columns_needed(self, operand: int, first: int, end: int) -> tuple[int, int]:
        width = self.inputs[0].width
        return min(max(first - self.left, 0), width - 1), max(min(end - self.left, width), 1)

    def parameters(self, add: Add) -> bytes:
        return struct.pack("<IIIB3x", self.above, self.left, self.channels_before, self.output.zero_point)


@dataclass(frozen=True, eq=False)
class Slice(RegionOp):
    """Every so many rows and columns from a first one."""

    kind = 11
    rows: slice
    columns: slice

    def rows_needed(self, operand: int, step: int) -> tuple[int, int]:
        row = self.rows.start + step * self.rows.step
        return row, row

    def columns_needed(self, operand: int, first: int, end: int) -> tuple[int, int]:
        start, step = self.columns.start, self.columns.step
        return start + first * step, start + (end - 1) * step + 1

    def parameters(self, add: Add) -> bytes:
        return struct.pack("<IIII", self.rows.start, self.rows.step, self.columns.start, self.columns.step)


@dataclass(frozen=True, eq=False)
class Transpose(RegionOp):
    """An input of the region, described as one pixel, in another order; `strides` of rows, columns and channels."""

    kind = 12
    strides: tuple[int, int, int]

    def rows_needed(self, operand: int, step: int) -> tuple[int, int]:
        return 0, 0

    def columns_needed(self, operand: int, first: int, end: int) -> tuple[int, int]:
        return 0, 1

    def reads_region_inputs(self, operand: int) -> bool:
        return True

    def needs_region_input(self, operand: int) -> bool:
        return True

    def parameters(self, add: Add) -> bytes:
        return struct.pack("<iiii", *self.strides, 0)


class Concatenation(ElementwiseOp):
    """Channels of several tensors one after another."""

    kind = 13

    def parameters(self, add: Add) -> bytes:
        return b""


def build_pad(operands: Operands) -> RegionOp:
    """From PAD."""
    operands.require_rank_4()
    operands.require_equal_quantization()
    source, result = operands.input(), operands.output()
    (batch, rows, columns, channels) = constants.paddings(operands.op, 4)
    require(batch == (0, 0), "it pads the batch")
    sides = [(source.height, rows), (source.width, columns), (source.channels, channels)]
    shape = tuple(size + before + after for size, (before, after) in sides)
    require(shape == (result.height, result.width, result.channels), "its output has another shape than it makes")
    return Pad(operands.op, (source,), result, _RULE, rows[0], columns[0], channels[0])


def build_slice(operands: Operands) -> RegionOp:
    """From STRIDED_SLICE that keeps the batch and all channels."""
    operands.require_rank_4()
    operands.require_equal_quantization()
    source, result = operands.input(), operands.output()
    found = constants.strided_slices(operands.op)
    require(found is not None, "it does more than take every so many rows and columns")
    assert found is not None
    batch, rows, columns, channels = found
    whole = (slice(0, operands.source().shape[0], 1), slice(0, source.channels, 1))
    require((batch, channels) == whole, "it slices the batch or the channels")
    shape = (len(range(source.height)[rows]), len(range(source.width)[columns]), source.channels)
    require(shape == (result.height, result.width, result.channels), "its output has another shape than it makes")
    return Slice(operands.op, (source,), result, _RULE, rows, columns)


def build_transpose(operands: Operands) -> RegionOp:
    """From TRANSPOSE of what comes from outside; the batch stays first."""
    operands.require_rank_4()
    operands.require_equal_quantization()
    source, result = operands.input(), operands.output()
    order = constants.integers(operands.op, 1)
    require(sorted(order) == [0, 1, 2, 3] and order[0] == 0, "it moves the batch")
    shape = operands.source().shape
    require(tuple(shape[axis] for axis in order) == result_of(operands.op).shape, "its output has another shape")
    strides = [0, shape[2] * shape[3], shape[3], 1]
    flat = replace(source, height=1, width=1, channels=source.height * source.width * source.channels)
    moved = (strides[order[1]], strides[order[2]], strides[order[3]])
    return Transpose(operands.op, (flat,), result, _RULE, moved)


def build_concatenation(operands: Operands) -> RegionOp:
    """From CONCATENATION on channels of equally quantized tensors."""
    operands.require_rank_4()
    axis = int(operands.op.options.axis)
    require(axis in (3, -1), "it is not on channels")
    require(fused_activation(operands.op) == 0, "it has a fused activation")
    result = operands.output()
    inputs = tuple(operands.input(index) for index in range(len(operands.op.inputs)))
    for index, tensor in enumerate(inputs):
        operands.require_equal_quantization(index)
        require((tensor.height, tensor.width) == (result.height, result.width), "its inputs have several sizes")
    require(sum(tensor.channels for tensor in inputs) == result.channels, "its output has another shape")
    require(len(inputs) <= _MOST_INPUTS, "it has too many inputs")
    return Concatenation(operands.op, inputs, result, _RULE)
