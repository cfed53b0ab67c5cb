"""TABLE, QUANTIZE and ADD: each output is made from the inputs at its own place."""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from math import prod
from typing import ClassVar

import numpy as np

from fmtc_tflite.graph.model import Op, Tensor
from fmtc_tflite.graph.operators import constants, multipliers
from fmtc_tflite.graph.operators.window import operand, result_of
from fmtc_tflite.regions import rounding
from fmtc_tflite.regions.kernel_sets import KernelSet, clamp, unsigned
from fmtc_tflite.regions.kinds.facts import known_activation, quantized, require, scale_of, zero_point_of
from fmtc_tflite.regions.ops import RegionOp, RegionTensor

AddArray = Callable[[bytes, int], int]

_QUANTIZE = struct.Struct("<ffBBBBI")
_ADD = struct.Struct("<iiBBBBiiibbbxI32x")
_LEFT_SHIFT = 20  # of ADD in TFLite's kernels
_BLOCK = 16
_ADD_RULES = {"xnnpack": 2, "builtin": 1, "reference": 1}
_MAX_REQUANTIZING_SHIFT = 22  # with which values of 8 bits stay within 32
# Values that a step of the built-in kernels' vectors adds; those left at a tensor's end are rounded by other rules.
_ADD_VECTOR = {np.dtype(np.int8): 16, np.dtype(np.uint8): 8}
_UNEVEN = "the runtime's kernels round the tensor's last values by another rule than the others"


class ElementwiseOp(RegionOp):
    """Step y reads row y, and column x of the output needs column x."""

    def rows_needed(self, operand: int, step: int) -> tuple[int, int]:
        return step, step

    def columns_needed(self, operand: int, first: int, end: int) -> tuple[int, int]:
        return first, end


@dataclass(frozen=True, eq=False)
class Table(ElementwiseOp):
    """TABLE: any function of one 8-bit value.

    Attributes:
      values: uint8 [256], unsigned domain of both.
    """

    kind: ClassVar[int] = 4
    values: np.ndarray

    def reads_region_inputs(self, operand: int) -> bool:
        return True

    @property
    def writes_region_outputs(self) -> bool:
        return True

    def parameters(self, add: AddArray, outside: Collection[RegionTensor]) -> bytes:
        indices, values = np.arange(256), self.values
        if self.inputs[0].dtype == np.int8 and self.inputs[0] in outside:
            values = values[indices ^ 0x80]
        if self.output.dtype == np.int8 and self.output in outside:
            values = values ^ 0x80
        return values.tobytes()


@dataclass(frozen=True, eq=False)
class Quantize(ElementwiseOp):
    """QUANTIZE: an input of the region from float32 to 8 bits."""

    kind: ClassVar[int] = 5
    scale: np.float32

    def reads_region_inputs(self, operand: int) -> bool:
        return True

    def parameters(self, add: AddArray, outside: Collection[RegionTensor]) -> bytes:
        inverse = np.float32(1) / self.scale
        # What no int32 holds becomes the least one, and the sum with a negative zero point wraps.
        wraps = self.output.dtype == np.int8 and self.output.zero_point < 128
        return _QUANTIZE.pack(self.scale, inverse, self.output.zero_point, 0, 255, 255 if wraps else 0, 0)


@dataclass(frozen=True)
class AddTerms:
    """Multipliers of ADD's operands and sum: rule 2 uses those of the operands and `shift`, the others all but that."""

    multipliers: tuple[int, int, int]
    shifts: tuple[int, int, int]
    shift: int


