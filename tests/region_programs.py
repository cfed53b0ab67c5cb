"""Small region programs, put together by hand: what an executor should run, before and beside any converter."""

from __future__ import annotations

import struct

import numpy as np

from fmtc_tflite.regions.program import (
    INPUT,
    OUTPUT,
    SCRATCH,
    Program,
    ProgramOp,
    ProgramPass,
    ProgramTensor,
    ProgramWriter,
)

COPY, CONV = 1, 2
INT8 = 9
RULE_FLOAT = 0  # rint(acc * float32 multiplier)


class Rows:
    """What the check of a schedule must know of an op: rows `y * stride - above` to `+ (kernel - 1)` for step y."""

    accumulates = False

    def __init__(self, height: int, rows: int, stride: int = 1, kernel: int = 1, above: int = 0) -> None:
        self.steps, self._height = rows, height
        self._stride, self._kernel, self._above = stride, kernel, above

    def rows_needed(self, operand: int, step: int) -> tuple[int, int]:
        first = step * self._stride - self._above
        return max(first, 0), min(first + self._kernel, self._height) - 1


def dense(place: int, height: int, width: int, channels: int) -> ProgramTensor:
    """The int8 input or output of a region that has one."""
    row = width * channels
    return ProgramTensor(place, INT8, 0, height, width, channels, 0, height, row, channels)


def copies(height: int = 5, width: int = 3, channels: int = 3) -> tuple[Program, list[Rows]]:
    """Input to a ring of one row, and on to the output: two ops that take turns."""
    ring = ProgramTensor(SCRATCH, INT8, 0, height, width, channels, 0, 1, 16 * -(-width * 4 // 16), 4)
    program = ProgramWriter().finish(
        kernel_set=0,
        scratch_bytes=64 * -(-ring.row_bytes // 64),
        tensors=[dense(INPUT, height, width, channels), ring, dense(OUTPUT, height, width, channels)],
        ops=[ProgramOp(COPY, 0, (0,), 1), ProgramOp(COPY, 0, (1,), 2)],
        passes=[ProgramPass(0, 2, (0, 1) * height)],
    )
    return program, [Rows(height, height), Rows(height, height)]


def convolution(seed: int = 0, height: int = 6, width: int = 5) -> tuple[Program, list[Rows]]:
    """A 3x3 convolution, SAME, 3 to 5 channels, behind a copy into a ring of 3 rows with padding columns."""
    rng = np.random.default_rng(seed)
    weights, biases = rng.integers(-127, 128, (5, 3, 3, 3)), rng.integers(-900, 900, 5)
    zero_point = 131
    packed = np.zeros((16, 3, 3, 4), np.int8)  # output channels, kernel rows and columns, input channels
    packed[:5, :, :, :3] = weights
    packed = packed.reshape(16, 9, 4).transpose(1, 0, 2)
    folded = np.zeros(16, np.int32)
    folded[:5] = biases - zero_point * weights.sum(axis=(1, 2, 3))
    multipliers = np.zeros(16, np.float32)
    multipliers[:5] = rng.uniform(0.001, 0.004, 5)
    writer = ProgramWriter()
    arrays = [writer.add(packed.tobytes(), 64), packed.size, writer.add(folded.tobytes())]
    arrays += [writer.add(multipliers.tobytes()), 0, 0, 0]
    parameters = struct.pack("<8HIi4B7I8x", 3, 3, 1, 1, 1, 1, 1, 1, 1, 0, 120, 0, 255, 0, *arrays)
    row = 16 * -(-(width + 2) * 4 // 16)
    ring = ProgramTensor(SCRATCH, INT8, 0, height, width, 3, 0, 3, row, 4, 1, 1, zero_point)
    order = [0, *(op for y in range(height) for op in ((0, 1) if y < height - 1 else (1,)))]
    program = writer.finish(
        kernel_set=0,
        scratch_bytes=64 * -(-4 * row // 64),
        tensors=[dense(INPUT, height, width, 3), ring, dense(OUTPUT, height, width, 5)],
        ops=[ProgramOp(COPY, 0, (0,), 1), ProgramOp(CONV, RULE_FLOAT, (1,), 2, parameters, 3 * row, row)],
        passes=[ProgramPass(0, 2, tuple(order))],
    )
    return program, [Rows(height, height), Rows(height, height, kernel=3, above=1)]
