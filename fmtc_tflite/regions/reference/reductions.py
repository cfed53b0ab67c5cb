"""MEAN, AVERAGE_POOL and MAX_POOL."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

from fmtc_tflite.coding import rounding
from fmtc_tflite.coding.rounding import Rule
from fmtc_tflite.regions.reference.kernels import Kernel
from fmtc_tflite.regions.reference.products import Taps
from fmtc_tflite.regions.rounding import mean_with_addend

if TYPE_CHECKING:
    from fmtc_tflite.regions.reference.machine import StepRows

_MEAN = struct.Struct("<iiifiBBxxf4x")
_POOL = struct.Struct("<BBB5x")
_FLOAT_WITH_ADDEND, _FLOAT_WITH_ADDEND_AWAY = 7, 8
_BLOCK = 16


class Mean(Kernel):
    """MEAN."""

    def read_parameters(self, parameters: bytes) -> None:
        self.start, self.m, self.s, f, self.zero, self.low, self.high, g = _MEAN.unpack(parameters)
        self.f, self.g = np.float32(f), np.float32(g)
        self.accumulates = self.output.height == 1

    def compute(self, step: int, rows: StepRows) -> np.ndarray | None:
        channels, padded = self.output.channels, -(-self.output.channels // _BLOCK) * _BLOCK
        acc = rows.memory(np.int32, len(rows.columns) * padded).reshape(-1, padded)[:, :channels]
        if step == 0 or not self.accumulates:
            acc[:] = self.start
        of_row = self.output.width == 1
        columns = np.arange(self.inputs[0].width) if of_row else rows.columns
        row = rows.read(0, step, columns).astype(np.int64)
        acc[:] = rounding.wrap(acc + (row.sum(0) if of_row else row))
        if self.accumulates and step + 1 < self.steps:
            return None
        return rounding.clamp(self._means(acc.astype(np.int64)), self.zero, self.low, self.high).astype(np.uint8)

    def _means(self, sums: np.ndarray) -> np.ndarray:
        if self.rule in (_FLOAT_WITH_ADDEND, _FLOAT_WITH_ADDEND_AWAY):
            return mean_with_addend(sums, self.f, self.g, self.rule == _FLOAT_WITH_ADDEND_AWAY)
        floating, channels = self.rule == Rule.FLOAT32, sums.shape[1]
        scale = np.full(channels, self.f) if floating else np.full(channels, self.m, np.int64)
        shift = None if floating else np.full(channels, self.s, np.int64)
        return rounding.requantize(Rule(self.rule), sums, scale, shift, _BLOCK)


class Pool(Kernel):
    """What both pools share: taps within the input, rows of which come at once or one a step."""

    def read_parameters(self, parameters: bytes) -> None:
        self.taps = Taps(parameters)
        self.offset, self.low, self.high = _POOL.unpack_from(parameters, len(parameters) - _POOL.size)
        all_rows = self.taps.rows(0, self.inputs[0].height) == (0, self.inputs[0].height - 1)
        self.accumulates = self.output.height == 1 and all_rows

    def rows_needed(self, operand: int, step: int) -> tuple[int, int]:
        return (step, step) if self.accumulates else self.taps.rows(step, self.inputs[0].height)

    def under(self, columns: np.ndarray) -> list[np.ndarray]:
        """The input columns under each output column."""
        width, kernel = self.inputs[0].width, self.taps.kernel[1]
        firsts = self.taps.columns(columns, 0)
        return [np.arange(max(first, 0), min(first + kernel, width)) for first in firsts]


class AveragePool(Pool):
    """AVERAGE_POOL."""

    def compute(self, step: int, rows: StepRows) -> np.ndarray | None:
        under = self.under(rows.columns)
        first, last = self.rows_needed(0, step)
        own_rows = range(first, last + 1)
        sums = np.array([
            np.concatenate([rows.read(0, row, columns) for row in own_rows]).sum(0, dtype=np.int64) for columns in under
        ])  # fmt: skip
        height = last + 1 - first
        if self.accumulates:
            acc = rows.memory(np.int32, sums.size).reshape(sums.shape)
            acc[:] = sums if step == 0 else acc + sums
            if step + 1 < self.steps:
                return None
            sums, height = acc.astype(np.int64), self.inputs[0].height
        counts = height * np.array([len(columns) for columns in under])[:, None]
        own = sums - counts * self.offset
        r = rounding.truncated(own + np.where(own > 0, counts // 2, -(counts // 2)), counts)
        return rounding.clamp(r, self.offset, self.low, self.high).astype(np.uint8)


class MaxPool(Pool):
    """MAX_POOL."""

    def compute(self, step: int, rows: StepRows) -> np.ndarray | None:
        first, last = self.rows_needed(0, step)
        largest = np.array([
            np.concatenate([rows.read(0, row, columns) for row in range(first, last + 1)]).max(0)
            for columns in self.under(rows.columns)
        ])  # fmt: skip
        if self.accumulates:
            kept = rows.memory(np.uint8, largest.size).reshape(largest.shape)
            kept[:] = largest if step == 0 else np.maximum(kept, largest)
            if step + 1 < self.steps:
                return None
            largest = kept
        return rounding.clamp(largest.astype(np.int64), 0, self.low, self.high).astype(np.uint8)


KERNELS: dict[int, type[Kernel]] = {7: Mean, 8: AveragePool, 9: MaxPool}
