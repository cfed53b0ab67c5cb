"""CONV, DEPTHWISE and FULLY_CONNECTED: weights packed offline, biases that hold the input's zero point."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fmtc_tflite.graph.model import Tensor
from fmtc_tflite.graph.operators import constants
from fmtc_tflite.graph.operators.window import op_window
from fmtc_tflite.regions.kernel_sets import Requantization, requantization
from fmtc_tflite.regions.kinds.facts import Operands, padded, require
from fmtc_tflite.regions.kinds.windows import MOST_KERNEL_ROWS, WindowOp, check_window
from fmtc_tflite.regions.ops import RegionOp, RegionTensor
from fmtc_tflite.regions.program import WEIGHT_ALIGNMENT

_DOT_LAYOUT, _CHANNEL_LAYOUT = 0, 1
_TAIL = struct.Struct("<IHBbBBBBIIIIIII8x")  # behind the window
_STEP = 4  # values of a k-step
_MOST_GROUPS = 65535
_ACCUMULATOR_BYTES = 4

Add = Callable[[bytes, int], int]


@dataclass(frozen=True)
class Multiplication:
    """What the three kinds have in common.

    Attributes:
      weights: int8 as stored: [output channels][...] in the op's own order.
      weight_zero: of the stored weights.
      biases: int32 [output channels], those of the graph.
      requantization: from accumulators to outputs.
    """

    weights: np.ndarray
    weight_zero: int
    biases: np.ndarray
    requantization: Requantization

    def folded_biases(self, input_zero: int) -> np.ndarray:
        """bias - zero * sum(w - zw), wrapping, int32 [output channels]."""
        weights = self.weights.astype(np.int64).reshape(len(self.biases), -1) - self.weight_zero
        folded = self.biases.astype(np.int64) - input_zero * weights.sum(axis=1)
        return folded.astype(np.int32)

    def tail(self, add: Add, packed: np.ndarray, layout: int, groups: int, number: int, input_zero: int) -> bytes:
        """The parameters behind the window."""
        own = self.requantization

        def spread(values: np.ndarray) -> bytes:
            """[output channels] as groups that are each padded to whole blocks."""
            wide = np.zeros((groups, padded(len(values) // groups)), values.dtype)
            wide[:, : len(values) // groups] = values.reshape(groups, -1)
            return wide.tobytes()

        offsets = [
            add(np.ascontiguousarray(packed).tobytes(), WEIGHT_ALIGNMENT),
            add(spread(self.folded_biases(input_zero)), 4),
            add(spread(own.scales), 8),
            0 if own.shifts is None else add(spread(own.shifts), 4),
        ]
        output = (own.zero, own.low, own.high, 0)
        return _TAIL.pack(number, groups, layout, self.weight_zero, *output, *offsets, 0, 0, 0)


def pack_blocks(weights: np.ndarray, groups: int) -> np.ndarray:
    """Layout 0 of [output channels][taps...][input channels of a group]: [groups * blocks][K / 4][16][4]."""
    outputs, inputs = weights.shape[0] // groups, weights.shape[-1]
    wide = np.zeros((groups, padded(outputs), *weights.shape[1:-1], padded(inputs, _STEP)), np.int8)
    wide[:, :outputs, ..., :inputs] = weights.reshape(groups, outputs, *weights.shape[1:])
    steps = wide.reshape(-1, 16, wide[0, 0].size // _STEP, _STEP)
    return steps.transpose(0, 2, 1, 3)


@dataclass(frozen=True, eq=False)
class _Convolution(WindowOp):
    """What CONV and DEPTHWISE have in common."""

    multiplication: Multiplication

    def column_padding(self, operand: int) -> tuple[int, int]:
        return self.window.columns.before, self.window.columns.after

    def reads_words(self, operand: int) -> bool:
        return True

    @property
    def own_memory_bytes(self) -> int:
        """One window's row of padding."""
        rows = self.window.rows
        if not rows.before and rows.span(rows.outputs - 1)[1] < rows.size:
            return 0
        return self.window.columns.extent * padded(self.inputs[0].channels, _STEP)

    @property
    def macs(self) -> int:
        return self.multiplication.weights.size * self.output.height * self.output.width


class Conv(_Convolution):
    """CONV_2D, grouped or not."""

    kind = 1

    def parameters(self, add: Add) -> bytes:
        weights = self.multiplication.weights
        groups = self.inputs[0].channels // weights.shape[3]
        packed = pack_blocks(weights, groups)
        zero = self.inputs[0].zero_point
        return self.window_bytes() + self.multiplication.tail(add, packed, _DOT_LAYOUT, groups, weights.shape[3], zero)


class Depthwise(_Convolution):
    """DEPTHWISE_CONV_2D; the weights are [output channels][kernel rows][kernel columns]."""

    kind = 2

    def parameters(self, add: Add) -> bytes:
        weights = self.multiplication.weights
        wide = np.zeros((padded(len(weights)), *weights.shape[1:]), np.int8)
        wide[: len(weights)] = weights
        packed, multiplier = wide.transpose(1, 2, 0), len(weights) // self.inputs[0].channels
        zero = self.inputs[0].zero_point
        return self.window_bytes() + self.multiplication.tail(add, packed, _CHANNEL_LAYOUT, 1, multiplier, zero)


