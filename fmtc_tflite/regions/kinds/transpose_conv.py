"""TRANSPOSE_CONV: for each phase of the stride a small convolution of its own."""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fmtc_tflite.coding.rounding import Requantization, Rule
from fmtc_tflite.graph.model import Op, Tensor
from fmtc_tflite.graph.operators import constants
from fmtc_tflite.graph.operators.window import operand, result_of, window_axis
from fmtc_tflite.regions.kernel_sets import KernelSet, requantization
from fmtc_tflite.regions.kinds.facts import is_4d, known_activation, quantized, require
from fmtc_tflite.regions.kinds.multiply_accumulate import dot_blocks, padded, per_channel, stored_weights
from fmtc_tflite.regions.ops import RegionOp, RegionTensor
from fmtc_tflite.regions.program_format import WEIGHT_ALIGNMENT

_STRUCT = struct.Struct("<8HIHBbBBBBIIIIIII8x")
_STEP = 4  # values of a k-step
_ARRAY_ALIGNMENT = 8
_MAX_KERNEL_ROWS, _MAX_KERNEL_COLUMNS = 256, (1 << 16) - 1
_VECTOR = 16  # values of uint8 that a step of the built-in kernels requantizes

AddArray = Callable[[bytes, int], int]
TensorOf = Callable[[Tensor], RegionTensor]


