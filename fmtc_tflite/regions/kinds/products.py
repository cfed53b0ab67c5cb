"""MULTIPLY, EXTREMUM and PRELU."""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fmtc_tflite.coding.rounding import Rule
from fmtc_tflite.graph.model import Op, Tensor
from fmtc_tflite.graph.operators.window import operand, result_of
from fmtc_tflite.regions.kernel_sets import KernelSet, clamp, rndnu_multipliers
from fmtc_tflite.regions.kinds.elementwise import MOST_IN_VECTORS, AddArray, ElementwiseOp
from fmtc_tflite.regions.kinds.facts import known_activation, multiplier_of, require, scale_of
from fmtc_tflite.regions.kinds.operands import Operands, operands_of, stored_constants
from fmtc_tflite.regions.kinds.tables import build_square
from fmtc_tflite.regions.ops import RegionOp, RegionTensor

_MULTIPLY = struct.Struct("<5Bb2x4sI")
_EXTREMUM = struct.Struct("<I12x")
_PRELU = struct.Struct("<3Bxbb2xiiI4x")
_LARGEST_PRODUCT = 255 * 255


@dataclass(frozen=True, eq=False)
class Multiply(ElementwiseOp):
    """MULTIPLY.

    Attributes:
      scale: m as int32 or f as float32, by the rule.
      low, high: clamp of the product, unsigned domain.
    """

    kind: ClassVar[int] = 18
    operands: Operands
    scale: np.int32 | np.float32
    shift: int
    low: int
    high: int

    def parameters(self, add: AddArray, outside: Collection[RegionTensor]) -> bytes:
        limits = self.output.zero_point, self.low, self.high
        constants_at = stored_constants(self.operands.constants, add)
        return _MULTIPLY.pack(*self.operands.zeros, *limits, self.shift, self.scale.tobytes(), constants_at)


@dataclass(frozen=True, eq=False)
class Extremum(ElementwiseOp):
    """EXTREMUM: the larger value by rule 1, the smaller by rule 2."""

    kind: ClassVar[int] = 19
    operands: Operands

    def parameters(self, add: AddArray, outside: Collection[RegionTensor]) -> bytes:
        return _EXTREMUM.pack(stored_constants(self.operands.constants, add))


@dataclass(frozen=True, eq=False)
class Prelu(ElementwiseOp):
    """PRELU.

    Attributes:
      above, below: multiplier and shift of values from the zero point on, and of those below it times alpha.
    """

    kind: ClassVar[int] = 20
    operands: Operands
    above: tuple[int, int]
    below: tuple[int, int]

    def parameters(self, add: AddArray, outside: Collection[RegionTensor]) -> bytes:
        multipliers, shifts = zip(self.above, self.below, strict=True)
        constants_at = stored_constants(self.operands.constants, add)
        return _PRELU.pack(*self.operands.zeros, self.output.zero_point, *shifts, *multipliers, constants_at)


def build_multiply(op: Op, tensor_of: Callable[[Tensor], RegionTensor], kernels: KernelSet) -> RegionOp:
    """MULTIPLY of a MUL."""
    operands, result = operands_of(op, tensor_of), result_of(op)
    known_activation(op)
    if kernels.runs(op) == "xnnpack" and op.inputs[0] is op.inputs[1]:
        return build_square(op, tensor_of, kernels)
    ratio = scale_of(operands.tensors[0]) * scale_of(operands.tensors[1]) / scale_of(result)
    own = kernels.runs(op)
    scale: np.int32 | np.float32
    if own != "xnnpack":
        m, shift = multiplier_of(ratio)
        rule, scale = Rule.DOUBLE_ROUNDING, np.int32(m)
        fits = own == "reference" or not kernels.vectors or bool(ratio * _LARGEST_PRODUCT < MOST_IN_VECTORS)
        require(fits, "its output's scale is too small beside its operands'")
    elif kernels.target == "aarch64":
        (scale,), (shift,) = rndnu_multipliers(np.array([ratio]))
        rule = Rule.RNDNU
    else:
        rule, scale, shift = Rule.FLOAT32, ratio, 0
    return Multiply(
        op, operands.inputs, tensor_of(result), rule, operands, scale, int(shift), *clamp(op, kernels)
    )  # fmt: skip


def build_extremum(op: Op, tensor_of: Callable[[Tensor], RegionTensor], kernels: KernelSet) -> RegionOp:
    """EXTREMUM of a MAXIMUM or MINIMUM: kernels compare values as they are, whatever they stand for."""
    operands = operands_of(op, tensor_of)
    rule = 1 if op.opcode == "MAXIMUM" else 2
    return Extremum(op, operands.inputs, tensor_of(result_of(op)), rule, operands)


def build_prelu(op: Op, tensor_of: Callable[[Tensor], RegionTensor], kernels: KernelSet) -> RegionOp:
    """PRELU: XNNPACK leaves it to the others, which agree."""
    operands = operands_of(op, tensor_of, swaps=False)
    source, alpha, result = operand(op, 0), operand(op, 1), result_of(op)
    above = multiplier_of(scale_of(source) / scale_of(result))
    below = multiplier_of(scale_of(source) * scale_of(alpha) / scale_of(result))
    return Prelu(op, operands.inputs, tensor_of(result), 1, operands, above, below)
