"""BINARY and UNARY on float32, and DEQUANTIZE and CAST, which make float32 of integers."""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection
from dataclasses import dataclass
from math import prod
from typing import ClassVar

import numpy as np

from fmtc_tflite.graph.model import Op, Tensor
from fmtc_tflite.graph.operators import activation, constants
from fmtc_tflite.graph.operators.window import operand, result_of
from fmtc_tflite.regions.kernel_sets import KernelSet
from fmtc_tflite.regions.kinds.elementwise import ElementwiseOp
from fmtc_tflite.regions.kinds.facts import quantized, require, scale_of, zero_point_of
from fmtc_tflite.regions.ops import RegionOp, RegionTensor

AddArray = Callable[[bytes, int], int]
TensorOf = Callable[[Tensor], RegionTensor]

_DEQUANTIZE = struct.Struct("<fB3xfB3x")
_BINARY = struct.Struct("<ffBBxxIIII4x")
_UNARY = struct.Struct("<ffB7x")
_FLOAT_BYTES = 4
_MOST_DIMENSIONS = 4
_FLOAT32 = np.dtype(np.float32)
_LARGEST = np.finfo(np.float32).max
_LEAST_NORMAL = np.finfo(np.float32).tiny

_BINARY_RULES = {
    "ADD": 1,
    "SUB": 2,
    "MUL": 3,
    "DIV": 4,
    "MAXIMUM": 5,
    "MINIMUM": 6,
    "SQUARED_DIFFERENCE": 7,
    "SQUARE": 3,
}
_UNARY_RULES = {"SQRT": 2, "LOGISTIC": 3}  # 1: a clamp
_LOGISTIC_VECTOR = 8  # values that are left at the end of a tensor are the C library's to compute
_CLAMPS = ("RELU", "RELU6", "RELU_N1_TO_1", "RELU_0_TO_1")
_FUSES_ACTIVATIONS = ("ADD", "SUB", "MUL", "DIV")
BINARY_OPS = tuple(_BINARY_RULES)
UNARY_OPS = (*_CLAMPS, *_UNARY_RULES)


@dataclass(frozen=True, eq=False)
class FloatOp(ElementwiseOp):
    """What can stand at either end of a region: float32 has one form everywhere."""

    def reads_region_inputs(self, operand: int) -> bool:
        return True

    @property
    def writes_region_outputs(self) -> bool:
        return True


@dataclass(frozen=True, eq=False)
class Dequantize(FloatOp):
    """DEQUANTIZE: 8 bits to float32.

    Attributes:
      addend: of rule 2, the zero point's product with the scale.
    """

    kind: ClassVar[int] = 17
    scale: np.float32
    addend: np.float32

    def reads_region_inputs(self, operand: int) -> bool:
        return False

    def parameters(self, add: AddArray, outside: Collection[RegionTensor]) -> bytes:
        source = self.inputs[0]
        offset = 128 if self.rule == 2 and source.dtype == np.int8 else 0
        return _DEQUANTIZE.pack(self.scale, source.zero_point, self.addend, offset)


@dataclass(frozen=True, eq=False)
class Cast(FloatOp):
    """CAST: whole numbers to float32."""

    kind: ClassVar[int] = 33

    def parameters(self, add: AddArray, outside: Collection[RegionTensor]) -> bytes:
        return b""


@dataclass(frozen=True)
class Clamp:
    """What results are clamped to, and whether subnormal numbers count as zeros."""

    low: float
    high: float
    flush: bool


@dataclass(frozen=True, eq=False)
class Binary(FloatOp):
    """BINARY: of two tensors, or of a tensor and constants; what has one row, column or channel counts for all.

    Attributes:
      constant: which operand is constant: 0 none, 1 the first, 2 the second.
      constants: float32 [height, width, channels], or None.
    """

    kind: ClassVar[int] = 31
    clamp: Clamp
    constant: int
    constants: np.ndarray | None

    def rows_needed(self, operand: int, step: int) -> tuple[int, int]:
        return (0, 0) if self.inputs[operand].height == 1 else (step, step)

    def columns_needed(self, operand: int, first: int, end: int) -> tuple[int, int]:
        return (0, 1) if self.inputs[operand].width == 1 else (first, end)

    def parameters(self, add: AddArray, outside: Collection[RegionTensor]) -> bytes:
        place, shape = 0, (0, 0, 0)
        if self.constants is not None:
            place, shape = add(self.constants.tobytes(), _FLOAT_BYTES), self.constants.shape
        return _BINARY.pack(self.clamp.low, self.clamp.high, self.clamp.flush, self.constant, place, *shape)


@dataclass(frozen=True, eq=False)
class Unary(FloatOp):
    """UNARY: a clamp, a square root or a logistic function."""

    kind: ClassVar[int] = 32
    clamp: Clamp

    def parameters(self, add: AddArray, outside: Collection[RegionTensor]) -> bytes:
        return _UNARY.pack(self.clamp.low, self.clamp.high, self.clamp.flush)


