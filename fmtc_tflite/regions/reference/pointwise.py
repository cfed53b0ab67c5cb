"""TABLE, QUANTIZE and COPY: each output is made from the inputs at its own place."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

from fmtc_tflite.coding import rounding
from fmtc_tflite.regions.program import ProgramTensor
from fmtc_tflite.regions.program_format import SCRATCH
from fmtc_tflite.regions.reference.floats import in_vectors
from fmtc_tflite.regions.reference.kernels import Kernel

if TYPE_CHECKING:
    from fmtc_tflite.regions.reference.machine import StepRows

_QUANTIZE = struct.Struct("<ffBBBBI")
_INT8 = 9
_INT32_END = 2.0**31


def _is_int8_outside(tensor: ProgramTensor) -> bool:
    return tensor.place != SCRATCH and tensor.type == _INT8


class Table(Kernel):
    """TABLE."""

    def read_parameters(self, parameters: bytes) -> None:
        self.values = np.frombuffer(parameters, np.uint8, 256)

    def compute(self, step: int, rows: StepRows) -> np.ndarray:
        found = self.values[rows.read(0, step, rows.columns).view(np.uint8)]
        return found.view(np.int8) if _is_int8_outside(self.output) else found


class Copy(Kernel):
    """COPY."""

    def compute(self, step: int, rows: StepRows) -> np.ndarray:
        values = rows.read(0, step, rows.columns)
        if values.dtype.itemsize > 1:
            return values
        flips = _is_int8_outside(self.inputs[0]) != _is_int8_outside(self.output)
        values = values.view(np.uint8) ^ np.uint8(0x80 if flips else 0)
        return values.view(np.int8) if _is_int8_outside(self.output) else values


class Quantize(Kernel):
    """QUANTIZE."""

    def read_parameters(self, parameters: bytes) -> None:
        scale, inverse, self.zero, self.low, self.high, self.outside, _ = _QUANTIZE.unpack(parameters)
        self.scale, self.inverse = np.float32(scale), np.float32(inverse)

    def compute(self, step: int, rows: StepRows) -> np.ndarray:
        x = rows.read(0, step, rows.columns)
        with np.errstate(all="ignore"):
            if self.rule == 1:
                return self._stored(rounding.half_away(x / self.scale))
            product = x * self.inverse
            if self.rule == 3:
                clamped = np.where(product < _INT32_END, product, np.float32(np.inf))  # also what is no number
                return self._stored(np.clip(np.rint(clamped).astype(np.float64), -_INT32_END, _INT32_END - 1))
            left = self._stored(rounding.half_away(x.astype(np.float64) / np.float64(self.scale)))
            if self.rule == 4:
                return left
            return np.where(in_vectors(self, step, rows), self._stored(np.rint(product)), left)

    def _stored(self, r: np.ndarray) -> np.ndarray:
        inside = (r >= -_INT32_END) & (r < _INT32_END)
        steps = np.where(inside, r, 0).astype(np.int64)
        return np.where(inside, rounding.clamp(steps, self.zero, self.low, self.high), self.outside).astype(np.uint8)


KERNELS: dict[int, type[Kernel]] = {4: Table, 5: Quantize, 16: Copy}
