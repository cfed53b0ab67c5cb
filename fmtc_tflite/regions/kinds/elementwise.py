"""ADD, and QUANTIZE and DEQUANTIZE between types."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fmtc_tflite.graph.model import Tensor
from fmtc_tflite.graph.operators import constants, multipliers
from fmtc_tflite.graph.operators.window import operand, result_of
from fmtc_tflite.regions.kernel_sets import clamp, unsigned
from fmtc_tflite.regions.kinds.facts import BYTES, Operands, padded, raw_zero, require, scale_of
from fmtc_tflite.regions.ops import RegionOp
from fmtc_tflite.regions.rounding import double_rounding

Add = Callable[[bytes, int], int]

_ADD = struct.Struct("<iiBBBBiiibbbBI32x")
_ADD_SHIFT = 20  # bits that sums have beyond their values


@dataclass(frozen=True, eq=False)
class ElementwiseOp(RegionOp):
    """Output values read the values at their own place."""

    def rows_needed(self, operand: int, step: int) -> tuple[int, int]:
        return step, step

    def columns_needed(self, operand: int, first: int, end: int) -> tuple[int, int]:
        return first, end

    def parameters(self, add: Add) -> bytes:
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class AddOp(ElementwiseOp):
    """ADD of two tensors, or of one and constants of the unsigned domain, uint8 [channels]."""

    kind = 6
    numbers: tuple[int, ...]  # the struct's, but for the constants' offset
    constants: np.ndarray | None

    def parameters(self, add: Add) -> bytes:
        offset = 0
        if self.constants is not None:
            wide = np.zeros(padded(len(self.constants)), np.uint8)
            wide[: len(self.constants)] = self.constants
            offset = add(wide.tobytes(), 4)
        return _ADD.pack(*self.numbers, offset)


@dataclass(frozen=True, eq=False)
class Table(ElementwiseOp):
    """Any function of one 8-bit value: uint8 [256], both sides in the unsigned domain."""

    kind = 4
    table: np.ndarray

    def parameters(self, add: Add) -> bytes:
        return self.table.tobytes()


@dataclass(frozen=True, eq=False)
class Quantize(ElementwiseOp):
    """QUANTIZE of a float32 input of the region."""

    kind = 5
    scale: np.float32
    inverse: np.float32

    def reads_region_inputs(self, operand: int) -> bool:
        return True

    def needs_region_input(self, operand: int) -> bool:
        return True

    def parameters(self, add: Add) -> bytes:
        return struct.pack("<ffBBBBI", self.scale, self.inverse, self.output.zero_point, 0, 255, 0, 0)


@dataclass(frozen=True, eq=False)
class Dequantize(ElementwiseOp):
    """DEQUANTIZE to a float32 output of the region."""

    kind = 17
    scale: np.float32

    @property
    def writes_region_outputs(self) -> bool:
        return True

    def parameters(self, add: Add) -> bytes:
        return struct.pack("<fB11x", self.scale, self.inputs[0].zero_point)


def build_quantize(operands: Operands) -> RegionOp:
    """From QUANTIZE, of floats or from one quantization to another."""
    source, result = operands.source(), operands.output()
    found = operands.tensor_of(source)
    own = operands.kernels.runs(operands.op)
    if found.dtype == np.float32:
        scale = scale_of(result_of(operands.op))
        with np.errstate(over="ignore"):
            inverse = np.float32(1.0) / scale
        require(bool(np.isfinite(inverse)), "its scale has no reciprocal")
        rule = {"reference": 1, "builtin": 2, "xnnpack": 3}[own]
        return Quantize(operands.op, (found,), result, rule, scale, inverse)
    source_tensor = operands.input()
    table = _requantization_table(source, result_of(operands.op), own)
    return Table(operands.op, (source_tensor,), result, 1, table)


def build_dequantize(operands: Operands) -> RegionOp:
    """From DEQUANTIZE of 8-bit values."""
    source, found = operands.input(), operands.tensor_of(result_of(operands.op))
    require(found.dtype == np.float32, "it does not make float32")
    return Dequantize(operands.op, (source,), found, 1, scale_of(operands.source()))


def _requantization_table(source: Tensor, result: Tensor, own: str) -> np.ndarray:
    """What QUANTIZE makes of each value, unsigned domain."""
    assert source.zero_point is not None
    assert result.zero_point is not None
    values = np.arange(256, dtype=np.int64) - unsigned(source, source.zero_point)
    zero = unsigned(result, result.zero_point)
    if own == "xnnpack":
        ratio = scale_of(source) / scale_of(result)
        found = (values * int(np.rint(np.float32(256.0) * ratio)) + 128) >> 8
    else:
        m, s = multipliers.quantize_multiplier(float(np.float64(scale_of(source)) / np.float64(scale_of(result))))
        require(-31 <= s <= 30, "its scales are out of the range of shifts")
        found = double_rounding(values, m, s)
    return np.clip(found + zero, 0, 255).astype(np.uint8)


def build_add(operands: Operands) -> AddOp:
    """From ADD of tensors of one shape, or of one and a constant that is the same for all pixels."""
    operands.require_known_activation()
    result = operands.output()
    both = [operand(operands.op, index) for index in range(2)]
    active = [index for index in range(2) if both[index].data is None]
    require(bool(active), "it adds constants")
    inputs = tuple(operands.input(index) for index in active)
    shape = (result.height, result.width, result.channels)
    same = all((t.height, t.width, t.channels) == shape and t.dtype == result.dtype for t in inputs)
    require(same, "it adds tensors of different shapes or types")
    ordered = [both[index] for index in active] + [t for t in both if t.data is not None]
    fixed = None
    if len(active) == 1:
        fixed = _constants(ordered[1], result.channels, raw_zero(result))
        require(ordered[1].dtype == result.dtype, "it adds tensors of different types")
    a, b = ordered
    if operands.kernels.runs(operands.op) == "xnnpack":
        rule, numbers = 2, _xnnpack_numbers(operands, a, b)
    else:
        rule, numbers = 1, _builtin_numbers(operands, a, b)
    return AddOp(operands.op, inputs, result, rule, numbers, fixed)


def _constants(tensor: Tensor, channels: int, zero: int) -> np.ndarray:
    """uint8 [channels] of a constant that varies along the channels at most."""
    require(tensor.dtype in BYTES and tensor.scale is not None and tensor.zero_point is not None, "its constant is not "
            "quantized with one scale")  # fmt: skip
    values = constants.constant(tensor)
    require(
        values.size in (1, channels) and (values.size == 1 or values.shape[-1] == channels), "its constant has pixels"
    )
    return (np.broadcast_to(values.reshape(-1), channels).astype(np.int64) + zero).astype(np.uint8)


def _zeros(a: Tensor, b: Tensor) -> tuple[int, int]:
    assert a.zero_point is not None
    assert b.zero_point is not None
    return unsigned(a, a.zero_point), unsigned(b, b.zero_point)


def _builtin_numbers(operands: Operands, a: Tensor, b: Tensor) -> tuple[int, ...]:
    result = result_of(operands.op)
    twice = 2.0 * float(max(scale_of(a), scale_of(b)))
    pairs = [multipliers.quantize_multiplier(float(scale_of(t)) / twice) for t in (a, b)]
    m, s = multipliers.quantize_multiplier(twice / (float(scale_of(result)) * (1 << _ADD_SHIFT)))
    require(s <= 0 and all(-31 <= shift <= 0 for _, shift in pairs) and s >= -31, "its scales are out of range")
    low, high = clamp(operands.op, operands.kernels)
    zero = operands.output().zero_point
    return (*_zeros(a, b), zero, low, high, 0, pairs[0][0], pairs[1][0], m, pairs[0][1], pairs[1][1], s, 0)


def _xnnpack_numbers(operands: Operands, a: Tensor, b: Tensor) -> tuple[int, ...]:
    result = scale_of(result_of(operands.op))
    ratios = [scale_of(t) / result for t in (a, b)]
    exponent = math.frexp(float(max(ratios)))[1] - 1
    shift = _ADD_SHIFT - exponent
    first, second = (int(np.rint(np.ldexp(np.float64(ratio), shift))) for ratio in ratios)
    require(1 <= shift <= 30, "its scales are out of range")
    low, high = clamp(operands.op, operands.kernels)
    zero = operands.output().zero_point
    return (*_zeros(a, b), zero, low, high, shift, first, second, 0, 0, 0, 0, 0)