def build_dequantize(op: Op, tensor_of: TensorOf, kernels: KernelSet) -> RegionOp:
    """DEQUANTIZE of an 8-bit tensor with one scale."""
    source, result = quantized(operand(op, 0)), _float32(result_of(op))
    require(source.shape == result.shape, "its input and output have different shapes")
    scale = scale_of(source)
    require(bool(scale >= _LEAST_NORMAL), "its scale is no normal number")
    if kernels.runs(op) == "builtin" and kernels.vectors:
        addend = np.float32(-zero_point_of(source) * np.float64(scale))
        return Dequantize(op, (tensor_of(source),), tensor_of(result), 2, scale, addend)
    return Dequantize(op, (tensor_of(source),), tensor_of(result), 1, scale, np.float32(0))


def build_cast(op: Op, tensor_of: TensorOf, kernels: KernelSet) -> RegionOp:
    """CAST to float32; all kernels agree."""
    source, result = operand(op, 0), _float32(result_of(op))
    require(source.dtype != _FLOAT32 and source.shape == result.shape, "it does not make float32 of whole numbers")
    require(source.data is None, "its input is constant")
    return Cast(op, (tensor_of(source),), tensor_of(result), 1)


def build_binary(op: Op, tensor_of: TensorOf, kernels: KernelSet) -> RegionOp:
    """BINARY of two operands or, SQUARE, of one with itself."""
    result = _float32(result_of(op))
    operands = [_float32(operand(op, index)) for index in ((0, 0) if op.opcode == "SQUARE" else (0, 1))]
    require(2 <= len(result.shape) <= _MOST_DIMENSIONS, "its output has more than four dimensions")
    if op.opcode in ("MAXIMUM", "MINIMUM") and kernels.runs(op) == "xnnpack":
        operands = _as_compared(operands[0], operands[1], result)
    given = [index for index, tensor in enumerate(operands) if tensor.data is not None]
    require(len(given) < 2, "both its operands are constant")
    for tensor in operands:
        if tensor.data is None:
            require(len(tensor.shape) == len(result.shape), "its operands have different numbers of dimensions")
        require(_spans(_aligned(tensor, result), result.shape), "its operands do not fit its output")
    values = None
    if given:
        source = operands.pop(given[0])
        shape = _aligned(source, result)
        require(shape[0] == 1, "it has constants for each batch item")
        values = constants.constant(source).reshape(*([1] * (_MOST_DIMENSIONS - len(shape))), *shape[1:])
    which = given[0] + 1 if given else 0
    inputs = tuple(tensor_of(tensor) for tensor in operands)
    return Binary(op, inputs, tensor_of(result), _BINARY_RULES[op.opcode], _clamp(op, kernels), which, values)


def build_unary(op: Op, tensor_of: TensorOf, kernels: KernelSet) -> RegionOp:
    """UNARY of an activation, a SQRT or a LOGISTIC."""
    source, result = _float32(operand(op, 0)), _float32(result_of(op))
    require(source.shape == result.shape, "its input and output have different shapes")
    own = kernels.runs(op)
    require(op.opcode in _CLAMPS or own != "xnnpack", f"XNNPACK's {op.opcode} of float32 depends on the processor")
    if op.opcode == "LOGISTIC":
        require(own == "builtin" and kernels.vectors, "the runtime leaves LOGISTIC of float32 to the C library")
        is_whole = prod(source.shape[1:]) % _LOGISTIC_VECTOR == 0
        require(is_whole, "the runtime leaves the tensor's last values to the C library")
    return Unary(op, (tensor_of(source),), tensor_of(result), _UNARY_RULES.get(op.opcode, 1), _clamp(op, kernels))


def _float32(tensor: Tensor) -> Tensor:
    require(tensor.dtype == _FLOAT32, f"'{tensor.name}' is {tensor.type_name}, not float32")
    return tensor


def _aligned(tensor: Tensor, result: Tensor) -> tuple[int, ...]:
    """A shape with as many dimensions as the output's: those that it lacks are the first ones."""
    require(len(tensor.shape) <= len(result.shape) and prod(tensor.shape) > 0, "its operands do not fit its output")
    return (*([1] * (len(result.shape) - len(tensor.shape))), *tensor.shape)


def _spans(shape: tuple[int, ...], output: tuple[int, ...]) -> bool:
    return all(size in (1, whole) for size, whole in zip(shape, output, strict=True))


def _as_compared(first: Tensor, second: Tensor, result: Tensor) -> list[Tensor]:
    """The operands of a maximum or minimum in the order in which XNNPACK's instructions have them.

    Of a NaN and a number, and of zeros of both signs, these give the second one.
    """
    one = next((tensor for tensor in (first, second) if tensor.data is not None and prod(tensor.shape) == 1), None)
    if one is not None:  # a clamp
        value = constants.constant(one).reshape(-1)[0]
        require(not (value == 0 and np.signbit(value)), "its constant is a negative zero")
        return [one, second if one is first else first]
    axis = max((axis for axis, size in enumerate(result.shape) if size > 1), default=0)
    meets_a_run = _aligned(first, result)[axis] == 1 != _aligned(second, result)[axis]
    return [second, first] if meets_a_run else [first, second]


def _clamp(op: Op, kernels: KernelSet) -> Clamp:
    """Of a fused activation, or of an op that is one; the built-in kernels' ends at the largest float at most."""
    found = activation.real_range(op)
    require(found is not None, "its fused activation is not supported")
    assert found is not None
    own = kernels.runs(op)
    if own != "xnnpack" and op.opcode in _FUSES_ACTIVATIONS:
        found = max(found[0], float(-_LARGEST)), min(found[1], float(_LARGEST))
    return Clamp(*found, flush=own == "xnnpack")
