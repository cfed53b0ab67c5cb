"""ARG_MAX: the channel of the largest or of the least value of each pixel."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from fmtc_tflite.graph.model import Op, Tensor
from fmtc_tflite.graph.operators import constants
from fmtc_tflite.graph.operators.window import operand, result_of
from fmtc_tflite.regions.kernel_sets import KernelSet
from fmtc_tflite.regions.kinds.elementwise import ElementwiseOp
from fmtc_tflite.regions.kinds.facts import quantized, require
from fmtc_tflite.regions.ops import RegionOp, RegionTensor

_RULES = {"ARG_MAX": 1, "ARG_MIN": 2}
_INTEGERS = (np.dtype(np.int32), np.dtype(np.int64))


@dataclass(frozen=True, eq=False)
class ArgMax(ElementwiseOp):
    """ARG_MAX: one channel of int32 or int64."""

    kind: ClassVar[int] = 30

    @property
    def writes_region_outputs(self) -> bool:
        return True

    def parameters(self, add: Callable[[bytes, int], int], outside: Collection[RegionTensor]) -> bytes:
        return b""


def build_arg_max(op: Op, tensor_of: Callable[[Tensor], RegionTensor], kernels: KernelSet) -> RegionOp:
    """ARG_MAX of an op that looks for the largest or the least of each pixel's channels; all kernels agree."""
    source, result = quantized(operand(op, 0)), result_of(op)
    require(result.dtype in _INTEGERS, f"its output is {result.type_name}, not int32 or int64")
    rank = len(source.shape)
    axis = constants.constant(operand(op, 1))
    require(axis.size == 1 and int(axis.reshape(-1)[0]) in (-1, rank - 1), "it does not compare channels")
    require(tuple(result.shape) == tuple(source.shape[:-1]), "its output has another shape than its input's pixels")
    compared = tensor_of(source)
    # The graph's tensor has no channels.
    output = replace(tensor_of(result), height=compared.height, width=compared.width, channels=1)
    return ArgMax(op, (compared,), output, _RULES[op.opcode])
