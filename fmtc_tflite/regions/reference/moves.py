"""PAD, SLICE, TRANSPOSE, CONCATENATION and both resizings."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

from fmtc_tflite.regions import rounding
from fmtc_tflite.regions.reference.kernels import Kernel

if TYPE_CHECKING:
    from fmtc_tflite.regions.reference.machine import StepRows

_PAD = struct.Struct("<IIIB3x")
_SLICE = struct.Struct("<IIII")
_TRANSPOSE = struct.Struct("<iiiI")
_RESIZE = struct.Struct("<IIB7x")
_INT8 = 9


class Pad(Kernel):
    """PAD."""

    def read_parameters(self, parameters: bytes) -> None:
        self.above, self.left, self.before, self.value = _PAD.unpack(parameters)

    def rows_needed(self, operand: int, step: int) -> tuple[int, int]:
        row = min(max(step - self.above, 0), self.inputs[0].height - 1)
        return row, row

    def compute(self, step: int, rows: StepRows) -> np.ndarray:
        source = self.inputs[0]
        values = np.full((len(rows.columns), self.output.channels), self.value, np.uint8)
        row, columns = step - self.above, rows.columns - self.left
        inside = (columns >= 0) & (columns < source.width)
        if 0 <= row < source.height:
            channels = slice(self.before, self.before + source.channels)
            values[inside, channels] = rows.read(0, row, columns[inside])
        return values


class Slice(Kernel):
    """SLICE."""

    def read_parameters(self, parameters: bytes) -> None:
        self.row, self.row_step, self.column, self.column_step = _SLICE.unpack(parameters)

    def rows_needed(self, operand: int, step: int) -> tuple[int, int]:
        row = self.row + step * self.row_step
        return row, row

    def compute(self, step: int, rows: StepRows) -> np.ndarray:
        return rows.read(0, self.row + step * self.row_step, self.column + rows.columns * self.column_step)


class Transpose(Kernel):
    """TRANSPOSE."""

    def read_parameters(self, parameters: bytes) -> None:
        *self.strides, _ = _TRANSPOSE.unpack(parameters)

    def rows_needed(self, operand: int, step: int) -> tuple[int, int]:
        return 0, 0

    def compute(self, step: int, rows: StepRows) -> np.ndarray:
        of_row, of_column, of_channel = self.strides
        elements = rows.read(0, 0, np.array([0]))[0]
        places = step * of_row + rows.columns[:, None] * of_column + np.arange(self.output.channels) * of_channel
        return elements[places].view(np.uint8) ^ (0x80 if self.inputs[0].type == _INT8 else 0)


class Concatenation(Kernel):
    """CONCATENATION."""

    def compute(self, step: int, rows: StepRows) -> np.ndarray:
        return np.concatenate([rows.read(i, step, rows.columns) for i in range(len(self.inputs))], 1)


class ResizeBilinear(Kernel):
    """RESIZE_BILINEAR."""

    def read_parameters(self, parameters: bytes) -> None:
        rows, columns, self.offset = _RESIZE.unpack(parameters)
        dtype = np.int32 if self.rule <= 2 else np.float32
        sizes = ((rows, self.output.height), (columns, self.output.width))
        self.axes = [self._entries(offset, count, dtype) for offset, count in sizes]

    def _entries(self, offset: int, count: int, dtype: type) -> tuple[np.ndarray, np.ndarray]:
        """Places int64 [count, 2] and weights [count, 2]."""
        words = self.array(offset, np.uint32, 4 * count).reshape(count, 4)
        return words[:, :2].astype(np.int64), np.ascontiguousarray(words[:, 2:]).view(dtype)

    def rows_needed(self, operand: int, step: int) -> tuple[int, int]:
        places = self.axes[0][0][step]
        return int(places.min()), int(places.max())

    def compute(self, step: int, rows: StepRows) -> np.ndarray:
        (places, weights), (columns, shares) = ((p, w) for p, w in self.axes)
        v = [
            [rows.read(0, int(row), columns[rows.columns, j]).astype(np.int64) - self.offset for j in (0, 1)]
            for row in places[step]
        ]
        p, q = weights[step], shares[rows.columns]
        r = self._integers(v, p, q) if self.rule <= 2 else self._floats(v, p, q)
        return rounding.clamp(r, self.offset, 0, 255).astype(np.uint8)

    def _integers(self, v: list[list[np.ndarray]], p: np.ndarray, q: np.ndarray) -> np.ndarray:
        t = sum(v[i][j] * int(p[i]) * q[:, j : j + 1].astype(np.int64) for i in (0, 1) for j in (0, 1))
        if self.rule == 1:
            return rounding.truncated(t + np.where(t > 0, 1 << 19, -(1 << 19)), 1 << 20)
        return np.asarray(t + (1 << 21)) >> 22

    def _floats(self, v: list[list[np.ndarray]], p: np.ndarray, q: np.ndarray) -> np.ndarray:
        x = [[plane.astype(np.float32) for plane in row] for row in v]
        columns = [q[:, j : j + 1] for j in (0, 1)]
        if self.rule == 3:
            terms = [x[i][j] * p[i] * columns[j] for j in (0, 1) for i in (0, 1)]
        else:
            terms = [x[i][j] * (p[i] * columns[j]) for i in (0, 1) for j in (0, 1)]
        total = terms[0] + terms[1] + terms[2] + terms[3] + np.float32(0.5)
        return np.trunc(total).astype(np.int64)


class ResizeNearest(Kernel):
    """RESIZE_NEAREST."""

    def read_parameters(self, parameters: bytes) -> None:
        rows, columns, _ = _RESIZE.unpack(parameters)
        self.rows = self.array(rows, np.uint32, self.output.height).astype(np.int64)
        self.columns = self.array(columns, np.uint32, self.output.width).astype(np.int64)

    def rows_needed(self, operand: int, step: int) -> tuple[int, int]:
        return int(self.rows[step]), int(self.rows[step])

    def compute(self, step: int, rows: StepRows) -> np.ndarray:
        return rows.read(0, int(self.rows[step]), self.columns[rows.columns])


KERNELS: dict[int, type[Kernel]] = {
    10: Pad,
    11: Slice,
    12: Transpose,
    13: Concatenation,
    14: ResizeBilinear,
    15: ResizeNearest,
}
