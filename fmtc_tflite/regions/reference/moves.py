"""PAD, SLICE, TRANSPOSE, CONCATENATION, both resizings, MIRROR_PAD and the kinds that fold blocks."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

from fmtc_tflite.coding import rounding
from fmtc_tflite.regions.reference.kernels import Kernel

if TYPE_CHECKING:
    from fmtc_tflite.regions.reference.machine import StepRows

_PAD = struct.Struct("<IIIB3x")
_SLICE = struct.Struct("<6I")
_CONCATENATION = struct.Struct("<BB6x")
_BLOCK = struct.Struct("<II")
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
        self.row, self.row_step, self.column, self.column_step, channel, step = _SLICE.unpack(parameters)
        self.channels = channel + np.arange(self.output.channels) * step

    def rows_needed(self, operand: int, step: int) -> tuple[int, int]:
        row = self.row + step * self.row_step
        return row, row

    def compute(self, step: int, rows: StepRows) -> np.ndarray:
        pixels = rows.read(0, self.row + step * self.row_step, self.column + rows.columns * self.column_step)
        return pixels[:, self.channels]


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
        values = elements[places]
        if values.dtype.itemsize > 1:
            return values
        return values.view(np.uint8) ^ (0x80 if self.inputs[0].type == _INT8 else 0)


class Concatenation(Kernel):
    """CONCATENATION."""

    def read_parameters(self, parameters: bytes) -> None:
        self.axis, _ = _CONCATENATION.unpack(parameters)
        sizes = [(t.height, t.width, t.channels)[self.axis] for t in self.inputs]
        self.sizes, self.starts = sizes, np.cumsum([0, *sizes[:-1]])

    def rows_needed(self, operand: int, step: int) -> tuple[int, int]:
        row = step
        if self.axis == 0:
            row = min(max(step - int(self.starts[operand]), 0), self.sizes[operand] - 1)
        return row, row

    def compute(self, step: int, rows: StepRows) -> np.ndarray:
        count = len(self.inputs)
        if self.axis == 0:
            own = int(np.searchsorted(self.starts, step, "right")) - 1
            return rows.read(own, step - int(self.starts[own]), rows.columns)
        if self.axis == 2:
            return np.concatenate([rows.read(i, step, rows.columns) for i in range(count)], 1)
        places = [rows.columns - start for start in self.starts]
        inside = [p[(p >= 0) & (p < size)] for p, size in zip(places, self.sizes, strict=True)]
        return np.concatenate([rows.read(i, step, inside[i]) for i in range(count) if len(inside[i])])


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


class MirrorPad(Kernel):
    """MIRROR_PAD."""

    def read_parameters(self, parameters: bytes) -> None:
        *before, self.skipped = _PAD.unpack(parameters)
        sizes = [(t.height, t.width, t.channels) for t in (self.inputs[0], self.output)]
        self.sources = [self._sources(*axis) for axis in zip(before, *sizes, strict=True)]

    def _sources(self, before: int, size: int, outputs: int) -> np.ndarray:
        """The input's place of each output's along an axis."""
        inside = np.arange(outputs) - before
        mirrored = np.where(inside < 0, self.skipped - 1 - inside, 2 * size - 1 - self.skipped - inside)
        return np.where((inside >= 0) & (inside < size), inside, mirrored)

    def rows_needed(self, operand: int, step: int) -> tuple[int, int]:
        return int(self.sources[0][step:].min()), int(self.sources[0][: step + 1].max())

    def compute(self, step: int, rows: StepRows) -> np.ndarray:
        of_row, of_column, of_channel = self.sources
        return rows.read(0, int(of_row[step]), of_column[rows.columns])[:, of_channel]


class DepthToSpace(Kernel):
    """DEPTH_TO_SPACE."""

    def read_parameters(self, parameters: bytes) -> None:
        self.block, _ = _BLOCK.unpack(parameters)

    def rows_needed(self, operand: int, step: int) -> tuple[int, int]:
        return step // self.block, step // self.block

    def compute(self, step: int, rows: StepRows) -> np.ndarray:
        pixels = rows.read(0, step // self.block, rows.columns // self.block)
        first = (step % self.block * self.block + rows.columns % self.block) * self.output.channels
        return np.take_along_axis(pixels, first[:, None] + np.arange(self.output.channels), 1)


class SpaceToDepth(Kernel):
    """SPACE_TO_DEPTH."""

    def read_parameters(self, parameters: bytes) -> None:
        self.block, _ = _BLOCK.unpack(parameters)

    def rows_needed(self, operand: int, step: int) -> tuple[int, int]:
        return step * self.block, (step + 1) * self.block - 1

    def compute(self, step: int, rows: StepRows) -> np.ndarray:
        block = range(self.block)
        columns = rows.columns * self.block
        return np.concatenate([rows.read(0, step * self.block + i, columns + j) for i in block for j in block], 1)


KERNELS: dict[int, type[Kernel]] = {
    10: Pad,
    11: Slice,
    12: Transpose,
    13: Concatenation,
    14: ResizeBilinear,
    15: ResizeNearest,
    24: MirrorPad,
    25: DepthToSpace,
    26: SpaceToDepth,
}
