"""Proof that a program's memory is right: each step finds the rows and columns that it reads as they were written.

All steps are executed on tags instead of data: writing columns of a row marks their bytes, reading some looks for the
marks. That covers rings, circles, overlays and strips alike, whatever planned them.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd

import numpy as np

from fmtc_tflite.errors import ModelFormatError
from fmtc_tflite.regions.ops import RegionOp
from fmtc_tflite.regions.program import Program, ProgramTensor
from fmtc_tflite.regions.program_format import ROW_ALIGNMENT, SCRATCH
from fmtc_tflite.regions.strips import Window


def check_memory(program: Program, ops: Sequence[RegionOp]) -> None:
    """Executes the program on tags.

    Args:
      ops: what is known of each op.

    Raises:
      ModelFormatError: a step reads columns of a row that are not what was written, or writes over what it reads.
    """
    program.check_schedule(ops)
    _TagMemory(program, ops).run()


class _TagMemory:
    def __init__(self, program: Program, ops: Sequence[RegionOp]) -> None:
        self._program, self._ops = program, ops
        pixels = [tensor.pixel_bytes for tensor in program.tensors if tensor.place == SCRATCH]
        self._unit = gcd(ROW_ALIGNMENT, *pixels)  # bytes that have a mark of their own
        self._marks = np.full(program.scratch_bytes // self._unit, -1, np.int64)
        bases = np.cumsum([0, *(t.height for t in program.tensors)]).tolist()
        self._row_tags, self._own_tags = bases[:-1], bases[-1]
        self._tags = self._own_tags + len(ops)
        self._pass = 0
        self._windows: dict[int, Window] = {}  # of the tensors that the pass writes

    def run(self) -> None:
        for part in self._program.passes:
            self._pass += 1
            ops = range(part.first_op, part.first_op + part.op_count)
            for number, op in enumerate(ops):
                output = self._program.ops[op].output
                whole = (0, self._program.tensors[output].width)
                self._windows[output] = part.windows[number] if part.windows else whole
            done = dict.fromkeys(ops, 0)
            for op in part.steps:
                self._step(op, done[op])
                done[op] += 1

    def _step(self, number: int, step: int) -> None:
        record, op = self._program.ops[number], self._ops[number]
        if record.memory_bytes:
            own = self._units(record.memory_offset, record.memory_bytes)
            if op.kept_memory_bytes and step:
                self._expect(
                    self._units(record.memory_offset, op.kept_memory_bytes),
                    self._own_tags + number,
                    f"op {number} finds its own memory overwritten in its step {step}",
                )
            self._marks[own] = self._own_tags + number
        if not op.accumulates:
            self._write(record.output, step)
        for operand, index in enumerate(record.inputs):
            if self._program.tensors[index].place == SCRATCH:
                columns = self._columns_read(number, operand)
                first, last = op.rows_needed(operand, step)
                for row in range(first, last + 1):
                    self._expect(
                        self._place(index, row, columns),
                        self._tag(index, row),
                        f"op {number} finds row {row} of tensor {index} overwritten in its step {step}",
                    )
        if op.accumulates and step + 1 == op.steps:
            self._write(record.output, 0)

    def _columns_read(self, number: int, operand: int) -> Window:
        """Of the op's window, with padding columns."""
        record, op = self._program.ops[number], self._ops[number]
        width = self._program.tensors[record.inputs[operand]].width
        first, end = op.columns_needed(operand, *self._windows[record.output])
        left, right = op.column_padding(operand)
        return first - left * (first == 0), end + right * (end == width)

    def _units(self, offset: int, size: int) -> slice:
        return slice(offset // self._unit, -(-(offset + size) // self._unit))

    def _tag(self, index: int, row: int) -> int:
        """What marks a row; in each pass another one where rows hold only what the pass computes."""
        windowed = self._program.tensors[index].windowed
        return self._row_tags[index] + row + (self._pass * self._tags if windowed else 0)

    def _place(self, index: int, row: int, columns: Window) -> slice:
        """Columns of a row; they must lie in the row's memory."""
        tensor = self._program.tensors[index]
        first, end = (column - tensor.origin(self._windows.get(index)) for column in columns)
        if first < 0 or end * tensor.pixel_bytes > tensor.row_bytes:
            raise ModelFormatError(f"region program: columns {columns} of tensor {index} lie outside its rows")
        return self._units(tensor.row_offset(row) + first * tensor.pixel_bytes, (end - first) * tensor.pixel_bytes)

    def _write(self, index: int, row: int) -> None:
        tensor = self._program.tensors[index]
        if tensor.place == SCRATCH:
            self._marks[self._place(index, row, _written(tensor, self._windows[index]))] = self._tag(index, row)

    def _expect(self, place: slice, tag: int, problem: str) -> None:
        if not (self._marks[place] == tag).all():
            raise ModelFormatError(f"region program: {problem}")


def _written(tensor: ProgramTensor, window: Window) -> Window:
    """A window, with padding columns at the ends of the row."""
    first, end = window
    return first - tensor.left * (first == 0), end + tensor.right * (end == tensor.width)
