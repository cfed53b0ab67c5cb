"""SLICE: from SLICE, STRIDED_SLICE, SPLIT, SPLIT_V and UNPACK, one for each output."""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import ClassVar

from fmtc_tflite.graph.model import Op, Tensor
from fmtc_tflite.graph.operators import constants
from fmtc_tflite.graph.operators.window import operand, result_of
from fmtc_tflite.regions.kernel_sets import KernelSet
from fmtc_tflite.regions.kinds.facts import item_axis, item_shape, quantized, require, require_same_quantization
from fmtc_tflite.regions.ops import RegionOp, RegionTensor

_STRUCT = struct.Struct("<6I")
_WHOLE = slice(None)

TensorOf = Callable[[Tensor], RegionTensor]


@dataclass(frozen=True, eq=False)
class Slice(RegionOp):
    """SLICE: every so many rows, columns and channels from a first one on."""

    kind: ClassVar[int] = 11
    rows: slice
    columns: slice
    channels: slice

    def rows_needed(self, operand: int, step: int) -> tuple[int, int]:
        row = self.rows.start + step * self.rows.step
        return row, row

    def columns_needed(self, operand: int, first: int, end: int) -> tuple[int, int]:
        start, step = self.columns.start, self.columns.step
        return start + first * step, start + (end - 1) * step + 1

    def parameters(self, add: Callable[[bytes, int], int], outside: Collection[RegionTensor]) -> bytes:
        cuts = (self.rows, self.columns, self.channels)
        return _STRUCT.pack(*(number for cut in cuts for number in (cut.start, cut.step)))


def _part(op: Op, source: Tensor, result: Tensor, tensor_of: TensorOf, cuts: Sequence[slice]) -> Slice:
    """One output.

    Args:
      cuts: of rows, columns and channels.
    """
    require_same_quantization(quantized(source), quantized(result))
    resolved = [slice(*cut.indices(size)) for cut, size in zip(cuts, item_shape(source), strict=True)]
    sizes = tuple(len(range(cut.start, cut.stop, cut.step)) for cut in resolved)
    require(min(sizes) > 0, "it makes an empty tensor")
    output = tensor_of(result)
    fits = sizes == (output.height, output.width, output.channels)
    require(fits, "its output has other rows, columns and channels than it cuts out")
    return Slice(op, (tensor_of(source),), output, 1, *resolved)


def _cut(op: Op, source: Tensor, result: Tensor, tensor_of: TensorOf, axes: Sequence[slice]) -> Slice:
    """The only output of an op, cut along each axis of the graph's tensor."""
    batch, *others = axes
    require(batch == slice(0, source.shape[0], 1), "it cuts the batch")
    item_shape(source)
    return _part(op, source, result, tensor_of, [slice(0, 1, 1)] * (3 - len(others)) + others)


def build_strided_slice(op: Op, tensor_of: TensorOf, kernels: KernelSet) -> RegionOp:
    """SLICE of a STRIDED_SLICE with steps of 1 and more."""
    axes = constants.strided_slices(op, drops=True)
    require(axes is not None, "it does more than to cut: it adds axes, goes backwards or counts from its begin")
    assert axes is not None
    return _cut(op, operand(op, 0), result_of(op), tensor_of, axes)


def build_slice(op: Op, tensor_of: TensorOf, kernels: KernelSet) -> RegionOp:
    """SLICE of an op of that name; a size of -1 is what is left."""
    cuts = constants.slices(op)
    require(cuts is not None, "it cuts beyond its input")
    assert cuts is not None
    return _cut(op, operand(op, 0), result_of(op), tensor_of, cuts)


def _along(op: Op, source: Tensor, axis: int, sizes: Sequence[int], tensor_of: TensorOf) -> tuple[RegionOp, ...]:
    """Parts that follow one another along an axis, one for each output."""
    place = item_axis(source, axis)
    require(place >= 0, "it cuts the batch")
    require(sum(sizes) == item_shape(source)[place] and len(sizes) == len(op.outputs), "its parts do not add up")
    parts = []
    for end, size, result in zip(accumulate(sizes), sizes, op.outputs, strict=True):
        assert result is not None
        cuts = [_WHOLE, _WHOLE, _WHOLE]
        cuts[place] = slice(end - size, end, 1)
        parts.append(_part(op, source, result, tensor_of, cuts))
    return tuple(parts)


def build_split(op: Op, tensor_of: TensorOf, kernels: KernelSet) -> tuple[RegionOp, ...]:
    """A SLICE for each of SPLIT's equal parts."""
    source, axes = operand(op, 1), constants.integers(op, 0)
    require(len(axes) == 1, "its axis is no single number")
    place = item_axis(source, axes[0])
    size = item_shape(source)[place]
    require(size % len(op.outputs) == 0, "its parts do not add up")
    return _along(op, source, axes[0], [size // len(op.outputs)] * len(op.outputs), tensor_of)


def build_split_v(op: Op, tensor_of: TensorOf, kernels: KernelSet) -> tuple[RegionOp, ...]:
    """A SLICE for each part of a SPLIT_V; one size may be -1, what is left."""
    source, sizes, axes = operand(op, 0), constants.integers(op, 1), constants.integers(op, 2)
    require(len(axes) == 1, "its axis is no single number")
    place = item_axis(source, axes[0])
    if sizes.count(-1) == 1:
        sizes[sizes.index(-1)] = item_shape(source)[place] - sum(sizes) - 1
    require(all(size > 0 for size in sizes), "it makes an empty tensor")
    return _along(op, source, axes[0], sizes, tensor_of)


def build_unpack(op: Op, tensor_of: TensorOf, kernels: KernelSet) -> tuple[RegionOp, ...]:
    """A SLICE for each element of the axis behind the batch."""
    source = operand(op, 0)
    return _along(op, source, op.options.axis, [1] * len(op.outputs), tensor_of)
