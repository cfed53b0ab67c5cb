"""ADD, MULTIPLY, EXTREMUM and PRELU: two operands, of which the second may serve all rows, columns or channels."""

from __future__ import annotations

import struct
from abc import abstractmethod
from typing import TYPE_CHECKING

import numpy as np

from fmtc_tflite.coding import rounding
from fmtc_tflite.coding.rounding import Rule
from fmtc_tflite.regions.reference.kernels import Kernel
from fmtc_tflite.regions.rounding import add, add_fixed_point

if TYPE_CHECKING:
    from fmtc_tflite.regions.reference.machine import StepRows

_ADD = struct.Struct("<iiBBBBiiibbbxI32x")
_MULTIPLY = struct.Struct("<5Bb2xiI")
_EXTREMUM = struct.Struct("<I12x")
_PRELU = struct.Struct("<3Bxbb2xiiI4x")
_FIXED_POINT_ADD = 2


class Pair(Kernel):
    """A kind of two operands.

    Attributes:
      constants: the second one, uint8 [1, C], if it is no tensor.
    """

    constants: np.ndarray | None = None

    def read_constants(self, offset: int) -> None:
        """Takes the array that stands for a second input."""
        if len(self.inputs) == 1:
            self.constants = self.array(offset, np.uint8, self.output.channels)[None]

    def rows_needed(self, operand: int, step: int) -> tuple[int, int]:
        row = 0 if self.inputs[operand].height == 1 else step
        return row, row

    def compute(self, step: int, rows: StepRows) -> np.ndarray:
        a = rows.read(0, step, rows.columns).astype(np.int64)
        if self.constants is not None:
            return self.combine(a, self.constants.astype(np.int64)).astype(np.uint8)
        columns = np.array([0]) if self.inputs[1].width == 1 else rows.columns
        b = rows.read(1, self.rows_needed(1, step)[0], columns).astype(np.int64)
        return self.combine(a, b).astype(np.uint8)

    @abstractmethod
    def combine(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Of unsigned values as int64, [columns, C] and what broadcasts to that."""


class Add(Pair):
    """ADD."""

    def read_parameters(self, parameters: bytes) -> None:
        fields = _ADD.unpack(parameters)
        self.zeros, (self.zero, self.low, self.high, self.shift) = fields[:2], fields[2:6]
        self.multipliers, self.shifts = fields[6:9], fields[9:12]
        self.read_constants(fields[12])

    def combine(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        a, b = a - self.zeros[0], b - self.zeros[1]
        if self.rule == _FIXED_POINT_ADD:
            r = add_fixed_point(a, b, self.multipliers[:2], self.shift)
        else:
            r = add(self.rule, a, b, self.multipliers, self.shifts)
        return rounding.clamp(r, self.zero, self.low, self.high)


class Multiply(Pair):
    """MULTIPLY."""

    def read_parameters(self, parameters: bytes) -> None:
        *self.zeros, self.zero, self.low, self.high, shift, multiplier, constants = _MULTIPLY.unpack(parameters)
        scale = np.array([multiplier], np.int32)
        self.scale = scale.view(np.float32) if self.rule == Rule.FLOAT32 else scale
        self.shift = np.array([shift], np.int8)
        self.read_constants(constants)

    def combine(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        product = (a - self.zeros[0]) * (b - self.zeros[1])
        return rounding.clamp(
            rounding.requantize(Rule(self.rule), product, self.scale, self.shift), self.zero, self.low, self.high
        )


class Extremum(Pair):
    """EXTREMUM."""

    def read_parameters(self, parameters: bytes) -> None:
        self.read_constants(*_EXTREMUM.unpack(parameters))

    def combine(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.maximum(a, b) if self.rule == 1 else np.minimum(a, b)


class Prelu(Pair):
    """PRELU."""

    def read_parameters(self, parameters: bytes) -> None:
        fields = _PRELU.unpack(parameters)
        self.zeros, self.zero, self.shifts, self.multipliers = fields[:2], fields[2], fields[3:5], fields[5:7]
        self.read_constants(fields[7])

    def combine(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        x = a - self.zeros[0]
        above = rounding.double_rounding(x, self.multipliers[0], self.shifts[0])
        below = rounding.double_rounding(x * (b - self.zeros[1]), self.multipliers[1], self.shifts[1])
        return rounding.clamp(np.where(x >= 0, above, below), self.zero, 0, 255)


KERNELS: dict[int, type[Kernel]] = {6: Add, 18: Multiply, 19: Extremum, 20: Prelu}
