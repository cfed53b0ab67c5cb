"""TABLE, QUANTIZE and ADD: each output is made from the inputs at its own place."""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from math import prod
from typing import ClassVar

import numpy as np

from fmtc_tflite.coding import rounding
from fmtc_tflite.graph.model import Op, Tensor
from fmtc_tflite.graph.operators import multipliers
from fmtc_tflite.graph.operators.window import operand, result_of
from fmtc_tflite.regions.kernel_sets import KernelSet, clamp, unsigned
from fmtc_tflite.regions.kinds.facts import known_activation, quantized, require, scale_of, zero_point_of
from fmtc_tflite.regions.kinds.operands import Operands, operands_of, stored_constants
from fmtc_tflite.regions.ops import RegionOp, RegionTensor
from fmtc_tflite.regions.rounding import add as add_by_rule

AddArray = Callable[[bytes, int], int]

_QUANTIZE = struct.Struct("<ffBBBBI")
_ADD = struct.Struct("<iiBBBBiiibbbxI32x")
_LEFT_SHIFT = 20  # of ADD in TFLite's kernels
_BLOCK = 16
_DOUBLE_ROUNDING, _FIXED_POINT, _DIFFERENCE, _FROM_SECOND = 1, 2, 5, 6  # rules of ADD
_MAX_REQUANTIZING_SHIFT = 22  # with which values of 8 bits stay within 32
# Values that a step of the built-in kernels' vectors adds; those left at a tensor's end are rounded by other rules.
_ADD_VECTOR = {np.dtype(np.int8): 16, np.dtype(np.uint8): 8}
MOST_IN_VECTORS = (1 << 15) - 256  # beyond 16 bits they saturate or wrap, and what is left behind them does not
_UNEVEN = "the runtime's kernels round the tensor's last values by another rule than the others"


class ElementwiseOp(RegionOp):
    """Step y reads row y, and column x of the output needs column x; of an input of one row or column, always that."""

    def rows_needed(self, operand: int, step: int) -> tuple[int, int]:
        return (0, 0) if self.inputs[operand].height == 1 else (step, step)

    def columns_needed(self, operand: int, first: int, end: int) -> tuple[int, int]:
        return (0, 1) if self.inputs[operand].width == 1 else (first, end)


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

    def with_signs(self, a: int, b: int) -> AddTerms:
        """With operands times 1 or -1, for rule 2."""
        return replace(self, multipliers=(a * self.multipliers[0], b * self.multipliers[1], 0))


@dataclass(frozen=True, eq=False)
class Add(ElementwiseOp):
    """ADD: sum or difference.

    Attributes:
      low, high: clamp of the sum, unsigned domain.
    """

    kind: ClassVar[int] = 6
    operands: Operands
    low: int
    high: int
    terms: AddTerms

    def parameters(self, add: AddArray, outside: Collection[RegionTensor]) -> bytes:
        terms = self.terms
        return _ADD.pack(
            *self.operands.zeros, self.output.zero_point, self.low, self.high, terms.shift,
            *terms.multipliers, *terms.shifts, stored_constants(self.operands.constants, add),
        )  # fmt: skip


def build_quantize(op: Op, tensor_of: Callable[[Tensor], RegionTensor], kernels: KernelSet) -> RegionOp:
    """QUANTIZE of float32, TABLE of 8 bits."""
    source, result = operand(op, 0), quantized(result_of(op))
    require(source.shape == result.shape, "its input and output have different shapes")
    if source.dtype == np.float32:
        rule = {"reference": 1, "builtin": 2 if kernels.vectors else 4, "xnnpack": 3}[kernels.runs(op)]
        return Quantize(op, (tensor_of(source),), tensor_of(result), rule, scale_of(result))
    quantized(source)
    table = requantized(op, source, result, kernels)
    return Table(op, (tensor_of(source),), tensor_of(result), 1, table)


def requantized(op: Op, source: Tensor, result: Tensor, kernels: KernelSet) -> np.ndarray:
    """The output of a QUANTIZE of 8 bits for each input, uint8 [256], unsigned domain of both.

    Raises:
      OpRefusedError: the kernels do not give all values of a tensor the same result, or scales are out of proportion.
    """
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
    """ADD of an ADD or SUB."""
    operands, result = operands_of(op, tensor_of, spreads_channel=False), quantized(result_of(op))
    known_activation(op)
    own = kernels.runs(op)
    subtracts = op.opcode == "SUB"
    if own == "xnnpack":
        rule, terms = _FIXED_POINT, _xnnpack_terms(*operands.tensors, result)
        if subtracts:
            terms = terms.with_signs(*((-1, 1) if operands.swapped else (1, -1)))
    else:
        rule, terms = _DOUBLE_ROUNDING, _tflite_terms(*operands.tensors, result)
        if subtracts:
            rule = _FROM_SECOND if operands.swapped else _DIFFERENCE
    add = Add(op, operands.inputs, tensor_of(result), rule, operands, *clamp(op, kernels), terms)
    in_vectors = own == "builtin" and kernels.vectors and not subtracts
    return replace(add, rule=_rule_of_vectors(add)) if in_vectors else add


def _rule_of_vectors(add: Add) -> int:
    """Rule 1 where it gives what the kernels' vectors do for all values; else the vectors' own, if no value is left."""
    own = 3 if add.output.dtype == np.int8 else 4
    operands = add.operands
    run = operands.run
    most = 255 * sum(float(scale_of(tensor)) for tensor in operands.tensors) / float(scale_of(add.output.source))
    require(most < MOST_IN_VECTORS, "its output's scale is too small beside its operands'")
    a, b = np.arange(256, dtype=np.int64), np.arange(256, dtype=np.int64)
    if operands.constants is not None:
        b = operands.constants.astype(np.int64)
    distances = a[:, None] - operands.zeros[0], b[None] - operands.zeros[1]
    rules = (1, 3, 4) if run is None else (1, own)
    sums = [add_by_rule(rule, *distances, add.terms.multipliers, add.terms.shifts) for rule in rules]
    first, *others = (rounding.clamp(r, add.output.zero_point, add.low, add.high) for r in sums)
    if all((other == first).all() for other in others):
        return _DOUBLE_ROUNDING
    require(run is not None and run % _ADD_VECTOR[add.output.dtype] == 0, _UNEVEN)
    return own


def _are_whole(tensor: Tensor, vector: int) -> bool:
    """Whether each item consists of whole vectors of so many values."""
    return prod(tensor.shape[1:]) % vector == 0


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
