"""SOFTMAX."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

from fmtc_tflite.coding import rounding
from fmtc_tflite.regions.reference.kernels import Kernel

if TYPE_CHECKING:
    from fmtc_tflite.regions.reference.machine import StepRows

_STRUCT = struct.Struct("<I12x")
_SUM_SHIFT = 12


class Softmax(Kernel):
    """SOFTMAX."""

    def read_parameters(self, parameters: bytes) -> None:
        (offset,) = _STRUCT.unpack(parameters)
        self.exponentials = self.array(offset, np.int32, 256).astype(np.int64)

    def compute(self, step: int, rows: StepRows) -> np.ndarray:
        return softmax(rows.read(0, step, rows.columns), self.exponentials)


def softmax(values: np.ndarray, exponentials: np.ndarray) -> np.ndarray:
    """SOFTMAX of the last axis.

    Args:
      values: uint8 [pixels, channels].
      exponentials: int64 [256], of so many steps below the largest value.

    Returns:
      uint8, of the same shape.
    """
    steps = values.astype(np.int64)
    parts = exponentials[steps.max(1, keepdims=True) - steps]
    sums = rounding.shift_away(parts, _SUM_SHIFT).sum(1, keepdims=True)
    zeros = 32 - np.frexp(sums.astype(np.float64))[1].astype(np.int64)
    products = rounding.double_high(parts, _reciprocal((sums << zeros) - (1 << 31)))
    shift = _SUM_SHIFT - zeros + 31 - 8
    found = np.where(shift > 31, 0, rounding.shift_away(products, np.minimum(shift, 31)))
    return np.minimum(found, 255).astype(np.uint8)


def _reciprocal(x: np.ndarray) -> np.ndarray:
    """1 / (1 + x), fractions of 31 bits."""
    half = (x + (1 << 31)) // 2
    found = 1515870810 + rounding.double_high(half, -1010580540)
    for _ in range(3):
        error = (1 << 29) - rounding.double_high(half, found)
        found = found + _saturated(rounding.double_high(found, error) << 2)
    return _saturated(found << 1)


def _saturated(values: np.ndarray) -> np.ndarray:
    return np.clip(values, rounding.INT32_MIN, rounding.INT32_MAX)


KERNELS: dict[int, type[Kernel]] = {37: Softmax}