@dataclass(frozen=True, eq=False)
class Add(ElementwiseOp):
    """ADD of two tensors of one shape, or of a tensor and constants per channel.

    Attributes:
      zeros: zero points of both operands, unsigned domain.
      low, high: clamp of the sum, unsigned domain.
      constants: uint8 [C], unsigned domain, if the second operand is constant.
    """

    kind: ClassVar[int] = 6
    zeros: tuple[int, int]
    low: int
    high: int
    terms: AddTerms
    constants: np.ndarray | None

    def parameters(self, add: AddArray, outside: Collection[RegionTensor]) -> bytes:
        constants_at = 0
        if self.constants is not None:
            padded = np.zeros(-(-self.output.channels // _BLOCK) * _BLOCK, np.uint8)
            padded[: self.output.channels] = self.constants
            constants_at = add(padded.tobytes(), _BLOCK)
        terms = self.terms
        return _ADD.pack(
            *self.zeros, self.output.zero_point, self.low, self.high, terms.shift,
            *terms.multipliers, *terms.shifts, constants_at,
        )  # fmt: skip


def build_quantize(op: Op, tensor_of: Callable[[Tensor], RegionTensor], kernels: KernelSet) -> RegionOp:
    """QUANTIZE of float32, TABLE of 8 bits."""
    source, result = operand(op, 0), quantized(result_of(op))
    require(source.shape == result.shape, "its input and output have different shapes")
    if source.dtype == np.float32:
        rule = {"reference": 1, "builtin": 2 if kernels.vectors else 4, "xnnpack": 3}[kernels.runs(op)]
        return Quantize(op, (tensor_of(source),), tensor_of(result), rule, scale_of(result))
    quantized(source)
    table = _requantized(op, source, result, kernels)
    return Table(op, (tensor_of(source),), tensor_of(result), 1, table)


def _requantized(op: Op, source: Tensor, result: Tensor, kernels: KernelSet) -> np.ndarray:
    """The output of each input, uint8 [256], unsigned domain."""
    distance = np.arange(256, dtype=np.int64) - unsigned(source, zero_point_of(source))
    zero = unsigned(result, zero_point_of(result))
    if kernels.runs(op) == "xnnpack":
        multiplier = int(np.rint(np.float32(256) * (scale_of(source) / scale_of(result))))
        steps = (distance * multiplier + 128) >> 8
    else:
        ratio = float(np.float64(scale_of(source)) / np.float64(scale_of(result)))
        m, s = multipliers.quantize_multiplier(ratio)
        require(s <= _MAX_REQUANTIZING_SHIFT, "its output's scale is too small beside its input's")
        steps = rounding.double_rounding(distance, m, s)
        if kernels.runs(op) == "builtin" and kernels.vectors:
            in_vectors = rounding.half_up(distance, m, s)
            require(_are_whole(source, _BLOCK) or bool((in_vectors == steps).all()), _UNEVEN)
            steps = in_vectors
    return rounding.clamp(steps, zero, 0, 255).astype(np.uint8)


def build_add(op: Op, tensor_of: Callable[[Tensor], RegionTensor], kernels: KernelSet) -> RegionOp:
    """ADD of two activations, or of one and constants per channel."""
    operands, result = [quantized(operand(op, index)) for index in (0, 1)], quantized(result_of(op))
    known_activation(op)
    require(all(t.dtype == result.dtype for t in operands), "its operands and output are of different types")
    values = None
    if any(tensor.data is not None for tensor in operands):
        if operands[0].data is not None:
            operands.reverse()  # the sum is the same either way
        values = _constants_per_channel(operands[1], result)
    shapes = {t.shape for t in operands[: 2 if values is None else 1]} | {result.shape}
    require(len(shapes) == 1 and operands[0].data is None, "it broadcasts an operand")
    own = kernels.runs(op)
    terms = (_xnnpack_terms if own == "xnnpack" else _tflite_terms)(operands[0], operands[1], result)
    zeros = (unsigned(operands[0], zero_point_of(operands[0])), unsigned(operands[1], zero_point_of(operands[1])))
    inputs = tuple(tensor_of(t) for t in operands[: 2 if values is None else 1])
    add = Add(op, inputs, tensor_of(result), _ADD_RULES[own], zeros, *clamp(op, kernels), terms, values)
    return replace(add, rule=_builtin_rule(add)) if own == "builtin" and kernels.vectors else add


def _builtin_rule(add: Add) -> int:
    """Rule 1 where it gives what the kernels' vectors do for all values; else the vectors' own, if no value is left."""
    own = 3 if add.output.dtype == np.int8 else 4
    a, b = np.arange(256, dtype=np.int64), np.arange(256, dtype=np.int64)
    if add.constants is not None:
        b = add.constants.astype(np.int64)
    distances = a[:, None] - add.zeros[0], b[None] - add.zeros[1]
    # Constants are added by code of several kinds: where it matters which, the op stays outside.
    rules = (1, own) if add.constants is None else (1, 3, 4)
    sums = [rounding.add(rule, *distances, add.terms.multipliers, add.terms.shifts) for rule in rules]
    first, *others = (rounding.clamp(r, add.output.zero_point, add.low, add.high) for r in sums)
    if all((other == first).all() for other in others):
        return 1
    require(add.constants is None and _are_whole(add.output.source, _ADD_VECTOR[add.output.dtype]), _UNEVEN)
    return own


def _are_whole(tensor: Tensor, vector: int) -> bool:
    """Whether each item consists of whole vectors of so many values."""
    return prod(tensor.shape[1:]) % vector == 0


def _constants_per_channel(tensor: Tensor, result: Tensor) -> np.ndarray:
    values = constants.constant(tensor)
    channels = result.shape[-1]
    per_channel = values.size in (1, channels) and (values.size == 1 or values.shape[-1] == channels)
    require(per_channel, "it adds constants that differ from pixel to pixel")
    stored = values.reshape(-1).view(np.uint8) ^ (0x80 if tensor.dtype == np.int8 else 0)
    return np.broadcast_to(stored, channels)


def _tflite_terms(a: Tensor, b: Tensor, result: Tensor) -> AddTerms:
    """AddOp's Prepare: operands in 20 bits below twice the larger scale."""
    scales = [float(scale_of(t)) for t in (a, b)]
    twice = 2 * max(scales)
    reals = [scales[0] / twice, scales[1] / twice, twice / ((1 << _LEFT_SHIFT) * float(scale_of(result)))]
    pairs = [multipliers.quantize_multiplier(real) for real in reals]
    require(pairs[2][1] <= 0 and reals[2] < 1, "its output's scale is too small beside its operands'")
    m, s = zip(*pairs, strict=True)
    return AddTerms(m, s, 0)


def _xnnpack_terms(a: Tensor, b: Tensor, result: Tensor) -> AddTerms:
    """XNNPACK's: both ratios of scales as 20 to 21 bits and one shift."""
    ratios = [scale_of(t) / scale_of(result) for t in (a, b)]
    exponent = int(np.frexp(max(ratios))[1]) - 1
    shift = 20 - exponent
    m = [int(np.rint(np.ldexp(ratio, shift))) for ratio in ratios]
    return AddTerms((m[0], m[1], 0), (0, 0, 0), shift)
