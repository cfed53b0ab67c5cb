"""CONV, DEPTHWISE and FULLY_CONNECTED: geometry, and weights and parameters as programs hold them."""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from fmtc_tflite.coding.rounding import Requantization, Rule
from fmtc_tflite.graph.model import Op, Tensor
from fmtc_tflite.graph.operators import constants
from fmtc_tflite.graph.operators.window import op_window, operand
from fmtc_tflite.regions.kernel_sets import KernelSet, requantization, unsigned
from fmtc_tflite.regions.kinds.accumulating import AccumulatingOp
from fmtc_tflite.regions.kinds.facts import alike, is_4d, known_activation, quantized, require, zero_point_of
from fmtc_tflite.regions.kinds.windows import WindowOp, check_window
from fmtc_tflite.regions.ops import RegionOp, RegionTensor, Work
from fmtc_tflite.regions.program_format import WEIGHT_ALIGNMENT

_BLOCK, _STEP, _TILE = 16, 4, 8  # output channels of a block, values of a k-step, columns of a tile
_ARRAY_ALIGNMENT = 8
_DOT_LAYOUT, _CHANNEL_LAYOUT = 0, 1
_MAX_KERNEL_ROWS = 256
# Convolutions that kernels can compute in one go: rows and, at most, columns; and weights that a processor's first
# cache does not keep from one row to the next.
_PAIR_ROWS, _PAIR_WIDTH, _LARGE_WEIGHTS = 2, 3, 1 << 16
_BEHIND_WINDOW = struct.Struct("<IHBbBBBBIIIIIII8x")

AddArray = Callable[[bytes, int], int]


@dataclass(frozen=True, eq=False)
class Weights:
    """Weights, biases and requantization of an op, in the graph's order.

    Attributes:
      values: int8 [output channels, rows, columns, input channels]; of a depthwise op [1, rows, columns, channels].
      zero: their zero point.
      biases: int64 [output channels], the input's zero point folded in.
      groups: of output channels, each with input channels of its own.
    """

    values: np.ndarray
    zero: int
    biases: np.ndarray
    requantization: Requantization
    groups: int = 1


