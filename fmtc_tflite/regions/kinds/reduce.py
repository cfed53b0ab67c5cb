"""MEAN over rows and columns, and the poolings."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fmtc_tflite.graph.operators import constants, multipliers
from fmtc_tflite.graph.operators.activation import round_half_away
from fmtc_tflite.graph.operators.window import op_window, result_of
from fmtc_tflite.regions.kernel_sets import clamp
from fmtc_tflite.regions.kinds.facts import Operands, padded, raw_zero, require, scale_of
from fmtc_tflite.regions.kinds.windows import MOST_KERNEL_ROWS, WindowOp, check_window
from fmtc_tflite.regions.ops import RegionOp

Add = Callable[[bytes, int], int]

_DOUBLE_ROUNDING, _FLOAT32, _MIXED = 1, 3, 6
_MEAN = struct.Struct("<iiifiBB10x")
_MOST_TAPS = 1 << 22
_SUM_BYTES = 4


@dataclass(frozen=True, eq=False)
class Mean(RegionOp):
    """MEAN; `numbers` are the struct's."""

    kind = 7
    numbers: tuple[float, ...]

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

    @property
    def own_memory_bytes(self) -> int:
        return _SUM_BYTES * padded(self.output.channels)

    def parameters(self, add: Add) -> bytes:
        return _MEAN.pack(*self.numbers)


@dataclass(frozen=True, eq=False)
class _Pool(WindowOp):
    """A pooling; one that reads all rows for its only output row accumulates them."""

    value_bytes = _SUM_BYTES  # of what it keeps of each value
    offset: int
    low: int
    high: int

    @property
    def steps(self) -> int:
        return self.inputs[0].height if self.accumulates else self.output.height

    @property
    def accumulates(self) -> bool:
        rows = self.window.rows
        return rows.outputs == 1 and rows.clipped(0) == (0, rows.size - 1)

    def rows_needed(self, operand: int, step: int) -> tuple[int, int]:
        return (step, step) if self.accumulates else super().rows_needed(operand, step)

    @property
    def own_memory_bytes(self) -> int:
        return self.value_bytes * self.output.width * self.output.channels if self.accumulates else 0

    def parameters(self, add: Add) -> bytes:
        return self.window_bytes() + struct.pack("<BBB5x", self.offset, self.low, self.high)


class AveragePool(_Pool):
    """AVERAGE_POOL_2D."""

    kind = 8


class MaxPool(_Pool):
    """MAX_POOL_2D."""

    kind = 9
    value_bytes = 1


def build_pool(operands: Operands) -> RegionOp:
    """From AVERAGE_POOL_2D and MAX_POOL_2D, which leave the quantization as it is."""
    operands.require_rank_4()
    operands.require_known_activation()
    operands.require_equal_quantization()
    source, result = operands.input(), operands.output()
    window = op_window(operands.op)
    check_window(window)
    require(source.channels == result.channels, "it changes the channels")
    require(window.taps <= _MOST_TAPS, "its window is too large")
    low, high = clamp(operands.op, operands.kernels)
    is_maximum = operands.op.opcode == "MAX_POOL_2D"
    offset = 0 if is_maximum else raw_zero(source)
    pool = (MaxPool if is_maximum else AveragePool)(
        operands.op, (source,), result, _DOUBLE_ROUNDING, window, offset, low, high
    )
    require(pool.accumulates or window.rows.kernel <= MOST_KERNEL_ROWS, f"it has more than {MOST_KERNEL_ROWS} rows")
    return pool


def build_mean(operands: Operands) -> RegionOp:
    """From MEAN over height and width."""
    source, result = operands.input(), operands.output()
    tensor = operands.source()
    require(len(tensor.shape) == 4 and constants.axes(operands.op, 4) == (1, 2), "it is not over height and width")
    require((result.height, result.width, result.channels) == (1, 1, source.channels), "its output has another shape")
    require(source.dtype == result.dtype, "it changes the type")
    rule, numbers = _mean_numbers(operands, source.height * source.width)
    return Mean(operands.op, (source,), result, rule, numbers)


def _mean_numbers(operands: Operands, count: int) -> tuple[int, tuple[float, ...]]:
    source, result = operands.input(), operands.output()
    scales = scale_of(operands.source()), scale_of(result_of(operands.op))
    own = operands.kernels.runs(operands.op)
    if own == "xnnpack":
        factor = scales[0] / (scales[1] * np.float32(count))
        return _FLOAT32, (-count * source.zero_point, 0, 0, float(factor), result.zero_point, 0, 255)
    if own == "builtin" and bool(operands.op.options.keepDims):
        real = float(np.float32(scales[0] / (np.float32(count) * scales[1])))
        m, s = multipliers.quantize_multiplier(real)
        raw = source.zero_point - raw_zero(source)
        zero = result.zero_point - int(round_half_away(float(np.float32(raw) * scales[0] / scales[1])))
        require(-31 <= s <= 30, "its scales are out of the range of shifts")
        return _MIXED, (-count * raw_zero(source), m, s, 0.0, zero, 0, 255)
    m, s = _divided(*multipliers.quantize_multiplier(float(np.float64(scales[0]) / np.float64(scales[1]))), count)
    require(-31 <= s <= 30, "its scales are out of the range of shifts")
    return _DOUBLE_ROUNDING, (-count * source.zero_point, m, s, 0.0, result.zero_point, 0, 255)


def _divided(multiplier: int, shift: int, count: int) -> tuple[int, int]:
    """A multiplier over a number of elements, as the reference kernels divide it."""
    more = min(count.bit_length() - 1, 32, 31 + shift)
    return (multiplier << more) // count, shift - more
