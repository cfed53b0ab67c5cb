"""Memory, passes and steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from fmtc_tflite.errors import UsageError
from fmtc_tflite.regions.program import Program
from fmtc_tflite.regions.program_format import INPUT, OUTPUT, SCRATCH
from fmtc_tflite.regions.reference.kernels import Kernel, make_kernel

_DTYPES: dict[int, np.dtype] = {
    number: np.dtype(name) for number, name in {1: "float32", 2: "int32", 3: "uint8", 4: "int64", 9: "int8"}.items()
}
_GARBAGE = 0xA5  # what scratch memory holds at first: nothing may depend on it

Trace = Callable[[int, int, int, np.ndarray], None]


def run_program(content: bytes, inputs: Sequence[np.ndarray], trace: Trace | None = None) -> list[np.ndarray]:
    """Executes a program.

    Args:
      content: its bytes.
      inputs: [N, height, width, channels] each, of the program's shapes and types.
      trace: is told batch item, op, row and values [columns, channels] of each row that a step writes.

    Returns:
      The outputs, [N, height, width, channels] each.

    Raises:
      ModelFormatError: the program is damaged or not valid.
      UsageError: inputs of other shapes or types.
    """
    program = Program.from_bytes(content)
    kernels = [make_kernel(program, number) for number in range(len(program.ops))]
    program.check_schedule(kernels)
    batch = _check_inputs(program, inputs)
    outputs: dict[int, np.ndarray] = {
        t.index: np.zeros((batch, t.height, t.width, t.channels), _DTYPES[t.type])
        for t in program.tensors
        if t.place == OUTPUT
    }
    for item in range(batch):
        outside = {(INPUT, i): x[item] for i, x in enumerate(inputs)}
        outside |= {(OUTPUT, i): y[item] for i, y in outputs.items()}
        _Item(program, kernels, outside, item, batch, trace).run()
    return [outputs[index] for index in sorted(outputs)]


def _check_inputs(program: Program, inputs: Sequence[np.ndarray]) -> int:
    expected = {t.index: t for t in program.tensors if t.place == INPUT}
    if len(inputs) != len(expected):
        raise UsageError(f"{len(inputs)} inputs for a region of {len(expected)}")
    for index, (tensor, given) in enumerate(zip((expected[i] for i in sorted(expected)), inputs, strict=True)):
        shape = (len(inputs[0]), tensor.height, tensor.width, tensor.channels)
        if given.shape != shape or given.dtype != _DTYPES[tensor.type]:
            raise UsageError(f"input {index} is {given.dtype} {given.shape}, expected {_DTYPES[tensor.type]} {shape}")
    return len(inputs[0]) if len(inputs) else 1


@dataclass
class StepRows:
    """What a kernel sees of the memory in one step.

    Attributes:
      columns: absolute columns of the output that the step computes, int64 [n].
      item, batch: which of how many batch items.
    """

    columns: np.ndarray
    item: int
    batch: int
    _read: Callable[[int, int, np.ndarray], np.ndarray]
    _memory: np.ndarray

    def read(self, operand: int, row: int, columns: np.ndarray) -> np.ndarray:
        """Pixels of an input's row, [len(columns), channels]; columns may lie in its padding."""
        return self._read(operand, row, columns)

    def memory(self, dtype: type, count: int) -> np.ndarray:
        """The first values of the op's own memory, to read and to write."""
        return self._memory[: count * np.dtype(dtype).itemsize].view(dtype)


class _Item:
    """One batch item's execution."""

    def __init__(
        self,
        program: Program,
        kernels: Sequence[Kernel],
        outside: dict[tuple[int, int], np.ndarray],
        item: int,
        batch: int,
        trace: Trace | None,
    ) -> None:
        self._program, self._kernels, self._outside = program, kernels, outside
        self._item, self._batch, self._trace = item, batch, trace
        self._scratch = np.full(program.scratch_bytes, _GARBAGE, np.uint8)
        self._windows: dict[int, tuple[int, int]] = {}  # of the tensors that the pass writes

    def run(self) -> None:
        for part in self._program.passes:
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
        op, kernel = self._program.ops[number], self._kernels[number]
        first, end = self._windows[op.output]

        def read(operand: int, row: int, columns: np.ndarray) -> np.ndarray:
            return self._read(op.inputs[operand], row, columns)

        own = self._scratch[op.memory_offset : op.memory_offset + op.memory_bytes]
        rows = StepRows(np.arange(first, end), self._item, self._batch, read, own)
        values = kernel.compute(step, rows)
        if values is not None:
            row = 0 if kernel.accumulates else step
            self._write(op.output, row, values)
            if self._trace is not None:
                self._trace(self._item, number, row, values)

    def _row(self, index: int, row: int) -> tuple[np.ndarray, int]:
        """A row in scratch memory as [pixels, channels], bytes as uint8, and the column of its first pixel."""
        tensor = self._program.tensors[index]
        start = tensor.row_offset(row)
        pixels = tensor.row_bytes // tensor.pixel_bytes
        data = self._scratch[start : start + pixels * tensor.pixel_bytes].reshape(pixels, tensor.pixel_bytes)
        dtype = _DTYPES[tensor.type]
        stored = np.dtype(np.uint8) if dtype.itemsize == 1 else dtype
        return data[:, : tensor.channels * dtype.itemsize].view(stored), tensor.origin(self._windows.get(index))

    def _read(self, index: int, row: int, columns: np.ndarray) -> np.ndarray:
        tensor = self._program.tensors[index]
        if tensor.place != SCRATCH:
            return self._outside[tensor.place, tensor.index][row, columns]
        pixels, first = self._row(index, row)
        places = columns - first
        assert places.size == 0 or (places.min() >= 0 and places.max() < len(pixels)), "columns that the row lacks"
        return pixels[places]

    def _write(self, index: int, row: int, values: np.ndarray) -> None:
        """Writes the columns of the window, and padding where it begins or ends the row."""
        tensor = self._program.tensors[index]
        first, end = self._windows[index]
        if tensor.place != SCRATCH:
            self._outside[tensor.place, tensor.index][row, first:end] = values
            return
        pixels, origin = self._row(index, row)
        pixels[first - origin : end - origin] = values
        if first == 0:
            pixels[: tensor.left] = tensor.padding
        if end == tensor.width:
            pixels[end - origin : end - origin + tensor.right] = tensor.padding
