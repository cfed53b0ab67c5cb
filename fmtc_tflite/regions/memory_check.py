"""Proof that a program's memory is right: each step finds the rows that it reads as they were written.

All steps are executed on tags instead of data: writing a row marks its bytes, reading one looks for the marks. That
covers rings, circles and overlays alike, whatever planned them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fmtc_tflite.errors import ModelFormatError
from fmtc_tflite.regions.program import Program, StepNeeds
from fmtc_tflite.regions.program_format import ROW_ALIGNMENT, SCRATCH


def check_memory(program: Program, needs: Sequence[StepNeeds]) -> None:
    """Executes the program on tags.

    Args:
      needs: of each op.

    Raises:
      ModelFormatError: a step reads a row that is not what was written, or writes over what it reads.
    """
    program.check_schedule(needs)
    _TagMemory(program, needs).run()


class _TagMemory:
    def __init__(self, program: Program, needs: Sequence[StepNeeds]) -> None:
        self._program, self._needs = program, needs
        self._marks = np.full(program.scratch_bytes // ROW_ALIGNMENT, -1, np.int64)  # of 16 bytes each
        bases = np.cumsum([0, *(t.height for t in program.tensors)]).tolist()
        self._row_tags, self._own_tags = bases[:-1], bases[-1]

    def run(self) -> None:
        for part in self._program.passes:
            done = dict.fromkeys(range(part.first_op, part.first_op + part.op_count), 0)
            for op in part.steps:
                self._step(op, done[op])
                done[op] += 1

    def _step(self, op: int, step: int) -> None:
        record, needs = self._program.ops[op], self._needs[op]
        if record.memory_bytes:
            first = record.memory_offset // ROW_ALIGNMENT
            own = slice(first, first - (-record.memory_bytes // ROW_ALIGNMENT))
            if needs.accumulates and step:
                self._expect(own, self._own_tags + op, f"op {op} finds its own memory overwritten in its step {step}")
            self._marks[own] = self._own_tags + op
        if not needs.accumulates:
            self._write(record.output, step)
        for operand, index in enumerate(record.inputs):
            if self._program.tensors[index].place == SCRATCH:
                first, last = needs.rows_needed(operand, step)
                for row in range(first, last + 1):
                    tag = self._row_tags[index] + row
                    self._expect(
                        self._place(index, row),
                        tag,
                        f"op {op} finds row {row} of tensor {index} overwritten in its step {step}",
                    )
        if needs.accumulates and step + 1 == needs.steps:
            self._write(record.output, 0)

    def _place(self, index: int, row: int) -> slice:
        tensor = self._program.tensors[index]
        first = tensor.row_offset(row) // ROW_ALIGNMENT
        return slice(first, first + tensor.row_bytes // ROW_ALIGNMENT)

    def _write(self, index: int, row: int) -> None:
        if self._program.tensors[index].place == SCRATCH:
            self._marks[self._place(index, row)] = self._row_tags[index] + row

    def _expect(self, place: slice, tag: int, problem: str) -> None:
        if not (self._marks[place] == tag).all():
            raise ModelFormatError(f"region program: {problem}")
