"""Fixed-point multipliers and effective scales, formed as the runtime's kernels form them."""

from __future__ import annotations

import math

import numpy as np

_ONE = 1 << 31


def quantize_multiplier(real: float) -> tuple[int, int]:
    """QuantizeMultiplier: (mantissa, shift) with real ~ mantissa * 2^(shift - 31).

    The mantissa is in [2^30, 2^31), rounded half up, or 0 with shift 0 for a multiplier of 0 or below 2^-32.
    """
    if real == 0.0:
        return 0, 0
    fraction, shift = math.frexp(real)
    # Exact: a double times 2^31 has its fraction left, whose floor after adding a half is C's round() here.
    mantissa = math.floor(fraction * _ONE + 0.5)
    if mantissa == _ONE:
        mantissa, shift = mantissa // 2, shift + 1
    return (0, 0) if shift < -31 else (mantissa, shift)


def quantize_multipliers(reals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`quantize_multiplier` of each, int32 [n] both."""
    pairs = [quantize_multiplier(float(real)) for real in reals]
    return np.array([m for m, _ in pairs], np.int32), np.array([s for _, s in pairs], np.int32)


def per_channel_scales(source: float, weights: np.ndarray, result: float) -> np.ndarray:
    """s_x * s_w / s_y in double, float64 [n]: what convolutions and per-channel FULLY_CONNECTED kernels use."""
    return np.float64(np.float32(source)) * weights.astype(np.float64) / np.float64(np.float32(result))


def per_tensor_scale(source: float, weights: float, result: float) -> float:
    """(s_x * s_w) rounded to float32, then divided by s_y in double (GetQuantizedConvolutionMultipler)."""
    return float(np.float64(np.float32(source) * np.float32(weights)) / np.float64(np.float32(result)))


def float32_scales(source: float, weights: np.ndarray, result: float) -> np.ndarray:
    """(s_x * s_w) / s_y in float32 with both results rounded, float32 [n]: XNNPACK's requantization scale."""
    return (np.float32(source) * weights.astype(np.float32)) / np.float32(result)
