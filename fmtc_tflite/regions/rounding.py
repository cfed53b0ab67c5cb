"""The arithmetic of sums and means, REGION.md section 5, in numpy; see fmtc_tflite.coding.rounding."""

from __future__ import annotations

import numpy as np

from fmtc_tflite.coding.rounding import INT32_MAX, INT32_MIN, double_high, double_rounding, half_away, shift_up

_ADD_SHIFT = 20
_ADD_SIGNS = {1: (1, 1), 5: (1, -1), 6: (-1, 1)}  # of both operands, by rule


def add(rule: int, a: np.ndarray, b: np.ndarray, m: tuple[int, int, int], s: tuple[int, int, int]) -> np.ndarray:
    """Rules of ADD but the second: the result of operands less their zero points.

    Args:
      m, s: multipliers and shifts of both operands and of the sum.
    """
    if rule in _ADD_SIGNS:
        terms = [double_rounding(v << _ADD_SHIFT, m[i], s[i]) for i, v in enumerate((a, b))]
    elif rule == 3:
        terms = [double_high(_shifted(v, _ADD_SHIFT + s[i]), m[i]) for i, v in enumerate((a, b))]
    else:
        terms = [_shifted(double_high(v << _ADD_SHIFT, m[i]), s[i]) for i, v in enumerate((a, b))]
    signs = _ADD_SIGNS.get(rule, (1, 1))
    return double_rounding(signs[0] * terms[0] + signs[1] * terms[1], m[2], s[2])


def add_fixed_point(a: np.ndarray, b: np.ndarray, m: tuple[int, int], shift: int) -> np.ndarray:
    """Rule 2 of ADD, XNNPACK's."""
    return shift_up(a * m[0] + b * m[1], shift)


def mean_with_addend(acc: np.ndarray, f: np.float32, g: np.float32, away: bool) -> np.ndarray:
    """Rule 7 of MEAN, XNNPACK's, halves to even; rule 8, the built-in kernels' of sums, halves away from zero."""
    total = acc.astype(np.float32) * f + g
    whole = (half_away(total) if away else np.rint(total)).astype(np.float64)
    return np.clip(whole, INT32_MIN, INT32_MAX).astype(np.int64)


def _shifted(values: np.ndarray, shift: int) -> np.ndarray:
    return values << shift if shift >= 0 else values >> -shift
