"""MEAN over rows, columns or both, and the kinds of other reductions of these: SUM, REDUCE_MAX."""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection
from dataclasses import dataclass
from math import prod
from typing import ClassVar

import numpy as np

from fmtc_tflite.graph.model import Op, Tensor
from fmtc_tflite.graph.operators import constants, multipliers
from fmtc_tflite.graph.operators.window import Window, WindowAxis
from fmtc_tflite.regions.kernel_sets import KernelSet, unsigned
from fmtc_tflite.regions.kinds.accumulating import AccumulatingOp
from fmtc_tflite.regions.kinds.facts import alike, require, same_quantization, scale_of, zero_point_of
from fmtc_tflite.regions.kinds.pools import MaxPool, check_pool_window
from fmtc_tflite.regions.ops import RegionOp, RegionTensor

_STRUCT = struct.Struct("<iiifiBBxxf4x")
_DOUBLE_ROUNDING, _BLOCKS, _FLOAT32_ADDEND, _FLOAT32_ADDEND_AWAY = 1, 6, 7, 8
_CHANNELS = 2  # of rows, columns and channels
_BLOCK = 16
_MAX_SHIFT = 30


@dataclass(frozen=True)
class MeanTerms:
    """From the sum of a channel to its mean; see REGION.md."""

    start: int
    zero: int
    multiplier: int = 0
    shift: int = 0
    factor: float = 1.0
    addend: float = 0.0


