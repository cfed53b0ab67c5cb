"""Requantization of REGION.md section 4, rule by rule, in numpy. Normative: executors and decoders agree bit by bit.

Integers are int64 arrays that hold what the text computes in 32 or 64 bits; float32 and float64 operations are numpy's
own, each rounded to nearest even. Accumulators are int32 values (see `wrap`).
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np

INT32_MIN, INT32_MAX = -(1 << 31), (1 << 31) - 1


class Rule(IntEnum):
    """Requantization of accumulators; the numbers of REGION.md."""

    DOUBLE_ROUNDING = 1
    HALF_UP = 2
    FLOAT32 = 3
    FLOAT64 = 4
    RNDNU = 5
    BLOCKS = 6

    @property
    def in_floats(self) -> bool:
        """Whether scales are floats, and there are no shifts."""
        return self in (Rule.FLOAT32, Rule.FLOAT64)


class Requantization(NamedTuple):
    """From accumulators to the unsigned domain.

    Attributes:
      rule: of REGION.md section 4.
      scales: m, int32 [C], or f, float32 or float64 [C].
      shifts: s, int8 [C], None for rules in floating point.
      zero, low, high: unsigned domain.
    """

    rule: Rule
    scales: np.ndarray
    shifts: np.ndarray | None
    zero: int
    low: int
    high: int


def wrap(values: np.ndarray) -> np.ndarray:
    """int64 values modulo 2^32, as int32 values."""
    return ((values + (1 << 31)) & 0xFFFFFFFF) - (1 << 31)


def clamp(r: np.ndarray, zero: int, low: int, high: int) -> np.ndarray:
    """What is stored for the results of a rule; if low > high it is high."""
    return np.minimum(np.maximum(r + zero, low), high)


def truncated(values: np.ndarray, divisor: np.ndarray | int) -> np.ndarray:
    """Integer division that truncates towards zero, as C's."""
    return np.sign(values) * (np.abs(values) // divisor)


def double_high(a: np.ndarray, m: np.ndarray | int) -> np.ndarray:
    """(2 a m + 2^31) / 2^32, halves away from zero: SaturatingRoundingDoublingHighMul."""
    product = a * np.asarray(m, np.int64)
    return truncated(product + np.where(product >= 0, 1 << 30, 1 - (1 << 30)), 1 << 31)


def shift_away(a: np.ndarray, e: np.ndarray | int) -> np.ndarray:
    """a / 2^e, halves away from zero: RoundingDivideByPOT."""
    mask = (np.int64(1) << np.asarray(e, np.int64)) - 1
    return (a >> np.asarray(e, np.int64)) + ((a & mask) > (mask >> 1) + (a < 0))


def shift_up(a: np.ndarray, e: np.ndarray | int) -> np.ndarray:
    """a / 2^e, halves up."""
    e = np.asarray(e, np.int64)
    return (a + ((np.int64(1) << e) >> 1)) >> e


def double_rounding(acc: np.ndarray, m: np.ndarray | int, s: np.ndarray | int) -> np.ndarray:
    """Rule 1: TFLite's MultiplyByQuantizedMultiplier."""
    s = np.asarray(s, np.int64)
    return shift_away(double_high(wrap(acc << np.maximum(s, 0)), m), np.maximum(-s, 0))


def half_up(acc: np.ndarray, m: np.ndarray | int, s: np.ndarray | int) -> np.ndarray:
    """Rule 2: ruy's kernels for x86."""
    s = np.asarray(s, np.int64)
    high = (wrap(acc << np.maximum(s, 0)) * np.asarray(m, np.int64) + (1 << 30)) >> 31
    return shift_up(high, np.maximum(-s, 0))


def float32(acc: np.ndarray, f: np.ndarray | np.float32) -> np.ndarray:
    """Rule 3: XNNPACK's fp32 requantization."""
    product = acc.astype(np.float32) * np.asarray(f, np.float32)
    return np.clip(np.rint(product).astype(np.float64), INT32_MIN, INT32_MAX).astype(np.int64)


def float64(acc: np.ndarray, f: np.ndarray | float) -> np.ndarray:
    """Rule 4: FULLY_CONNECTED of LiteRT's reference kernels."""
    product = np.clip(acc.astype(np.float64) * np.asarray(f, np.float64), INT32_MIN, INT32_MAX)
    return half_away(product).astype(np.int64)


def rndnu(acc: np.ndarray, m: np.ndarray | int, s: np.ndarray | int) -> np.ndarray:
    """Rule 5: XNNPACK's rndnu requantization, uint8 on aarch64."""
    e = np.maximum(-np.asarray(s, np.int64), 1)
    left = np.clip(acc << (e + s), INT32_MIN, INT32_MAX)
    return shift_up((2 * left * np.asarray(m, np.int64)) >> 32, e)


def half_away(values: np.ndarray) -> np.ndarray:
    """Floats to whole numbers, halves away from zero: C's round()."""
    whole = np.trunc(values)
    return whole + np.copysign(np.abs(values - whole) >= 0.5, values).astype(values.dtype)


def requantize(rule: Rule, acc: np.ndarray, scale: np.ndarray, shift: np.ndarray | None, block: int = 8) -> np.ndarray:
    """A rule by its number.

    Args:
      acc: int32 values [..., channels].
      scale: m or f, [channels].
      shift: s, [channels]; None for the rules in floating point.
      block: channels that rule 6 treats alike.
    """
    if rule is Rule.FLOAT32:
        return float32(acc, scale)
    if rule is Rule.FLOAT64:
        return float64(acc, scale)
    assert shift is not None
    if rule is Rule.BLOCKS:
        whole = acc.shape[-1] - acc.shape[-1] % block
        in_block = np.arange(acc.shape[-1]) < whole
        return np.where(in_block, half_up(acc, scale, shift), double_rounding(acc, scale, shift))
    fixed = {Rule.DOUBLE_ROUNDING: double_rounding, Rule.HALF_UP: half_up, Rule.RNDNU: rndnu}
    return fixed[rule](acc, scale, shift)
