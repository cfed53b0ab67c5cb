"""TRANSPOSE_CONV."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

from fmtc_tflite.coding import rounding
from fmtc_tflite.coding.rounding import Rule
from fmtc_tflite.errors import ModelFormatError
from fmtc_tflite.regions.reference.kernels import Kernel
from fmtc_tflite.regions.reference.products import padded

if TYPE_CHECKING:
    from fmtc_tflite.regions.reference.machine import StepRows

_STRUCT = struct.Struct("<8HIHBbBBBxIIIIIII8x")
_BLOCK, _STEP = 16, 4
_SCALE_DTYPES = {Rule.FLOAT32: np.float32, Rule.FLOAT64: np.float64}


class TransposeConv(Kernel):
    """TRANSPOSE_CONV."""

    def read_parameters(self, parameters: bytes) -> None:
        fields = _STRUCT.unpack(parameters)
        self.kernel, self.stride, dilation, self.before = (fields[i : i + 2] for i in (0, 2, 4, 6))
        channels, groups, layout, self.weight_zero, self.zero, self.low, self.high, *offsets = fields[8:]
        if layout != 0:
            raise ModelFormatError(f"region program: weights of layout {layout}; update fmtc-tflite")
        assert (dilation, groups, channels) == ((1, 1), 1, self.inputs[0].channels), "another geometry"
        assert all(k >= s for k, s in zip(self.kernel, self.stride, strict=True)), "kernels smaller than strides"
        self.entries = padded(self.output.channels, _BLOCK)
        rule, count = Rule(self.rule), self.output.channels
        self.scales = self.array(offsets[2], _SCALE_DTYPES.get(rule, np.int32), self.entries)[:count]
        fixed = rule not in _SCALE_DTYPES
        self.shifts = self.array(offsets[3], np.int8, self.entries)[:count].astype(np.int64) if fixed else None
        self._read_phases(*offsets[:2])

    def _read_phases(self, weights_at: int, biases_at: int) -> None:
        """Of each phase of rows and columns: weights [channels, rows, columns, input channels] and biases."""
        inputs, channels = self.inputs[0].channels, self.output.channels
        self.phases = {}
        for row in range(self.stride[0]):
            for column in range(self.stride[1]):
                taps = self._tap_count(0, row), self._tap_count(1, column)
                k = taps[0] * taps[1] * padded(inputs, _STEP)
                blocks = self.array(weights_at, np.int8, self.entries * k)
                blocks = blocks.reshape(self.entries // _BLOCK, k // _STEP, _BLOCK, _STEP).transpose(0, 2, 1, 3)
                weights = blocks.reshape(self.entries, *taps, -1)[:channels, :, :, :inputs].astype(np.int64)
                biases = self.array(biases_at, np.int32, self.entries)[:channels].astype(np.int64)
                self.phases[row, column] = weights - self.weight_zero, biases
                weights_at, biases_at = weights_at + self.entries * k, biases_at + 4 * self.entries

    def _tap_count(self, axis: int, phase: int) -> int:
        return (self.kernel[axis] - 1 - phase) // self.stride[axis] + 1

    def rows_needed(self, operand: int, step: int) -> tuple[int, int]:
        place = step + self.before[0]
        last, count = place // self.stride[0], self._tap_count(0, place % self.stride[0])
        return max(last - count + 1, 0), min(last, self.inputs[0].height - 1)

    def compute(self, step: int, rows: StepRows) -> np.ndarray:
        place = step + self.before[0]
        values = np.zeros((len(rows.columns), self.output.channels), np.uint8)
        for phase in range(self.stride[1]):
            own = (rows.columns + self.before[1]) % self.stride[1] == phase
            if own.any():
                weights, biases = self.phases[place % self.stride[0], phase]
                last = (rows.columns[own] + self.before[1]) // self.stride[1]
                values[own] = self._products(place // self.stride[0], last, weights, biases, rows)
        return values

    def _products(
        self, last_row: int, last_columns: np.ndarray, weights: np.ndarray, biases: np.ndarray, rows: StepRows
    ) -> np.ndarray:
        """Columns of one phase, uint8 [columns, channels]."""
        source = self.inputs[0]
        acc = np.tile(biases, (len(last_columns), 1))
        _, taps, columns, inputs = weights.shape
        for i in range(taps):
            row = last_row - taps + 1 + i
            for j in range(columns):
                values = np.full((len(last_columns), inputs), source.padding, np.int64)
                if 0 <= row < source.height:
                    values = rows.read(0, row, last_columns - columns + 1 + j).astype(np.int64)
                acc += values @ weights[:, i, j].T
        r = rounding.requantize(Rule(self.rule), rounding.wrap(acc), self.scales, self.shifts)
        return rounding.clamp(r, self.zero, self.low, self.high).astype(np.uint8)


KERNELS: dict[int, type[Kernel]] = {23: TransposeConv}
