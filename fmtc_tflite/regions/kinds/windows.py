"""Rows and columns under a window, for convolutions and poolings."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from fmtc_tflite.graph.operators.window import Window, WindowAxis
from fmtc_tflite.regions.kinds.facts import require
from fmtc_tflite.regions.ops import RegionOp

MOST_KERNEL_ROWS = 256
_MOST = 65535


@dataclass(frozen=True, eq=False)
class WindowOp(RegionOp):
    """An op whose output pixels read a window of its only input."""

    window: Window

    def rows_needed(self, operand: int, step: int) -> tuple[int, int]:
        return self.window.rows.clipped(step)

    def columns_needed(self, operand: int, first: int, end: int) -> tuple[int, int]:
        columns = self.window.columns
        return columns.clipped(first)[0], columns.clipped(end - 1)[1] + 1

    def window_bytes(self) -> bytes:
        """The 16 bytes that the parameters begin with."""
        rows, columns = self.window.rows, self.window.columns
        pairs = [(axis.kernel, axis.stride, axis.dilation, axis.before) for axis in (rows, columns)]
        return struct.pack("<8H", *(value for pair in zip(*pairs, strict=True) for value in pair))


def check_window(window: Window) -> None:
    """Raises OpRefusedError for windows that lie in padding alone, or that the format has no room for."""
    for axis in (window.rows, window.columns):
        require(_is_inside(axis, 0) and _is_inside(axis, axis.outputs - 1), "a window lies in the padding alone")
        require(
            max(axis.kernel, axis.stride, axis.dilation, axis.before, axis.after) <= _MOST, "its window is too large"
        )


def _is_inside(axis: WindowAxis, output: int) -> bool:
    first, last = axis.clipped(output)
    return first <= last