@dataclass(frozen=True, eq=False)
class Mean(AccumulatingOp):
    """MEAN over rows (adds one input row a step), columns (of each row), or both."""

    kind: ClassVar[int] = 7
    terms: MeanTerms

    @property
    def accumulates(self) -> bool:
        return self.output.height == 1

    def columns_needed(self, operand: int, first: int, end: int) -> tuple[int, int]:
        return (0, self.inputs[0].width) if self.output.width == 1 else (first, end)

    @property
    def own_memory_bytes(self) -> int:
        return 4 * self.output.width * -(-self.output.channels // _BLOCK) * _BLOCK

    def parameters(self, add: Callable[[bytes, int], int], outside: Collection[RegionTensor]) -> bytes:
        terms = self.terms
        return _STRUCT.pack(terms.start, terms.multiplier, terms.shift, terms.factor, terms.zero, 0, 255, terms.addend)


def build_mean(op: Op, tensor_of: Callable[[Tensor], RegionTensor], kernels: KernelSet) -> RegionOp:
    """MEAN of a MEAN or SUM of height, width or both; a sum is a mean that is not divided."""
    source, result = alike(op)
    x, y, axes = _reduced(op, source, result, tensor_of)
    count = prod(source.shape[axis] for axis in axes)
    terms_of = _rule_and_terms if op.opcode == "MEAN" else _rule_and_terms_of_sum
    rule, terms = terms_of(op, source, result, count, kernels)
    require(-(1 << 31) <= terms.start < (1 << 31) - 255 * count, "its sums do not fit 32 bits")
    require(terms.shift <= _MAX_SHIFT, "its output's scale is too small beside its input's")
    return Mean(op, (x,), y, rule, terms)


def build_reduce_max(op: Op, tensor_of: Callable[[Tensor], RegionTensor], kernels: KernelSet) -> RegionOp:
    """MAX_POOL of a REDUCE_MAX of height, width or both: its window is all that there is. All kernels agree."""
    source, result = same_quantization(op)
    x, y, _ = _reduced(op, source, result, tensor_of)
    rows, columns = (
        WindowAxis(size, outputs, size if outputs == 1 else 1, 1, 1, 0, 0)
        for size, outputs in ((x.height, y.height), (x.width, y.width))
    )
    window = Window(rows, columns)
    check_pool_window(window)
    return MaxPool(op, (x,), y, 1, window, 0, 0, 255)


def _reduced(
    op: Op, source: Tensor, result: Tensor, tensor_of: Callable[[Tensor], RegionTensor]
) -> tuple[RegionTensor, RegionTensor, tuple[int, ...]]:
    """Input and output of an op that reduces height, width or both, and the graph's axes."""
    rank = len(source.shape)
    axes = constants.axes(op, rank)
    x, y = tensor_of(source), tensor_of(result)
    order = (*range(3),)[4 - rank :] if x.order is None else x.order
    is_reduced = bool(axes) and rank in (3, 4) and axes[0] > 0
    reduced = {order[axis - 1] for axis in axes} if is_reduced else {_CHANNELS}
    require(_CHANNELS not in reduced, "it reduces not height or width")
    require(len(op.inputs[1].shape if op.inputs[1] is not None else ()) <= 1, "its axes are no vector")
    height, width = (1 if axis in reduced else size for axis, size in enumerate((x.height, x.width)))
    require((y.height, y.width, y.channels) == (height, width, x.channels), "it drops the axis of columns")
    return x, y, axes


def _rule_and_terms(op: Op, source: Tensor, result: Tensor, count: int, kernels: KernelSet) -> tuple[int, MeanTerms]:
    own = kernels.runs(op)
    if own == "xnnpack":
        return _FLOAT32_ADDEND, _xnnpack_terms(source, result, count)
    if own == "builtin" and op.options.keepDims and constants.axes(op, len(source.shape)) == (1, 2):
        # Only some runtimes count them from the front before they choose a kernel.
        require(min(constants.integers(op, 1)) >= 0, "it counts axes from the end, which runtimes compute differently")
        return _BLOCKS if kernels.vectors else _DOUBLE_ROUNDING, _optimized_terms(source, result, count)
    return _DOUBLE_ROUNDING, _reference_terms(source, result, count)


def _rule_and_terms_of_sum(
    op: Op, source: Tensor, result: Tensor, count: int, kernels: KernelSet
) -> tuple[int, MeanTerms]:
    if kernels.runs(op) == "xnnpack":
        return _FLOAT32_ADDEND, _xnnpack_terms(source, result, count, divided=False)
    if kernels.runs(op) == "builtin":
        return _FLOAT32_ADDEND_AWAY, _builtin_terms_of_sum(source, result, count)
    require(source.dtype == np.uint8, "the runtime's SUM takes values of int8 for unsigned ones")
    zero_in, zero_out = _own_zeros(source, result)
    m, s = multipliers.quantize_multiplier(float(np.float64(scale_of(source)) / np.float64(scale_of(result))))
    return _DOUBLE_ROUNDING, MeanTerms(-count * zero_in, zero_out, m, s)


def _own_zeros(source: Tensor, result: Tensor) -> tuple[int, int]:
    return unsigned(source, zero_point_of(source)), unsigned(result, zero_point_of(result))


def _xnnpack_terms(source: Tensor, result: Tensor, count: int, divided: bool = True) -> MeanTerms:
    """A sum of values as they are, converted with the input's zero points as part of the output's, all in float32."""
    factor = (scale_of(source) / scale_of(result)) * (np.float32(1) / np.float32(count if divided else 1))
    zeros = np.float32(count) * np.float32(zero_point_of(source))
    addend = np.float32(zero_point_of(result)) - zeros * factor
    offset = 128 if source.dtype == np.int8 else 0
    return MeanTerms(-count * offset, offset, factor=float(factor), addend=float(addend))


def _reference_terms(source: Tensor, result: Tensor, count: int) -> MeanTerms:
    """QuantizedMeanOrSum: 1 / count becomes part of the multiplier."""
    zero_in, zero_out = _own_zeros(source, result)
    ratio = float(np.float64(scale_of(source)) / np.float64(scale_of(result)))
    m, s = multipliers.quantize_multiplier(ratio)
    shift = min(count.bit_length() - 1, 32, 31 + s)
    return MeanTerms(-count * zero_in, zero_out, (m << shift) // count, s - shift)


def _builtin_terms_of_sum(source: Tensor, result: Tensor, count: int) -> MeanTerms:
    """optimized_ops::QuantizedMeanOrSum: all in float32, the output's zero point added behind the rounding."""
    factor = scale_of(source) / scale_of(result)
    addend = np.float32(-zero_point_of(source)) * factor * np.float32(count)
    start = -count * (128 if source.dtype == np.int8 else 0)
    zero = unsigned(result, zero_point_of(result))
    return MeanTerms(start, zero, factor=float(factor), addend=float(addend))


def _optimized_terms(source: Tensor, result: Tensor, count: int) -> MeanTerms:
    """optimized_integer_ops::Mean: a sum of values as they are, and the zero points in one bias."""
    scale_in, scale_out = scale_of(source), scale_of(result)
    shift = np.float32(zero_point_of(source)) * scale_in / scale_out
    half = np.float32(0.5) if shift > 0 else np.float32(-0.5)
    bias = zero_point_of(result) - int(np.trunc(shift + half))
    m, s = multipliers.quantize_multiplier(float(scale_in / (np.float32(count) * scale_out)))
    return MeanTerms(-count * (128 if source.dtype == np.int8 else 0), unsigned(result, bias), m, s)
