"""PAD, SLICE, TRANSPOSE and CONCATENATION: values move and do not change."""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from math import prod
from typing import ClassVar

from fmtc_tflite.graph.model import Op, Tensor
from fmtc_tflite.graph.operators import constants
from fmtc_tflite.graph.operators.window import operand, result_of
from fmtc_tflite.regions.kernel_sets import KernelSet
from fmtc_tflite.regions.kinds.elementwise import ElementwiseOp
from fmtc_tflite.regions.kinds.facts import is_4d, quantized, require, same_quantization, scale_of, zero_point_of
from fmtc_tflite.regions.ops import RegionOp, RegionTensor

AddArray = Callable[[bytes, int], int]

_PAD = struct.Struct("<IIIB3x")
_SLICE = struct.Struct("<IIII")
_TRANSPOSE = struct.Struct("<iiiI")
_MAX_INPUTS = 256


def _clipped(value: int, size: int) -> int:
    return min(max(value, 0), size - 1)


@dataclass(frozen=True, eq=False)
class Pad(RegionOp):
    """PAD: the input within an output of its zero point.

    Attributes:
      above, left, before: rows, columns and channels before the input's.
    """

    kind: ClassVar[int] = 10
    above: int
    left: int
    before: int

    def rows_needed(self, operand: int, step: int) -> tuple[int, int]:
        row = _clipped(step - self.above, self.inputs[0].height)
        return row, row

    def columns_needed(self, operand: int, first: int, end: int) -> tuple[int, int]:
        width = self.inputs[0].width
        return _clipped(first - self.left, width), _clipped(end - 1 - self.left, width) + 1

    def parameters(self, add: AddArray, outside: Collection[RegionTensor]) -> bytes:
        return _PAD.pack(self.above, self.left, self.before, self.output.zero_point)


@dataclass(frozen=True, eq=False)
class Slice(RegionOp):
    """SLICE: every so many rows and columns from a first one on."""

    kind: ClassVar[int] = 11
    rows: slice
    columns: slice

    def rows_needed(self, operand: int, step: int) -> tuple[int, int]:
        row = self.rows.start + step * self.rows.step
        return row, row

    def columns_needed(self, operand: int, first: int, end: int) -> tuple[int, int]:
        start, step = self.columns.start, self.columns.step
        return start + first * step, start + (end - 1) * step + 1

    def parameters(self, add: AddArray, outside: Collection[RegionTensor]) -> bytes:
        return _SLICE.pack(self.rows.start, self.rows.step, self.columns.start, self.columns.step)


@dataclass(frozen=True, eq=False)
class Transpose(RegionOp):
    """TRANSPOSE of an input of the region, which counts as one row of elements.

    Attributes:
      strides: elements from one row, column and channel of the output to the next.
    """

    kind: ClassVar[int] = 12
    strides: tuple[int, int, int]

    def rows_needed(self, operand: int, step: int) -> tuple[int, int]:
        return 0, 0

    def columns_needed(self, operand: int, first: int, end: int) -> tuple[int, int]:
        return 0, 1

    def reads_region_inputs(self, operand: int) -> bool:
        return True

    def parameters(self, add: AddArray, outside: Collection[RegionTensor]) -> bytes:
        return _TRANSPOSE.pack(*self.strides, 0)


@dataclass(frozen=True, eq=False)
class Concatenation(ElementwiseOp):
    """CONCATENATION on channels."""

    kind: ClassVar[int] = 13

    def parameters(self, add: AddArray, outside: Collection[RegionTensor]) -> bytes:
        return b""


def build_pad(op: Op, tensor_of: Callable[[Tensor], RegionTensor], kernels: KernelSet) -> RegionOp:
    """PAD of rows, columns and channels."""
    source, result = same_quantization(op)
    require(is_4d(source, result), "its tensors are not of rank 4")
    paddings = constants.paddings(op, 4)
    require(paddings[0] == (0, 0), "it pads the batch")
    padded = tuple(size + sum(pad) for size, pad in zip(source.shape, paddings, strict=True))
    require(padded == tuple(result.shape), "its output has another shape than its paddings say")
    above, left, before = (first for first, _ in paddings[1:])
    return Pad(op, (tensor_of(source),), tensor_of(result), 1, above, left, before)


def build_slice(op: Op, tensor_of: Callable[[Tensor], RegionTensor], kernels: KernelSet) -> RegionOp:
    """SLICE of a STRIDED_SLICE along height and width."""
    source, result = same_quantization(op)
    require(is_4d(source, result), "its tensors are not of rank 4")
    slices = constants.strided_slices(op)
    require(slices is not None, "it does more than cut rows and columns")
    assert slices is not None
    whole = [slice(0, size, 1) for size in source.shape]
    require(slices[0] == whole[0] and slices[3] == whole[3], "it cuts the batch or the channels")
    sizes = tuple(len(range(cut.start, cut.stop, cut.step)) for cut in slices)
    require(sizes == tuple(result.shape) and min(sizes) > 0, "its output has another shape than its slices say")
    return Slice(op, (tensor_of(source),), tensor_of(result), 1, slices[1], slices[2])


def build_transpose(op: Op, tensor_of: Callable[[Tensor], RegionTensor], kernels: KernelSet) -> RegionOp:
    """TRANSPOSE of each item of a graph's input, rank 4."""
    source, result = quantized(operand(op, 0)), quantized(result_of(op))
    require(is_4d(source, result) and source.dtype == result.dtype, "its tensors are not of rank 4 and one type")
    order = constants.integers(op, 1)
    require(sorted(order) == [0, 1, 2, 3] and order[0] == 0, "it moves the batch")
    require(tuple(source.shape[axis] for axis in order) == tuple(result.shape), "its output has another shape")
    strides = [prod(source.shape[axis + 1 :]) for axis in order]
    output = tensor_of(result)
    # The same elements of the same tensor, seen as one row.
    row = replace(tensor_of(source), height=1, width=1, channels=prod(source.shape[1:]))
    return Transpose(op, (row,), output, 1, (strides[1], strides[2], strides[3]))


def build_concatenation(op: Op, tensor_of: Callable[[Tensor], RegionTensor], kernels: KernelSet) -> RegionOp:
    """CONCATENATION on the last axis, of tensors with the output's scale."""
    result = quantized(result_of(op))
    sources = [quantized(operand(op, index)) for index in range(len(op.inputs))]
    require(is_4d(result, *sources), "its tensors are not of rank 4")
    require(op.options.axis in (-1, 3), "it does not concatenate channels")
    require(not op.options.fusedActivationFunction, "it has a fused activation")
    require(all(t.data is None for t in sources) and 0 < len(sources) <= _MAX_INPUTS, "it has constant inputs")
    for tensor in sources:
        same = scale_of(tensor) == scale_of(result) and zero_point_of(tensor) == zero_point_of(result)
        require(same and tensor.dtype == result.dtype, "its inputs have other scales or zero points than its output")
        require(tensor.shape[:3] == result.shape[:3], "its inputs have other rows and columns than its output")
    require(sum(t.shape[3] for t in sources) == result.shape[3], "its channels do not add up")
    return Concatenation(op, tuple(tensor_of(t) for t in sources), tensor_of(result), 1)
