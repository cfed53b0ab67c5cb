"""BINARY, UNARY, DEQUANTIZE and CAST."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

from fmtc_tflite.regions.program_format import SCRATCH
from fmtc_tflite.regions.reference.kernels import Kernel

if TYPE_CHECKING:
    from fmtc_tflite.regions.reference.machine import StepRows

_DEQUANTIZE = struct.Struct("<fB3xfB3x")
_BINARY = struct.Struct("<ffBBxxIIII4x")
_UNARY = struct.Struct("<ffB7x")
_INT8 = 9
_VECTOR = 8  # values that the runtimes' vectors take at a time
_LEAST_NORMAL = np.finfo(np.float32).tiny
_ROUNDED_TO_LEAST = (1 - 2.0**-25) * 2.0**-126  # the least number that is rounded to it
_LOGISTIC_ONE, _LOGISTIC_ZERO = np.float32(16.6355324), np.float32(-104)  # from where it is 1, and below which 0
_NAN = np.float32(np.nan)  # 0x7FC00000, the only one that is stored


def in_vectors(kernel: Kernel, step: int, rows: StepRows) -> np.ndarray:
    """Which values of a step come before the last N * H * W * C mod 8 of the batch, bool [columns, channels]."""
    source = kernel.inputs[0]
    of_item = source.height * source.width * source.channels
    first = rows.item * of_item + step * source.width * source.channels
    index = first + rows.columns[:, None] * source.channels + np.arange(source.channels)
    count = rows.batch * of_item
    return np.asarray(index < count - count % _VECTOR)


class Dequantize(Kernel):
    """DEQUANTIZE."""

    def read_parameters(self, parameters: bytes) -> None:
        scale, self.zero, addend, self.offset = _DEQUANTIZE.unpack(parameters)
        self.scale, self.addend = np.float32(scale), np.float32(addend)

    def compute(self, step: int, rows: StepRows) -> np.ndarray:
        u = rows.read(0, step, rows.columns).astype(np.int64)
        values = (u - self.zero).astype(np.float32) * self.scale
        if self.rule == 1:
            return values
        shifted = (u - self.offset).astype(np.float32) * self.scale + self.addend
        return np.where(in_vectors(self, step, rows), shifted, values)


class Cast(Kernel):
    """CAST."""

    def compute(self, step: int, rows: StepRows) -> np.ndarray:
        values, source = rows.read(0, step, rows.columns), self.inputs[0]
        if source.place == SCRATCH and source.type == _INT8:
            return (values.astype(np.int64) - 128).astype(np.float32)
        return values.astype(np.float32)


class Float(Kernel):
    """What BINARY and UNARY share: a clamp, and subnormal numbers that may count as zeros."""

    low: np.float32
    high: np.float32
    flush: bool

    def flushed(self, x: np.ndarray) -> np.ndarray:
        """With a zero of its sign for each subnormal number, where that is asked for."""
        if not self.flush:
            return x
        return np.where(np.abs(x) < _LEAST_NORMAL, np.copysign(np.float32(0), x), x)

    def stored(self, x: np.ndarray) -> np.ndarray:
        """Clamped, and any NaN as the one that is stored."""
        raised = np.where(x < self.low, self.low, x)
        clamped = np.where(raised > self.high, self.high, raised)
        return np.where(np.isnan(clamped), _NAN, clamped)


class Binary(Float):
    """BINARY."""

    def read_parameters(self, parameters: bytes) -> None:
        low, high, flush, self.constant, offset, *shape = _BINARY.unpack(parameters)
        self.low, self.high, self.flush = np.float32(low), np.float32(high), bool(flush)
        if self.constant:
            count = shape[0] * shape[1] * shape[2]
            self.constants = self.array(offset, np.float32, count).reshape(shape)

    def rows_needed(self, operand: int, step: int) -> tuple[int, int]:
        row = 0 if self.inputs[operand].height == 1 else step
        return row, row

    def compute(self, step: int, rows: StepRows) -> np.ndarray:
        operands = []
        for operand, tensor in enumerate(self.inputs):
            columns = np.array([0]) if tensor.width == 1 else rows.columns
            operands.append(rows.read(operand, self.rows_needed(operand, step)[0], columns))
        if self.constant:
            height, width, _ = self.constants.shape
            row = self.constants[0 if height == 1 else step]
            operands.insert(self.constant - 1, row if width == 1 else row[rows.columns])
        shape = len(rows.columns), self.output.channels
        a, b = (np.broadcast_to(self.flushed(x), shape) for x in operands)
        with np.errstate(all="ignore"):
            return self.stored(self._combined(a, b))

    def _combined(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        if self.rule == 5:
            return np.where(a > b, a, b)
        if self.rule == 6:
            return np.where(a < b, a, b)
        if self.rule == 7:
            a = b = self.flushed(a - b)
        if self.rule in (1, 2):
            return self.flushed(a + b if self.rule == 1 else a - b)
        result, exact = (a / b, a / b.astype(np.float64)) if self.rule == 4 else (a * b, a * b.astype(np.float64))
        if self.flush:  # what is rounded up to the least normal number is less than that
            result = np.where(np.abs(exact) < _ROUNDED_TO_LEAST, np.copysign(np.float32(0), result), result)
        return self.flushed(result)


def logistic(x: np.ndarray) -> np.ndarray:
    """As the built-in kernels' vectors approximate it, float32 of any shape."""
    half = np.where(x > _LOGISTIC_ONE, _LOGISTIC_ONE, x) * np.float32(0.5)
    power = np.floor(half * np.float32(1.44269504088896341) + np.float32(0.5))
    r = power * np.float32(-0.693359375) + half
    r = power * np.float32(2.12194440e-4) + r
    r2 = r * r
    even = r2 * np.float32(4.1898667812347412109375e-2) + np.float32(0.49999141693115234375)
    odd = r2 * np.float32(8.33471305668354034423828125e-3) + np.float32(0.16666877269744873046875)
    polynomial = r2 * (r * odd + even) + (r + np.float32(1))
    in_range = x >= _LOGISTIC_ZERO
    root = np.ldexp(polynomial, np.where(in_range, power, 0).astype(np.int32))
    exponential = root * root
    result = exponential / (np.float32(1) + exponential)
    return np.where(in_range, result, np.where(np.isnan(x), x, np.float32(0)))


class Unary(Float):
    """UNARY."""

    def read_parameters(self, parameters: bytes) -> None:
        low, high, flush = _UNARY.unpack(parameters)
        self.low, self.high, self.flush = np.float32(low), np.float32(high), bool(flush)

    def compute(self, step: int, rows: StepRows) -> np.ndarray:
        x = self.flushed(rows.read(0, step, rows.columns))
        with np.errstate(all="ignore"):
            if self.rule > 1:
                x = np.sqrt(x) if self.rule == 2 else logistic(x)
            return self.stored(x)


KERNELS: dict[int, type[Kernel]] = {17: Dequantize, 31: Binary, 32: Unary, 33: Cast}
