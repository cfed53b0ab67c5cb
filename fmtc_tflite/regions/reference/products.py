"""CONV, DEPTHWISE and FULLY_CONNECTED."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

from fmtc_tflite.coding import rounding
from fmtc_tflite.coding.rounding import Rule
from fmtc_tflite.errors import ModelFormatError
from fmtc_tflite.regions.reference.kernels import Kernel

if TYPE_CHECKING:
    from fmtc_tflite.regions.reference.machine import StepRows

_WINDOW = struct.Struct("<8H")
_STRUCT = struct.Struct("<IHBbBBBxIIIIIII8x")
_BLOCK, _STEP = 16, 4
_SCALE_DTYPES = {Rule.FLOAT32: np.float32, Rule.FLOAT64: np.float64}


def padded(count: int, to: int) -> int:
    """The next multiple."""
    return -(-count // to) * to


class Taps:
    """The window at the beginning of parameters."""

    def __init__(self, parameters: bytes) -> None:
        fields = _WINDOW.unpack_from(parameters)
        self.kernel, self.stride, self.dilation, self.before = (fields[i : i + 2] for i in (0, 2, 4, 6))

    def first(self, axis: int, output: int) -> int:
        """Row (axis 0) or column (axis 1) of an output's first tap."""
        return output * self.stride[axis] - self.before[axis]

    def rows(self, step: int, height: int) -> tuple[int, int]:
        """First and last row under a window, within the input."""
        first = self.first(0, step)
        return max(first, 0), min(first + (self.kernel[0] - 1) * self.dilation[0], height - 1)

    def columns(self, outputs: np.ndarray, tap: int) -> np.ndarray:
        """The column of a tap for each output column."""
        return outputs * self.stride[1] - self.before[1] + tap * self.dilation[1]


