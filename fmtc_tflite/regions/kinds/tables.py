"""Functions of one 8-bit value, each a TABLE: activations that are ops of their own."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fmtc_tflite.coding import rounding
from fmtc_tflite.graph.model import Op, Tensor
from fmtc_tflite.graph.operators import activation, multipliers
from fmtc_tflite.regions.kernel_sets import KernelSet, clamp, unsigned
from fmtc_tflite.regions.kinds.elementwise import Table
from fmtc_tflite.regions.kinds.facts import alike, multiplier_of, require, scale_of, zero_point_of
from fmtc_tflite.regions.ops import RegionOp, RegionTensor

_ONE = np.float32(1)
_LOGISTIC_SCALE = np.float32(1 / 256)
# Relative errors that the C libraries' functions have before they round their results.
_EXP_ERROR, _TANH_ERROR, _DOUBLE_ERROR = 0.05 * 2.0**-23, 2.0**-22, 2.0**-50
_FAR = 80.0


def build_table(op: Op, tensor_of: Callable[[Tensor], RegionTensor], kernels: KernelSet) -> RegionOp:
    """TABLE of an activation function that is an op."""
    source, result = alike(op)
    require(source.shape == result.shape, "its input and output have different shapes")
    values = _FUNCTIONS[op.opcode](op, source, result, kernels)
    return Table(op, (tensor_of(source),), tensor_of(result), 1, values.astype(np.uint8))


def build_square(op: Op, tensor_of: Callable[[Tensor], RegionTensor], kernels: KernelSet) -> RegionOp:
    """TABLE of a MUL of a tensor with itself as XNNPACK computes it: in float32."""
    source, result = alike(op)
    real = _reals(source)
    with np.errstate(over="ignore"):
        table = _agreed(_xnnpack_quantized(real * real, result, kernels))
    values = np.clip(table, *clamp(op, kernels)).astype(np.uint8)
    return Table(op, (tensor_of(source),), tensor_of(result), 1, values)


def _distances(source: Tensor) -> np.ndarray:
    """All 256 values less the zero point, in the order of the unsigned domain: int64 [256]."""
    return np.arange(256, dtype=np.int64) - unsigned(source, zero_point_of(source))


def _stored(result: Tensor, r: np.ndarray, low: int = 0, high: int = 255) -> np.ndarray:
    return rounding.clamp(r, unsigned(result, zero_point_of(result)), low, high)


def _relu(op: Op, source: Tensor, result: Tensor, kernels: KernelSet) -> np.ndarray:
    """QuantizedReluX: requantized, then clamped; the upper limit wins."""
    limits = [0, 255]
    for index, real in enumerate(activation.real_range(op) or ()):
        if np.isfinite(real):
            quantized = activation.quantize_limit(real, float(scale_of(result)), zero_point_of(result))
            require(quantized is not None, "its output's scale is too small")
            assert quantized is not None
            limits[index] = (max, min)[index](limits[index], unsigned(result, quantized))
    m, s = multiplier_of(scale_of(source) / scale_of(result))
    return np.clip(_stored(result, rounding.double_rounding(_distances(source), m, s), *limits), 0, 255)


def _leaky_relu(op: Op, source: Tensor, result: Tensor, kernels: KernelSet) -> np.ndarray:
    x, alpha = _distances(source), np.float32(getattr(op.options, "alpha", np.nan))
    require(bool(np.isfinite(alpha)), "its alpha is no number")
    if kernels.runs(op) == "xnnpack":
        ratio = scale_of(source) / scale_of(result)
        multiplier = np.where(x < 0, *(int(np.rint(np.float32(256) * each)) for each in (ratio * alpha, ratio)))
        return _stored(result, (x * multiplier + 128) >> 8)
    require(bool(alpha >= 0), "its alpha is negative, which runtimes compute differently")
    positive, negative = (
        rounding.double_rounding(x, *multiplier_of(real))
        for real in (scale_of(source) / scale_of(result), scale_of(source) * alpha / scale_of(result))
    )
    return _stored(result, np.where(x < 0, negative, positive))


def _hard_swish(op: Op, source: Tensor, result: Tensor, kernels: KernelSet) -> np.ndarray:
    """HardSwish of the reference kernels, in 16 bits; XNNPACK leaves it to the others."""
    fine_scale = scale_of(source) * np.float32(1 / 128)
    output, output_shift = _multiplier_of_16_bits(fine_scale / scale_of(result))
    require(output_shift <= 0, "its output's scale is too small beside its input's")
    reluish, shift = _multiplier_of_16_bits(fine_scale / np.float32(3 / 32768))
    require(shift <= 16 and output_shift >= -31 and shift >= -31, "its scales are out of all proportion")
    fine = _distances(source) << 7
    share = fine
    if shift > 0:
        share = _saturated(share << (shift - 1))
    share = _high_of_16_bits(share, reluish)
    if shift > 0:
        share = _saturated(share << 1)
    share = (rounding.shift_away(share, max(-shift, 0)) + (1 << 15)) >> 1
    product = rounding.truncated(share * _high_of_16_bits(fine, output), 1 << 15)
    return _stored(result, rounding.shift_away(product, -output_shift))


def _multiplier_of_16_bits(real: np.float32) -> tuple[int, int]:
    """DownScaleInt32ToInt16Multiplier of QuantizeMultiplier."""
    m, s = multipliers.quantize_multiplier(float(real))
    return (m + (1 << 15)) >> 16 if m < (1 << 31) - (1 << 15) else (1 << 15) - 1, s


def _saturated(values: np.ndarray) -> np.ndarray:
    return np.clip(values, -(1 << 15), (1 << 15) - 1)


def _high_of_16_bits(a: np.ndarray, m: int) -> np.ndarray:
    """SaturatingRoundingDoublingHighMul of int16 values."""
    product = a * m
    return rounding.truncated(product + np.where(product >= 0, 1 << 14, 1 - (1 << 14)), 1 << 15)


def _logistic(op: Op, source: Tensor, result: Tensor, kernels: KernelSet) -> np.ndarray:
    x = _reals(source).astype(np.float64)
    near = np.clip(x, -_FAR, _FAR)  # beyond, the results are 0 and 1 as here
    if kernels.runs(op) == "xnnpack":
        share = np.exp(near) / (1 + np.exp(near))
        return _agreed(
            [t for y in _float32s(share, _DOUBLE_ERROR * share) for t in _xnnpack_quantized(y, result, kernels)]
        )
    require(scale_of(result) == _LOGISTIC_SCALE, "its output's scale is not 1/256")
    exponential = np.exp(-near)
    exponentials = _float32s(exponential, _EXP_ERROR * exponential)
    return _agreed([_quantized(_ONE / (_ONE + each), result) for each in exponentials])


def _tanh(op: Op, source: Tensor, result: Tensor, kernels: KernelSet) -> np.ndarray:
    true = np.tanh(_reals(source).astype(np.float64))
    error = _TANH_ERROR * np.minimum(np.abs(true), 1 - np.abs(true))
    candidates = _float32s(true, error)
    if kernels.runs(op) == "xnnpack":
        return _agreed([table for y in candidates for table in _xnnpack_quantized(y, result, kernels)])
    return _agreed([_quantized(y, result) for y in candidates])


def _reals(source: Tensor) -> np.ndarray:
    """What the 256 values stand for, float32."""
    return scale_of(source) * _distances(source).astype(np.float32)


def _float32s(true: np.ndarray, error: np.ndarray) -> list[np.ndarray]:
    """What a function may give that is off by an error before it rounds to float32; float64 both."""
    return [(true + sign * error).astype(np.float32) for sign in (0, -1, 1)]


def _agreed(tables: list[np.ndarray]) -> np.ndarray:
    """The table that all candidates are; which of them a C library gives is not known."""
    same = all(np.array_equal(tables[0], other) for other in tables[1:])
    require(same, "a value lies so near to a half that C libraries may round it either way")
    return tables[0]


def _quantized(values: np.ndarray, result: Tensor) -> np.ndarray:
    """LUTPopulate's: halves away from zero, then the zero point."""
    with np.errstate(over="ignore"):
        steps = rounding.half_away(values * (_ONE / scale_of(result)))
    return _stored(result, np.clip(steps.astype(np.float64), -(2.0**30), 2.0**30).astype(np.int64))


def _xnnpack_quantized(values: np.ndarray, result: Tensor, kernels: KernelSet) -> list[np.ndarray]:
    """XNNPACK's: the zero point is added before rounding, halves to even. Two tables where compilers may fuse both."""
    assert result.dtype is not None
    info = np.iinfo(result.dtype)
    inverse, zero = _ONE / scale_of(result), np.float32(zero_point_of(result))
    with np.errstate(over="ignore"):
        places = [values * inverse + zero]
        if kernels.target == "aarch64":
            places.append((values.astype(np.float64) * np.float64(inverse) + np.float64(zero)).astype(np.float32))
    return [np.clip(np.rint(each), info.min, info.max).astype(np.int64) - info.min for each in places]


_FUNCTIONS: dict[str, Callable[[Op, Tensor, Tensor, KernelSet], np.ndarray]] = {
    "RELU": _relu,
    "RELU6": _relu,
    "RELU_N1_TO_1": _relu,
    "RELU_0_TO_1": _relu,
    "LEAKY_RELU": _leaky_relu,
    "HARD_SWISH": _hard_swish,
    "LOGISTIC": _logistic,
    "TANH": _tanh,
}
TABLES = tuple(_FUNCTIONS)
