"""What kinds with a window have in common: rows and columns that they read, and the struct that says so."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from fmtc_tflite.graph.operators.window import Window, WindowAxis
from fmtc_tflite.regions.kinds.facts import require
from fmtc_tflite.regions.ops import RegionOp

_STRUCT = struct.Struct("<8H")
_MAX_U16 = (1 << 16) - 1


@dataclass(frozen=True, eq=False)
class WindowOp(RegionOp):
    """An op that reads a window of rows and columns around each output."""

    window: Window

    def rows_needed(self, operand: int, step: int) -> tuple[int, int]:
        return self.window.rows.clipped(step)

    def columns_needed(self, operand: int, first: int, end: int) -> tuple[int, int]:
        columns = self.window.columns
        return columns.clipped(first)[0], columns.clipped(end - 1)[1] + 1

    @property
    def window_bytes(self) -> bytes:
        """The 16 bytes at the beginning of the parameters."""
        rows, columns = self.window.rows, self.window.columns
        pairs = [(axis.kernel, axis.stride, axis.dilation, axis.before) for axis in (rows, columns)]
        return _STRUCT.pack(*(value for pair in zip(*pairs, strict=True) for value in pair))


def check_window(window: Window) -> None:
    """Refuses windows that a program cannot say, and those with outputs that lie in padding altogether."""
    for axis in (window.rows, window.columns):
        fits = max(axis.kernel, axis.stride, axis.dilation, axis.before) <= _MAX_U16
        require(fits, "its window is too large")
        require(all(_reads(axis, output) for output in (0, axis.outputs - 1)), "some of its windows lie in padding")


def _reads(axis: WindowAxis, output: int) -> bool:
    first, last = axis.clipped(output)
    return first <= last
