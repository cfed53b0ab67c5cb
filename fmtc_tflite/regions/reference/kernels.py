"""What kinds do in a step: one class for each of REGION.md section 5, read from a program's op."""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import numpy as np

from fmtc_tflite.errors import ModelFormatError
from fmtc_tflite.regions.program import Program, ProgramOp

if TYPE_CHECKING:
    from fmtc_tflite.regions.reference.machine import StepRows


class Kernel(ABC):
    """An op of a program. Values of 8 bits in scratch memory are uint8; all others have their own type."""

    accumulates = False

    def __init__(self, program: Program, op: ProgramOp) -> None:
        self.program, self.op = program, op
        self.rule = op.rule
        self.inputs = [program.tensors[index] for index in op.inputs]
        self.output = program.tensors[op.output]
        self.read_parameters(op.parameters)

    def read_parameters(self, parameters: bytes) -> None:
        """Takes what the kind's struct says; nothing here."""
        assert not parameters, "parameters of a kind without any"

    @property
    def steps(self) -> int:
        """Rows of the output, or of the input where the op accumulates."""
        return self.inputs[0].height if self.accumulates else self.output.height

    def rows_needed(self, operand: int, step: int) -> tuple[int, int]:
        """First and last row of an input that a step reads."""
        return step, step

    @abstractmethod
    def compute(self, step: int, rows: StepRows) -> np.ndarray | None:
        """The output's row [columns, channels]; None for a step that only accumulates."""

    def array(self, offset: int, dtype: type, count: int) -> np.ndarray:
        """An array of the program."""
        size = count * np.dtype(dtype).itemsize
        if offset + size > len(self.program.content):
            raise ModelFormatError(f"region program: an array of {size} bytes at {offset} lies beyond its end")
        return np.frombuffer(self.program.content, np.dtype(dtype).newbyteorder("<"), count, offset)


def make_kernel(program: Program, number: int) -> Kernel:
    """The kernel of an op.

    Raises:
      ModelFormatError: an unknown kind, or parameters that are not the kind's.
    """
    from fmtc_tflite.regions.reference import (
        arg_max,
        coders,
        floats,
        moves,
        pairs,
        pointwise,
        products,
        reductions,
        softmax,
        transpose_conv,
    )

    op = program.ops[number]
    for module in (products, pairs, pointwise, reductions, moves, arg_max, floats, transpose_conv, coders, softmax):
        if op.kind in module.KERNELS:
            try:
                return module.KERNELS[op.kind](program, op)
            except (ValueError, AssertionError, struct.error) as error:
                raise ModelFormatError(f"region program: op {number} has wrong parameters: {error}") from error
    raise ModelFormatError(f"region program: op {number} is of the unknown kind {op.kind}; update fmtc-tflite")
