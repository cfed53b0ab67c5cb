"""TRANSPOSE and CONCATENATION: values move and do not change."""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from math import prod
from typing import ClassVar

import numpy as np

from fmtc_tflite.coding import rounding
from fmtc_tflite.graph.model import Op, Tensor
from fmtc_tflite.graph.operators import constants
from fmtc_tflite.graph.operators.window import operand, result_of
from fmtc_tflite.regions.kernel_sets import KernelSet
from fmtc_tflite.regions.kinds.elementwise import Table
from fmtc_tflite.regions.kinds.facts import (
    have_same_quantization,
    is_4d,
    item_axis,
    item_shape,
    quantized,
    require,
    scale_of,
    zero_point_of,
)
from fmtc_tflite.regions.kinds.pads import clipped
from fmtc_tflite.regions.ops import RegionOp, RegionTensor

AddArray = Callable[[bytes, int], int]
TensorOf = Callable[[Tensor], RegionTensor]

_TRANSPOSE = struct.Struct("<iiiI")
_CONCATENATION = struct.Struct("<B7x")
_MAX_INPUTS, _MAX_INPUTS_BESIDE = 256, 64
_ROWS, _COLUMNS, _CHANNELS = 0, 1, 2


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
class Concatenation(RegionOp):
    """CONCATENATION on rows (axis 0), columns (1) or channels (2)."""

    kind: ClassVar[int] = 13
    axis: int

    def _place(self, operand: int, place: int) -> int:
        """Along the axis: the input's place nearest to one of the output."""
        sizes = [(t.height, t.width)[self.axis] for t in self.inputs]
        return clipped(place - sum(sizes[:operand]), sizes[operand])

    def rows_needed(self, operand: int, step: int) -> tuple[int, int]:
        row = self._place(operand, step) if self.axis == _ROWS else step
        return row, row

    def columns_needed(self, operand: int, first: int, end: int) -> tuple[int, int]:
        if self.axis != _COLUMNS:
            return first, end
        return self._place(operand, first), self._place(operand, end - 1) + 1

    def parameters(self, add: AddArray, outside: Collection[RegionTensor]) -> bytes:
        return _CONCATENATION.pack(self.axis)


def build_transpose(op: Op, tensor_of: TensorOf, kernels: KernelSet) -> RegionOp:
    """TRANSPOSE of each item of a graph's input, rank 4, of 8 bits or float32."""
    source, result = operand(op, 0), result_of(op)
    if np.float32 not in (source.dtype, result.dtype):
        quantized(source)
        quantized(result)
    require(is_4d(source, result) and source.dtype == result.dtype, "its tensors are not of rank 4 and one type")
    order = constants.integers(op, 1)
    require(sorted(order) == [0, 1, 2, 3] and order[0] == 0, "it moves the batch")
    require(tuple(source.shape[axis] for axis in order) == tuple(result.shape), "its output has another shape")
    strides = [prod(source.shape[axis + 1 :]) for axis in order]
    output = tensor_of(result)
    # The same elements of the same tensor, seen as one row.
    row = replace(tensor_of(source), height=1, width=1, channels=prod(source.shape[1:]))
    return Transpose(op, (row,), output, 1, (strides[1], strides[2], strides[3]))


def build_concatenation(op: Op, tensor_of: TensorOf, kernels: KernelSet) -> tuple[RegionOp, ...]:
    """CONCATENATION on rows, columns or channels, and a TABLE for each input of another scale than the output."""
    result = quantized(result_of(op))
    sources = [quantized(operand(op, index)) for index in range(len(op.inputs))]
    require(all(len(t.shape) == len(result.shape) for t in sources), "its tensors are of different ranks")
    axis = item_axis(result, op.options.axis)
    require(axis >= 0, "it concatenates items of the batch")
    require(not op.options.fusedActivationFunction, "it has a fused activation")
    require(all(t.data is None for t in sources), "it has constant inputs")
    most = _MAX_INPUTS if axis == _CHANNELS else _MAX_INPUTS_BESIDE
    require(0 < len(sources) <= most, f"it has more than {most} inputs")
    require(all(t.dtype == result.dtype for t in sources), "its inputs and output are of different types")
    shapes = [list(item_shape(tensor)) for tensor in sources]
    whole = list(item_shape(result))
    require(sum(shape[axis] for shape in shapes) == whole[axis], "its inputs do not add up to its output")
    others = [[size for place, size in enumerate(shape) if place != axis] for shape in (whole, *shapes)]
    require(all(each == others[0] for each in others), "its inputs have other sizes than its output")
    output, tables, inputs = tensor_of(result), [], []
    for tensor in sources:
        own = tensor_of(tensor)
        if not have_same_quantization(tensor, result):
            scaled = replace(own, zero_point=output.zero_point)
            tables.append(Table(None, (own,), scaled, 1, _rescaled(tensor, result)))
            own = scaled
        inputs.append(own)
    return *tables, Concatenation(op, tuple(inputs), output, 1, axis)


def _rescaled(source: Tensor, result: Tensor) -> np.ndarray:
    """ConcatenationWithScaling, of uint8 alone: the output of each input, uint8 [256]."""
    require(source.dtype == np.uint8, "its inputs have other scales or zero points than its output")
    scale = scale_of(source) * (np.float32(1) / scale_of(result))
    addend = np.float32(-zero_point_of(source)) * scale
    values = np.arange(256, dtype=np.float32)
    real = values * scale + addend
    # Compilers may fuse the two; where that shows, results differ from build to build.
    fused = (values.astype(np.float64) * np.float64(scale) + np.float64(addend)).astype(np.float32)
    steps = [rounding.half_away(np.clip(each, np.float32(-(1 << 30)), np.float32(1 << 30))) for each in (real, fused)]
    require(bool((steps[0] == steps[1]).all()), "it rounds some values differently from one build to another")
    return rounding.clamp(steps[0].astype(np.int64), zero_point_of(result), 0, 255).astype(np.uint8)