def padded(count: int, to: int) -> int:
    """The next multiple."""
    return -(-count // to) * to


def per_channel(values: np.ndarray, groups: int, dtype: type) -> bytes:
    """[C] as [C']: each group padded with zeros to whole blocks."""
    own = len(values) // groups
    array: np.ndarray = np.zeros((groups, padded(own, _BLOCK)), dtype)
    array[:, :own] = np.asarray(values).reshape(groups, own)
    return array.tobytes()


def dot_blocks(values: np.ndarray, groups: int) -> np.ndarray:
    """Layout 0: int8 [C, taps, input channels] -> [C' / 16, K / 4, 16, 4]."""
    channels, taps, inputs = values.shape
    own = channels // groups
    array = np.zeros((groups, padded(own, _BLOCK), taps, padded(inputs, _STEP)), np.int8)
    array[:, :own, :, :inputs] = values.reshape(groups, own, taps, inputs)
    blocks = array.reshape(-1, _BLOCK, taps * array.shape[3] // _STEP, _STEP)
    return np.ascontiguousarray(blocks.transpose(0, 2, 1, 3))


def _parameters(
    window: bytes, of_group: int, layout: int, packed: np.ndarray, weights: Weights, add: AddArray
) -> bytes:
    """The struct that the three kinds share; `of_group` is its field at offset 16."""
    groups, how = weights.groups, weights.requantization
    weights_at = add(packed.tobytes(), WEIGHT_ALIGNMENT)
    biases_at = add(per_channel(weights.biases, groups, np.int32), _ARRAY_ALIGNMENT)
    scales_at = add(per_channel(how.scales, groups, how.scales.dtype.type), _ARRAY_ALIGNMENT)
    shifts_at = 0 if how.shifts is None else add(per_channel(how.shifts, groups, np.int8), _ARRAY_ALIGNMENT)
    return window + _BEHIND_WINDOW.pack(
        of_group, groups, layout, weights.zero, how.zero, how.low, how.high, 0,
        weights_at, biases_at, scales_at, shifts_at, 0, 0, 0,
    )  # fmt: skip


class _Convolution(WindowOp):
    """What CONV and DEPTHWISE share: words of padded rows."""

    def column_padding(self, operand: int) -> tuple[int, int]:
        return self.window.columns.before, self.window.columns.after

    def reads_words(self, operand: int) -> bool:
        return True

    @property
    def own_memory_bytes(self) -> int:
        """One window's row of padding, if any window lies above the first row or below the last one."""
        rows = self.window.rows
        if rows.before == 0 and rows.span(rows.outputs - 1)[1] < rows.size:
            return 0
        return self.window.columns.extent * padded(self.inputs[0].channels, _STEP)


@dataclass(frozen=True, eq=False)
class Conv(_Convolution):
    """CONV: any kernel, grouped or not."""

    kind: ClassVar[int] = 1
    weights: Weights

    @property
    def macs(self) -> int:
        return self.output.height * self.output.width * self.weights.values.size

    @property
    def weights_saved_together(self) -> int:
        output, size = self.output, self.weights.values.size
        is_pair = output.height == _PAIR_ROWS and output.width <= _PAIR_WIDTH
        return size if is_pair and size >= _LARGE_WEIGHTS else 0

    def work(self, columns: int) -> Work:
        filters, rows, width, inputs = self.weights.values.shape
        channels = self.weights.groups * padded(filters // self.weights.groups, _BLOCK)
        macs = rows * width * padded(inputs, _STEP) * channels
        return Work(columns * channels, columns * macs, -(-columns // _TILE) * macs)

    def parameters(self, add: AddArray, outside: Collection[RegionTensor]) -> bytes:
        values = self.weights.values
        packed = dot_blocks(values.reshape(len(values), -1, values.shape[3]), self.weights.groups)
        return _parameters(self.window_bytes, values.shape[3], _DOT_LAYOUT, packed, self.weights, add)


@dataclass(frozen=True, eq=False)
class Depthwise(_Convolution):
    """DEPTHWISE: every output channel reads one input channel."""

    kind: ClassVar[int] = 2
    weights: Weights

    @property
    def macs(self) -> int:
        return self.output.height * self.output.width * self.weights.values.size

    def work(self, columns: int) -> Work:
        _, rows, width, channels = self.weights.values.shape
        weights = rows * width * padded(channels, _BLOCK)
        return Work(columns * padded(channels, _BLOCK), columns * weights, weights)

    def parameters(self, add: AddArray, outside: Collection[RegionTensor]) -> bytes:
        _, rows, columns, channels = self.weights.values.shape
        packed = np.zeros((rows, columns, padded(channels, _BLOCK)), np.int8)
        packed[..., :channels] = self.weights.values[0]
        multiplier = channels // self.inputs[0].channels
        return _parameters(self.window_bytes, multiplier, _CHANNEL_LAYOUT, packed, self.weights, add)


@dataclass(frozen=True, eq=False)
class FullyConnected(AccumulatingOp):
    """FULLY_CONNECTED: adds one input row a step."""

    kind: ClassVar[int] = 3
    weights: Weights

    def reads_words(self, operand: int) -> bool:
        return True

    @property
    def own_memory_bytes(self) -> int:
        return 4 * padded(self.output.channels, _BLOCK)

    @property
    def macs(self) -> int:
        return self.weights.values.size

    def parameters(self, add: AddArray, outside: Collection[RegionTensor]) -> bytes:
        rows = np.moveaxis(self.weights.values, 1, 0)  # [input rows, output channels, columns, input channels]
        packed = np.stack([dot_blocks(np.ascontiguousarray(row), 1) for row in rows])
        return _parameters(bytes(16), 0, _DOT_LAYOUT, packed, self.weights, add)


def build_conv(op: Op, tensor_of: Callable[[Tensor], RegionTensor], kernels: KernelSet) -> RegionOp:
    """CONV of a CONV_2D."""
    source, result = _checked(op, channel_axis=0)
    values, zero = stored_weights(op)
    channels, _, _, inputs = values.shape
    groups = source.shape[3] // max(inputs, 1)
    fits = inputs > 0 and groups * inputs == source.shape[3] and channels % groups == 0
    require(fits and channels == result.shape[3], "its weights do not fit its input and output")
    weights = _weights(op, values, zero, channels, kernels, groups)
    window = op_window(op)
    check_window(window)
    require(window.rows.kernel <= _MAX_KERNEL_ROWS, "its kernel has too many rows")
    return Conv(op, (tensor_of(source),), tensor_of(result), weights.requantization.rule, window, weights)


def pointwise_weights(op: Op, kernels: KernelSet) -> Weights:
    """Of a CONV_2D whose outputs see one pixel of all input channels each.

    Raises:
      OpRefusedError: another op, or one whose arithmetic is not known.
    """
    source, result = _checked(op, channel_axis=0)
    values, zero = stored_weights(op)
    channels, inputs = values.shape[0], values.shape[3]
    fits = op.opcode == "CONV_2D" and inputs == source.shape[3] and channels == result.shape[3]
    require(fits and op_window(op).is_pointwise, "it is no pointwise convolution of one group")
    return _weights(op, values, zero, channels, kernels)


def build_depthwise(op: Op, tensor_of: Callable[[Tensor], RegionTensor], kernels: KernelSet) -> RegionOp:
    """DEPTHWISE of a DEPTHWISE_CONV_2D; where all outputs see the only input channel CONV, whose loops are faster."""
    source, result = _checked(op, channel_axis=3)
    values, zero = stored_weights(op)
    channels = values.shape[3]
    fits = values.shape[0] == 1 and channels == result.shape[3] and channels % source.shape[3] == 0
    require(fits, "its weights do not fit its input and output")
    weights = _weights(op, values, zero, channels, kernels)
    window = op_window(op)
    check_window(window)
    require(window.rows.kernel <= _MAX_KERNEL_ROWS, "its kernel has too many rows")
    tensors, rule = ((tensor_of(source),), tensor_of(result)), weights.requantization.rule
    if source.shape[3] == 1 < channels and rule != Rule.BLOCKS:  # which CONV does not have
        weights = replace(weights, values=np.ascontiguousarray(values.transpose(3, 1, 2, 0)))
        return Conv(op, *tensors, rule, window, weights)
    return Depthwise(op, *tensors, rule, window, weights)


def build_fully_connected(op: Op, tensor_of: Callable[[Tensor], RegionTensor], kernels: KernelSet) -> RegionOp:
    """FULLY_CONNECTED of an op that sees each batch item as one vector."""
    source, result = _checked(op, channel_axis=0)
    values, zero = stored_weights(op)
    channels, inputs = values.shape[0], int(np.prod(values.shape[1:], dtype=np.int64))
    require(values.ndim == 2 and getattr(op.options, "weightsFormat", 0) == 0, "its weights are not a plain matrix")
    require(int(np.prod(source.shape[1:], dtype=np.int64)) == inputs, "it does not take whole batch items")
    require(len(result.shape) == 2 and result.shape[1] == channels, "its output is not [batch, channels]")
    tensor = tensor_of(source)
    shaped = values.reshape(channels, tensor.height, tensor.width, tensor.channels)
    weights = _weights(op, shaped, zero, channels, kernels)
    return FullyConnected(op, (tensor,), tensor_of(result), weights.requantization.rule, weights)


def _checked(op: Op, channel_axis: int) -> tuple[Tensor, Tensor]:
    """Input and output of an op whose quantization regions support."""
    source, result = alike(op)
    known_activation(op)
    weights = operand(op, 1)
    require(op.opcode == "FULLY_CONNECTED" or is_4d(source, weights, result), "its tensors are not of rank 4")
    require(weights.dtype == source.dtype or weights.dtype == np.int8, f"its weights are {weights.type_name}")
    require(constants.is_constant(weights), "its weights are not constant")
    require(source.dtype == np.uint8 or weights.dtype == np.int8, "its weights are uint8 and its input int8")
    scales = constants.quantization(weights)
    require(scales is not None, "its weights are not quantized")
    assert scales is not None
    if scales.is_per_channel:
        require(scales.axis == channel_axis, "its weights have scales along another axis than the output's channels")
        require(weights.dtype == np.int8 and not scales.zero_points.any(), "its weights have several zero points")
    return source, quantized(result)


def stored_weights(op: Op) -> tuple[np.ndarray, int]:
    """Weights as int8, uint8 ones XOR 0x80, and their zero point in that domain."""
    tensor = operand(op, 1)
    values, scales = constants.constant(tensor), constants.quantization(tensor)
    assert scales is not None
    zero = int(scales.zero_points[0])
    if values.dtype == np.uint8:
        values, zero = (values ^ 0x80).view(np.int8), zero - 128
    require(-128 <= zero <= 127, "its weights have a zero point outside their type")
    return values, zero


def _weights(op: Op, values: np.ndarray, zero: int, channels: int, kernels: KernelSet, groups: int = 1) -> Weights:
    source = operand(op, 0)
    axes = (0, 1, 2) if op.opcode == "DEPTHWISE_CONV_2D" else (1, 2, 3)
    sums = (values.astype(np.int64) - zero).sum(axis=axes)
    folded = constants.bias(op, channels).astype(np.int64) - unsigned(source, zero_point_of(source)) * sums
    wrapped = folded.astype(np.int32).astype(np.int64)
    return Weights(values, zero, wrapped, requantization(op, channels, kernels), groups)