@dataclass(frozen=True, eq=False)
class FullyConnected(RegionOp):
    """FULLY_CONNECTED over all values of an item, row by row; the weights are [output channels][values]."""

    kind = 3
    multiplication: Multiplication

    @property
    def steps(self) -> int:
        return self.inputs[0].height

    @property
    def accumulates(self) -> bool:
        return True

    def rows_needed(self, operand: int, step: int) -> tuple[int, int]:
        return step, step

    def columns_needed(self, operand: int, first: int, end: int) -> tuple[int, int]:
        return 0, self.inputs[0].width

    def reads_words(self, operand: int) -> bool:
        return True

    @property
    def own_memory_bytes(self) -> int:
        return _ACCUMULATOR_BYTES * padded(self.output.channels)

    @property
    def macs(self) -> int:
        return self.multiplication.weights.size

    def parameters(self, add: Add) -> bytes:
        source = self.inputs[0]
        weights = self.multiplication.weights.reshape(-1, source.height, source.width, source.channels)
        rows = [pack_blocks(weights[:, row], 1) for row in range(source.height)]
        tail = self.multiplication.tail(add, np.stack(rows), _DOT_LAYOUT, 1, 0, source.zero_point)
        return bytes(16) + tail


def build_conv(operands: Operands) -> Conv:
    """From CONV_2D."""
    source, result, weights = _convolution_operands(operands)
    shape = weights.shape
    require(shape[3] > 0 and source.channels % shape[3] == 0, "its groups do not divide its input's channels")
    groups = source.channels // shape[3]
    require(
        groups <= _MOST_GROUPS and shape[0] % groups == 0 and shape[0] == result.channels, "its weights do not fit it"
    )
    values, zero = _stored_weights(weights)
    multiplication = _multiplication(operands, values, zero, shape[0])
    window = op_window(operands.op)
    return Conv(operands.op, (source,), result, int(multiplication.requantization.rule), window, multiplication)


def build_depthwise(operands: Operands) -> Depthwise:
    """From DEPTHWISE_CONV_2D."""
    source, result, weights = _convolution_operands(operands)
    channels = weights.shape[3]
    fits = weights.shape[0] == 1 and channels == result.channels and channels % source.channels == 0
    require(fits, "its weights do not fit it")
    values, zero = _stored_weights(weights)
    multiplication = _multiplication(operands, values[0].transpose(2, 0, 1), zero, channels)
    window = op_window(operands.op)
    return Depthwise(operands.op, (source,), result, int(multiplication.requantization.rule), window, multiplication)


def build_fully_connected(operands: Operands) -> FullyConnected:
    """From FULLY_CONNECTED that reads a whole item for each output item."""
    source, result = operands.input(), operands.output()
    weights = operands.constant(1)
    require(int(getattr(operands.op.options, "weightsFormat", 0)) == 0, "its weights are shuffled")
    require(len(weights.shape) == 2, "its weights have another rank than 2")
    outputs, values = weights.shape
    require(values == source.height * source.width * source.channels, "it does not read a whole item at a time")
    require((result.height, result.width, result.channels) == (1, 1, outputs), "its output is not one row of values")
    _check_types(operands, source, weights, outputs, axis=0)
    stored, zero = _stored_weights(weights)
    multiplication = _multiplication(operands, stored, zero, outputs)
    return FullyConnected(operands.op, (source,), result, int(multiplication.requantization.rule), multiplication)


def _convolution_operands(operands: Operands) -> tuple[RegionTensor, RegionTensor, Tensor]:
    operands.require_rank_4()
    source, result, weights = operands.input(), operands.output(), operands.constant(1)
    window = op_window(operands.op)
    check_window(window)
    require(window.rows.kernel <= MOST_KERNEL_ROWS, f"its kernel has more than {MOST_KERNEL_ROWS} rows")
    axis = 3 if operands.op.opcode == "DEPTHWISE_CONV_2D" else 0
    _check_types(operands, source, weights, weights.shape[axis], axis)
    return source, result, weights


def _check_types(operands: Operands, source: RegionTensor, weights: Tensor, channels: int, axis: int) -> None:
    """Types, scales and zero points that the runtime's kernels take."""
    result = operands.output()
    require(source.dtype == result.dtype and weights.dtype == source.dtype, "its types are mixed")
    scales = constants.quantization(weights)
    require(scales is not None, "its weights are not quantized")
    assert scales is not None
    require(
        not scales.is_per_channel or (scales.axis == axis and len(scales.scales) == channels),
        "its scales do not fit it",
    )
    low, high = (-128, 127) if weights.dtype == np.int8 else (0, 255)
    zeros = scales.zero_points
    require(bool((zeros == zeros[0]).all()) and low <= int(zeros[0]) <= high, "its weights have several zero points")
    require(weights.dtype == np.uint8 or not zeros.any(), "its int8 weights have a zero point other than 0")
    operands.require_known_activation()
    bias = operands.op.inputs[2] if len(operands.op.inputs) > 2 else None
    require(bias is None or bias.data is not None, "its bias is no constant")


def _stored_weights(weights: Tensor) -> tuple[np.ndarray, int]:
    """int8 weights as a program holds them, and their zero point."""
    values, scales = constants.constant(weights), constants.quantization(weights)
    assert scales is not None
    zero = int(scales.zero_points[0])
    if values.dtype == np.uint8:
        return (values ^ 0x80).view(np.int8), zero - 128
    return values, zero


def _multiplication(operands: Operands, weights: np.ndarray, zero: int, channels: int) -> Multiplication:
    own = requantization(operands.op, channels, operands.kernels)
    if own.shifts is not None:
        require(
            bool((own.shifts >= -31).all() and (own.shifts <= 30).all()), "its scales are out of the range of shifts"
        )
    require(bool(np.isfinite(own.scales.astype(np.float64)).all()), "its scales are out of range")
    return Multiplication(weights, zero, constants.bias(operands.op, channels), own)
