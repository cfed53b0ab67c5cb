"""ARG_MAX and ARG_MAX_PLACES: where the largest or least value is, among a pixel's channels or a channel's pixels."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from fmtc_tflite.graph.model import Op, Tensor
from fmtc_tflite.graph.operators import constants
from fmtc_tflite.graph.operators.window import operand, result_of
from fmtc_tflite.regions.kernel_sets import KernelSet
from fmtc_tflite.regions.kinds.accumulating import AccumulatingOp
from fmtc_tflite.regions.kinds.elementwise import ElementwiseOp
from fmtc_tflite.regions.kinds.facts import quantized, require
from fmtc_tflite.regions.ops import RegionOp, RegionTensor

AddArray = Callable[[bytes, int], int]

_RULES = {"ARG_MAX": 1, "ARG_MIN": 2}
_INTEGERS = (np.dtype(np.int32), np.dtype(np.int64))
_FLOAT32 = np.dtype(np.float32)


class _Found(RegionOp):
    """Places can leave a region as they are; float32 has one form everywhere."""

    def reads_region_inputs(self, operand: int) -> bool:
        return self.inputs[0].dtype == _FLOAT32

    @property
    def writes_region_outputs(self) -> bool:
        return True

    def parameters(self, add: AddArray, outside: Collection[RegionTensor]) -> bytes:
        return b""


@dataclass(frozen=True, eq=False)
class ArgMax(_Found, ElementwiseOp):
    """ARG_MAX: one channel of int32 or int64."""

    kind: ClassVar[int] = 30


@dataclass(frozen=True, eq=False)
class ArgMaxPlaces(_Found, AccumulatingOp):
    """ARG_MAX_PLACES: one pixel of int32 or int64, in each channel the number of a pixel of the input."""

    kind: ClassVar[int] = 34

    @property
    def own_memory_bytes(self) -> int:
        return 8 * self.output.channels


def build_arg_max(op: Op, tensor_of: Callable[[Tensor], RegionTensor], kernels: KernelSet) -> RegionOp:
    """Of an op that looks for the largest or the least of each pixel's channels, or of each channel's pixels.

    All kernels agree: it is the first of several. Only among float32 with a NaN may they find another.
    """
    source, result = operand(op, 0), result_of(op)
    if source.dtype != _FLOAT32:
        quantized(source)
    require(result.dtype in _INTEGERS, f"its output is {result.type_name}, not int32 or int64")
    rank, given = len(source.shape), constants.constant(operand(op, 1)).reshape(-1)
    require(given.size == 1 and -rank <= int(given[0]) < rank, "its axis is none of its input's")
    axis = int(given[0]) % rank
    rest = tuple(size for other, size in enumerate(source.shape) if other != axis)
    require(tuple(result.shape) == rest, "its output has another shape than its input without the axis")
    compared = tensor_of(source)
    channels = source.shape[-1]
    require(compared.channels == channels, "a RESHAPE before it makes other channels")
    if axis == rank - 1:
        require(source.dtype != _FLOAT32, "it compares channels of float32")
        plain = compared.height * compared.width == int(np.prod(source.shape[1:-1]))
        require(plain, "a RESHAPE before it makes other pixels")
        output = replace(tensor_of(result), height=compared.height, width=compared.width, channels=1)
        return ArgMax(op, (compared,), output, _RULES[op.opcode])
    require(rank == 3 and axis == 1, "it compares neither channels nor all pixels")
    return ArgMaxPlaces(op, (compared,), tensor_of(result), _RULES[op.opcode])