@dataclass(frozen=True)
class TransposedAxis:
    """One axis: input i adds its product with tap k to output i * stride + k - before.

    Attributes:
      size, outputs: length of the input and of the output.
      kernel: at least the stride.
    """

    size: int
    outputs: int
    kernel: int
    stride: int
    before: int

    def span(self, output: int) -> tuple[int, int]:
        """First and last input under an output, not clipped: padding lies below 0 and from `size` on."""
        place = output + self.before
        return -((self.kernel - 1 - place) // self.stride), place // self.stride

    def taps(self, phase: int) -> range:
        """The kernel's taps of outputs with (output + before) mod stride = phase, those of the first inputs first."""
        return range(phase + (self.kernel - 1 - phase) // self.stride * self.stride, -1, -self.stride)

    @property
    def tap_count(self) -> int:
        """Of all outputs."""
        return sum(last - first + 1 for first, last in map(self.span, range(self.outputs)))


@dataclass(frozen=True, eq=False)
class TransposeConv(RegionOp):
    """TRANSPOSE_CONV.

    Attributes:
      values: int8 [output channels, rows, columns, input channels], the kernel at least as large as the strides.
      weight_zero: their zero point.
      biases: int64 [output channels], without the input's zero point.
    """

    kind: ClassVar[int] = 23
    rows: TransposedAxis
    columns: TransposedAxis
    values: np.ndarray
    weight_zero: int
    biases: np.ndarray
    requantization: Requantization

    def rows_needed(self, operand: int, step: int) -> tuple[int, int]:
        first, last = self.rows.span(step)
        return max(first, 0), min(last, self.rows.size - 1)

    def columns_needed(self, operand: int, first: int, end: int) -> tuple[int, int]:
        columns = self.columns
        return max(columns.span(first)[0], 0), min(columns.span(end - 1)[1] + 1, columns.size)

    def column_padding(self, operand: int) -> tuple[int, int]:
        columns = self.columns
        return max(-columns.span(0)[0], 0), max(columns.span(columns.outputs - 1)[1] + 1 - columns.size, 0)

    def reads_words(self, operand: int) -> bool:
        return True

    @property
    def own_memory_bytes(self) -> int:
        """A row of padding as wide as the taps of a phase, if any output row has taps outside the input."""
        rows = self.rows
        if rows.span(0)[0] >= 0 and rows.span(rows.outputs - 1)[1] < rows.size:
            return 0
        return len(self.columns.taps(0)) * padded(self.inputs[0].channels, _STEP)

    @property
    def macs(self) -> int:
        return self.rows.tap_count * self.columns.tap_count * self.values.shape[0] * self.values.shape[3]

    def parameters(self, add: AddArray, outside: Collection[RegionTensor]) -> bytes:
        rows, columns, how = self.rows, self.columns, self.requantization
        phases = list(self._phases())
        packed = b"".join(dot_blocks(phase.reshape(len(phase), -1, phase.shape[3]), 1).tobytes() for phase in phases)
        weights_at = add(packed, WEIGHT_ALIGNMENT)
        biases_at = add(b"".join(per_channel(self._folded(p), 1, np.int32) for p in phases), _ARRAY_ALIGNMENT)
        scales_at = add(per_channel(how.scales, 1, how.scales.dtype.type), _ARRAY_ALIGNMENT)
        shifts_at = 0 if how.shifts is None else add(per_channel(how.shifts, 1, np.int8), _ARRAY_ALIGNMENT)
        return _STRUCT.pack(
            rows.kernel, columns.kernel, rows.stride, columns.stride, 1, 1, rows.before, columns.before,
            self.inputs[0].channels, 1, 0, self.weight_zero, how.zero, how.low, how.high, 0,
            weights_at, biases_at, scales_at, shifts_at, 0, 0, 0,
        )  # fmt: skip

    def _phases(self) -> Iterator[np.ndarray]:
        """The weights of each phase of rows and, within it, of columns."""
        for row in range(self.rows.stride):
            for column in range(self.columns.stride):
                yield self.values[:, list(self.rows.taps(row))][:, :, list(self.columns.taps(column))]

    def _folded(self, phase: np.ndarray) -> np.ndarray:
        sums = (phase.astype(np.int64) - self.weight_zero).sum(axis=(1, 2, 3))
        return (self.biases - self.inputs[0].zero_point * sums).astype(np.int32)


def build_transpose_conv(op: Op, tensor_of: TensorOf, kernels: KernelSet) -> RegionOp:
    """TRANSPOSE_CONV of an op of that name with a constant output shape."""
    source, result = quantized(operand(op, 2)), quantized(result_of(op))
    require(source.dtype == result.dtype, "its input and output are of different types")
    known_activation(op)
    _check_weights(op, source, result)
    require(constants.integers(op, 0) == list(result.shape), "its output has another shape than it says")
    weights, zero = stored_weights(op)
    rows, columns = _axes(op, source, result, weights.shape[1:3])
    channels = weights.shape[0]
    values = np.full((channels, rows.kernel, columns.kernel, weights.shape[3]), zero, np.int8)
    values[:, : weights.shape[1], : weights.shape[2]] = weights
    how = requantization(op, channels, kernels)
    if kernels.runs(op) == "builtin" and kernels.vectors and source.dtype == np.uint8:
        whole = int(np.prod(result.shape[1:])) % _VECTOR == 0
        require(whole, "the runtime's kernels round the tensor's last values by another rule than the others")
    if how.rule is Rule.BLOCKS and channels % 8 == 0:
        how = how._replace(rule=Rule.HALF_UP)
    biases = constants.bias(op, channels, 3).astype(np.int64)
    tensors = (tensor_of(source),), tensor_of(result)
    return TransposeConv(op, *tensors, how.rule, rows, columns, values, zero, biases, how)


def _check_weights(op: Op, source: Tensor, result: Tensor) -> None:
    weights = operand(op, 1)
    require(is_4d(source, weights, result), "its tensors are not of rank 4")
    require(weights.dtype == source.dtype, f"its weights are {weights.type_name}")
    require(constants.is_constant(weights), "its weights are not constant")
    scales = constants.quantization(weights)
    require(scales is not None, "its weights are not quantized")
    assert scales is not None
    if scales.is_per_channel:
        require(scales.axis == 0, "its weights have scales along another axis than the output's channels")
        require(weights.dtype == np.int8, "its weights have several zero points")
    require(weights.dtype == np.uint8 or not scales.zero_points.any(), "its weights have a zero point")
    fits = (weights.shape[0], weights.shape[3]) == (result.shape[3], source.shape[3])
    require(fits, "its weights do not fit its input and output")


def _axes(op: Op, source: Tensor, result: Tensor, kernel: tuple[int, int]) -> tuple[TransposedAxis, TransposedAxis]:
    axes = []
    strides = (op.options.strideH, op.options.strideW)
    for size, outputs, taps, stride in zip(source.shape[1:3], result.shape[1:3], kernel, strides, strict=True):
        forward = window_axis(outputs, taps, stride, 1, op.options.padding)
        require(forward is not None and forward.outputs == size, "its input has another size than its output asks for")
        assert forward is not None
        axis = TransposedAxis(size, outputs, max(taps, stride), stride, forward.before)
        require(axis.span(outputs - 1)[0] < size, "some of its outputs have no input")
        axes.append(axis)
    rows, columns = axes
    fits = rows.kernel <= _MAX_KERNEL_ROWS and columns.kernel <= _MAX_KERNEL_COLUMNS
    require(fits, "its kernel is too large")
    return rows, columns
