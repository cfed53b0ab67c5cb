"""Small region programs, put together by hand: what an executor should run, before and beside any converter."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from fmtc_tflite.regions.program import Program, ProgramOp, ProgramPass, ProgramTensor, ProgramWriter
from fmtc_tflite.regions.program_format import INPUT, OUTPUT, SCRATCH

COPY, CONV = 16, 1
INT8 = 9
RULE_FLOAT32 = 3
ZERO_POINT, OUTPUT_ZERO_POINT = 131, 120  # of the convolution's input and output, unsigned


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
        ops=[ProgramOp(COPY, 1, (0,), 1), ProgramOp(COPY, 1, (1,), 2)],
        passes=[ProgramPass(0, 2, (0, 1) * height)],
    )
    return program, [Rows(height, height), Rows(height, height)]


@dataclass(frozen=True)
class Convolution:
    """What `convolution` computes: weights [5, 3, 3, 3], biases and multipliers [5]."""

    weights: np.ndarray
    biases: np.ndarray
    multipliers: np.ndarray


def convolution_numbers(seed: int = 0) -> Convolution:
    rng = np.random.default_rng(seed)
    weights, biases = rng.integers(-127, 128, (5, 3, 3, 3)), rng.integers(-900, 900, 5)
    return Convolution(weights, biases, rng.uniform(0.001, 0.004, 5).astype(np.float32))


def convolution(seed: int = 0, height: int = 6, width: int = 5) -> tuple[Program, list[Rows]]:
    """A 3x3 convolution, SAME, 3 to 5 channels, between copies, behind a ring of 3 rows with padding columns."""
    numbers = convolution_numbers(seed)
    packed = np.zeros((16, 3, 3, 4), np.int8)  # output channels, kernel rows and columns, input channels
    packed[:5, :, :, :3] = numbers.weights
    packed = packed.reshape(16, 9, 4).transpose(1, 0, 2)
    folded, multipliers = np.zeros(16, np.int32), np.zeros(16, np.float32)
    folded[:5] = numbers.biases - ZERO_POINT * numbers.weights.sum(axis=(1, 2, 3))
    multipliers[:5] = numbers.multipliers
    writer = ProgramWriter()
    arrays = [writer.add(packed.tobytes(), 64), writer.add(folded.tobytes()), writer.add(multipliers.tobytes())]
    window = (3, 3, 1, 1, 1, 1, 1, 1)
    parameters = struct.pack("<8HIHBb4B3I24x", *window, 3, 1, 0, 0, OUTPUT_ZERO_POINT, 0, 255, 0, *arrays)
    row = 16 * -(-(width + 2) * 4 // 16)
    ring = ProgramTensor(SCRATCH, INT8, 0, height, width, 3, 0, 3, row, 4, 1, 1, ZERO_POINT)
    result_row = 16 * -(-width * 5 // 16)
    result = ProgramTensor(SCRATCH, INT8, 0, height, width, 5, 4 * row, 1, result_row, 5)
    order = [0, *(op for y in range(height) for op in ((0, 1, 2) if y < height - 1 else (1, 2)))]
    program = writer.finish(
        kernel_set=0,
        scratch_bytes=64 * -(-(4 * row + result_row) // 64),
        tensors=[dense(INPUT, height, width, 3), ring, result, dense(OUTPUT, height, width, 5)],
        ops=[
            ProgramOp(COPY, 1, (0,), 1),
            ProgramOp(CONV, RULE_FLOAT32, (1,), 2, parameters, 3 * row, row),
            ProgramOp(COPY, 1, (2,), 3),
        ],
        passes=[ProgramPass(0, 3, tuple(order))],
    )
    return program, [Rows(height, height), Rows(height, height, kernel=3, above=1), Rows(height, height)]
