"""AVERAGE_POOL and MAX_POOL."""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np

from fmtc_tflite.graph.model import Op, Tensor
from fmtc_tflite.graph.operators.window import Window, op_window
from fmtc_tflite.regions.kernel_sets import KernelSet, clamp
from fmtc_tflite.regions.kinds.facts import is_4d, known_activation, require, same_quantization
from fmtc_tflite.regions.kinds.windows import WindowOp, check_window
from fmtc_tflite.regions.ops import RegionTensor, Work

_BEHIND_WINDOW = struct.Struct("<BBB5x")
_MAX_TAPS, _MAX_KERNEL_ROWS = 1 << 22, 256


@dataclass(frozen=True, eq=False)
class Pool(WindowOp):
    """What both have in common; accumulates where its only output row reads every input row.

    Attributes:
      offset: of the values that an average is taken of; 0 of MAX_POOL.
      low, high: clamp, unsigned domain.
    """

    offset: int
    low: int
    high: int

    @property
    def accumulates(self) -> bool:
        rows = self.window.rows
        return rows.outputs == 1 and rows.clipped(0) == (0, rows.size - 1)

    @property
    def steps(self) -> int:
        return self.inputs[0].height if self.accumulates else self.output.height

    def rows_needed(self, operand: int, step: int) -> tuple[int, int]:
        return (step, step) if self.accumulates else self.window.rows.clipped(step)

    def work(self, columns: int) -> Work:
        if self.accumulates:
            return super().work(columns)
        values = columns * self.output.channels
        return Work(values, values * self.window.rows.kernel * self.window.columns.kernel)

    def parameters(self, add: Callable[[bytes, int], int], outside: Collection[RegionTensor]) -> bytes:
        return self.window_bytes + _BEHIND_WINDOW.pack(self.offset, self.low, self.high)


@dataclass(frozen=True, eq=False)
class AveragePool(Pool):
    """AVERAGE_POOL: of the values within the input, halves away from zero."""

    kind = 8

    @property
    def own_memory_bytes(self) -> int:
        return 4 * self.output.width * self.output.channels if self.accumulates else 0


@dataclass(frozen=True, eq=False)
class MaxPool(Pool):
    """MAX_POOL: of the values within the input."""

    kind = 9

    @property
    def own_memory_bytes(self) -> int:
        return self.output.width * self.output.channels if self.accumulates else 0


def check_pool_window(window: Window) -> None:
    """Refuses windows of more values than programs let pools take."""
    check_window(window)
    require(window.taps <= _MAX_TAPS, "its kernel is too large")


def build_pool(op: Op, tensor_of: Callable[[Tensor], RegionTensor], kernels: KernelSet) -> Pool:
    """Of an AVERAGE_POOL_2D or MAX_POOL_2D: kernels do not requantize."""
    source, result = same_quantization(op)
    require(is_4d(source, result) and source.shape[3] == result.shape[3], "its tensors do not fit each other")
    known_activation(op)
    window = op_window(op)
    check_pool_window(window)
    is_average = op.opcode == "AVERAGE_POOL_2D"
    offset = 128 if is_average and source.dtype == np.int8 else 0
    cls = AveragePool if is_average else MaxPool
    pool = cls(op, (tensor_of(source),), tensor_of(result), 1, window, offset, *clamp(op, kernels))
    require(pool.accumulates or window.rows.kernel <= _MAX_KERNEL_ROWS, "its kernel has too many rows")
    return pool
