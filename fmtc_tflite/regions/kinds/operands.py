"""The two operands of ADD, SUB, MUL, MAXIMUM, MINIMUM and PRELU, of which one may be narrower than the output."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

import numpy as np

from fmtc_tflite.graph.model import Op, Tensor
from fmtc_tflite.graph.operators import constants
from fmtc_tflite.graph.operators.window import operand, result_of
from fmtc_tflite.regions.kernel_sets import unsigned
from fmtc_tflite.regions.kinds.facts import quantized, require, zero_point_of
from fmtc_tflite.regions.ops import RegionTensor

_BLOCK = 16  # to a multiple of which constants are padded


@dataclass(frozen=True, eq=False)
class Operands:
    """An op's operands in the order in which a region has them.

    Attributes:
      tensors: the first is an activation of the output's shape; the second has it as well, or less, or is constant.
      swapped: whether that is not the op's own order.
      inputs: those that are no constants, as the region has them.
      constants: uint8 [C], unsigned domain, if the second is constant.
    """

    tensors: tuple[Tensor, Tensor]
    swapped: bool
    inputs: tuple[RegionTensor, ...]
    constants: np.ndarray | None

    @property
    def zeros(self) -> tuple[int, int]:
        """Zero points, unsigned domain."""
        a, b = self.tensors
        return unsigned(a, zero_point_of(a)), unsigned(b, zero_point_of(b))

    @property
    def run(self) -> int | None:
        """Values that the built-in kernels combine in one go, in vectors and what is left.

        None where they have code of its own: one value for many, or rows for rows.
        """
        first, second = _sizes(self.inputs[0]), _sizes(self.inputs[-1])
        if self.constants is not None:
            second = (1, 1, prod(self.tensors[1].shape))
        if first == second:
            return prod(first)
        return second[2] if second == (1, 1, first[2]) and second[2] > 1 else None


def operands_of(
    op: Op, tensor_of: Callable[[Tensor], RegionTensor], spreads_channel: bool = True, swaps: bool = True
) -> Operands:
    """Checks types and shapes.

    Args:
      spreads_channel: whether the kind lets one channel serve all.
      swaps: whether the kind lets the first operand of the op be the narrow one.
    """
    first, second, result = quantized(operand(op, 0)), quantized(operand(op, 1)), quantized(result_of(op))
    require(first.dtype == second.dtype == result.dtype, "its operands and output are of different types")
    swapped = swaps and (first.data is not None or first.shape != result.shape)
    if swapped:
        first, second = second, first
    require(first.data is None and first.shape == result.shape, "it broadcasts both operands")
    a = tensor_of(first)
    if second.data is not None:
        return Operands((first, second), swapped, (a,), _constants_per_channel(second, result))
    b = tensor_of(second)
    serves = len(second.shape) == len(first.shape) and all(
        size in (1, whole) for size, whole in zip(_sizes(b), _sizes(a), strict=True)
    )
    require(serves and (spreads_channel or b.channels == a.channels), "it broadcasts an operand in a way of its own")
    return Operands((first, second), swapped, (a, b), None)


def stored_constants(values: np.ndarray | None, add: Callable[[bytes, int], int]) -> int:
    """Offset of a second operand's constants in the program; 0 without."""
    if values is None:
        return 0
    padded = np.zeros(-(-len(values) // _BLOCK) * _BLOCK, np.uint8)
    padded[: len(values)] = values
    return add(padded.tobytes(), _BLOCK)


def _sizes(tensor: RegionTensor) -> tuple[int, int, int]:
    return tensor.height, tensor.width, tensor.channels


def _constants_per_channel(tensor: Tensor, result: Tensor) -> np.ndarray:
    values = constants.constant(tensor)
    channels = result.shape[-1]
    per_channel = values.size in (1, channels) and (values.size == 1 or values.shape[-1] == channels)
    require(per_channel, "it has constants that differ from pixel to pixel")
    stored = values.reshape(-1).view(np.uint8) ^ (0x80 if tensor.dtype == np.int8 else 0)
    return np.broadcast_to(stored, channels)