class MultiplyAccumulate(Kernel):
    """What the three kinds share: the struct, and from accumulators to bytes."""

    def read_parameters(self, parameters: bytes) -> None:
        self.taps = Taps(parameters)
        fields = _STRUCT.unpack_from(parameters, _WINDOW.size)
        self.of_group, self.groups, layout, self.weight_zero, self.zero, self.low, self.high, *offsets = fields
        if layout != self.layout:
            raise ModelFormatError(f"region program: weights of layout {layout}; update fmtc-tflite")
        self.channels = self.output.channels
        own = self.channels // self.groups
        # Where each channel stands in arrays that are padded group by group.
        places = np.arange(self.groups)[:, None] * padded(own, _BLOCK) + np.arange(own)
        self.places, self.entries = places.reshape(-1), self.groups * padded(own, _BLOCK)
        rule = Rule(self.rule)
        self.weights_at, biases, scales, shifts = offsets[:4]
        self.biases = self.array(biases, np.int32, self.entries)[self.places].astype(np.int64)
        self.scales = self.array(scales, _SCALE_DTYPES.get(rule, np.int32), self.entries)[self.places]
        fixed = rule not in _SCALE_DTYPES
        self.shifts = self.array(shifts, np.int8, self.entries)[self.places].astype(np.int64) if fixed else None
        self.read_weights()

    layout = 0

    def read_weights(self) -> None:
        """Takes the weights out of their layout."""

    def dot_weights(self, rows: int, taps: int, inputs: int) -> np.ndarray:
        """Layout 0 as int8 [rows, channels, taps, inputs]."""
        k = taps * padded(inputs, _STEP)
        blocks = self.array(self.weights_at, np.int8, rows * self.entries * k)
        blocks = blocks.reshape(rows, self.entries // _BLOCK, k // _STEP, _BLOCK, _STEP)
        natural = blocks.transpose(0, 1, 3, 2, 4).reshape(rows, self.entries, taps, padded(inputs, _STEP))
        return natural[:, self.places, :, :inputs]

    def finish(self, acc: np.ndarray) -> np.ndarray:
        """Accumulators int64 [n, channels] to uint8."""
        r = rounding.requantize(Rule(self.rule), rounding.wrap(acc), self.scales, self.shifts)
        return rounding.clamp(r, self.zero, self.low, self.high).astype(np.uint8)


class Windowed(MultiplyAccumulate):
    """What CONV and DEPTHWISE share: taps in rows, some of which are padding."""

    def rows_needed(self, operand: int, step: int) -> tuple[int, int]:
        return self.taps.rows(step, self.inputs[0].height)

    def compute(self, step: int, rows: StepRows) -> np.ndarray:
        acc = np.tile(self.biases, (len(rows.columns), 1))
        for i in range(self.taps.kernel[0]):
            row = self.taps.first(0, step) + i * self.taps.dilation[0]
            for j in range(self.taps.kernel[1]):
                acc += self.products(self._values(row, j, rows), i, j)
        return self.finish(acc)

    def _values(self, row: int, tap: int, rows: StepRows) -> np.ndarray:
        source = self.inputs[0]
        if 0 <= row < source.height:
            return rows.read(0, row, self.taps.columns(rows.columns, tap))
        extent = (self.taps.kernel[1] - 1) * self.taps.dilation[1] + 1
        padding = rows.memory(np.uint8, extent * source.pixel_bytes).reshape(extent, source.pixel_bytes)
        padding[:] = source.padding
        pixel = padding[tap * self.taps.dilation[1], : source.channels]
        return np.tile(pixel, (len(rows.columns), 1))

    def products(self, values: np.ndarray, i: int, j: int) -> np.ndarray:
        """What tap (i, j) adds: uint8 [n, input channels] to int64 [n, channels]."""
        raise NotImplementedError


class Conv(Windowed):
    """CONV."""

    def read_weights(self) -> None:
        rows, columns = self.taps.kernel
        natural = self.dot_weights(1, rows * columns, self.of_group)[0].astype(np.float64) - self.weight_zero
        self.weights = natural.reshape(self.channels, rows, columns, self.of_group)

    def products(self, values: np.ndarray, i: int, j: int) -> np.ndarray:
        own = self.channels // self.groups
        # float64 is exact: sums stay far below 2^53.
        parts = [
            values[:, g * self.of_group : (g + 1) * self.of_group].astype(np.float64)
            @ self.weights[g * own : (g + 1) * own, i, j].T
            for g in range(self.groups)
        ]
        return np.concatenate(parts, 1).astype(np.int64)


class Depthwise(Windowed):
    """DEPTHWISE."""

    layout = 1

    def read_weights(self) -> None:
        shape = (*self.taps.kernel, self.entries)
        stored = self.array(self.weights_at, np.int8, int(np.prod(shape))).reshape(shape)
        self.weights = stored[..., : self.channels].astype(np.int64) - self.weight_zero

    def products(self, values: np.ndarray, i: int, j: int) -> np.ndarray:
        return np.repeat(values.astype(np.int64), self.of_group, 1) * self.weights[i, j]


class FullyConnected(MultiplyAccumulate):
    """FULLY_CONNECTED."""

    accumulates = True

    def read_weights(self) -> None:
        source = self.inputs[0]
        self.weights = self.dot_weights(source.height, source.width, source.channels).astype(np.int64)

    def compute(self, step: int, rows: StepRows) -> np.ndarray | None:
        acc = rows.memory(np.int32, self.entries)[: self.channels]
        if step == 0:
            acc[:] = self.biases
        values = rows.read(0, step, np.arange(self.inputs[0].width)).astype(np.int64).reshape(-1)
        weights = self.weights[step].reshape(self.channels, -1) - self.weight_zero
        acc[:] = rounding.wrap(acc + weights @ values)
        return self.finish(acc[None].astype(np.int64)) if step + 1 == self.steps else None


KERNELS: dict[int, type[Kernel]] = {1: Conv, 2: Depthwise, 3: FullyConnected}
