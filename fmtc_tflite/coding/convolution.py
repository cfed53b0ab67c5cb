"""A synthesis that is a pointwise convolution in integers, to the last bit: FORMAT.md sections 2.2 and 4.4."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from fmtc_tflite.coding import rounding
from fmtc_tflite.coding.rounding import Requantization, Rule
from fmtc_tflite.errors import CodingError

FIELDS = struct.Struct("<bBBB12s")
SCALE_TYPES = {
    Rule.DOUBLE_ROUNDING: "<i4",
    Rule.HALF_UP: "<i4",
    Rule.FLOAT32: "<f4",
    Rule.FLOAT64: "<f8",
    Rule.RNDNU: "<i4",
}


@dataclass(frozen=True)
class Convolution:
    """What the decoder of a folded map computes.

    Attributes:
      weights: int8 [C, r]; uint8 ones XOR 0x80.
      weight_zero: their zero point in that domain.
      biases: int32 [C], the input's zero point in the unsigned domain folded in.
      requantization: from sums to decoded values, of one of SCALE_TYPES.
    """

    weights: np.ndarray
    weight_zero: int
    biases: np.ndarray
    requantization: Requantization

    def check(self) -> None:
        """Raises CodingError where a field cannot be stored, or lies outside the limits of REGION.md section 4."""
        how, channels = self.requantization, len(self.weights)
        if how.rule not in SCALE_TYPES or len(self.biases) != channels or len(how.scales) != channels:
            raise CodingError(
                f"a convolution of {channels} channels by rule {how.rule.name} has {len(self.biases)} biases and "
                f"{len(how.scales)} scales"
            )
        if how.rule.in_floats:
            valid = how.shifts is None and bool((np.isfinite(how.scales) & (how.scales > 0)).all())
        else:
            m, s = how.scales, how.shifts
            in_range = bool(((m == 0) | (m >= 1 << 30)).all())
            valid = in_range and s is not None and len(s) == channels and s.min() >= -31 and s.max() <= 30
        if not valid:
            raise CodingError("multipliers or shifts of a convolution lie outside the limits of REGION.md section 4")

    def apply(self, values: np.ndarray) -> np.ndarray:
        """Signed values [..., r] to what the convolution makes of them, signed [..., C]."""
        how = self.requantization
        matrix = self.weights.astype(np.int64) - self.weight_zero
        sums = rounding.wrap((values.astype(np.int64) + 128) @ matrix.T + self.biases)
        r = rounding.requantize(how.rule, sums, how.scales, how.shifts)
        return rounding.clamp(r, how.zero, how.low, how.high) - 128

    def sections(self) -> list[bytes]:
        """What side information holds of it, each part to be padded: weights, biases, fields, multipliers, shifts."""
        how = self.requantization
        return [
            self.weights.astype(np.int8).tobytes(),
            self.biases.astype("<i4").tobytes(),
            FIELDS.pack(self.weight_zero, how.zero, how.low, how.high, bytes(12)),
            how.scales.astype(SCALE_TYPES[how.rule]).tobytes(),
            b"" if how.shifts is None else how.shifts.astype(np.int8).tobytes(),
        ]
