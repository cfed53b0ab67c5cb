"""The program of a region (custom_ops/REGION.md, section 3): typed records, to bytes and back, checked.

`Program` is what the bytes say; `ProgramWriter` puts one together. Arrays (weights, biases, tables) stay bytes here:
only the kinds know what is in them.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from fmtc_tflite.coding.crc32c import crc32c
from fmtc_tflite.graph.region_ops import KERNEL_SETS
from fmtc_tflite.regions.program_check import check_program
from fmtc_tflite.regions.program_format import (
    CRC_OFFSET,
    ELEMENT_BYTES,
    HEADER,
    INPUT,
    MAGIC,
    MAX_COUNT,
    OP,
    OUTPUT,
    PASS,
    PROGRAM_ALIGNMENT,
    TENSOR,
    VERSION,
    require,
)


@dataclass(frozen=True)
class ProgramTensor:
    """A tensor record; rows, columns and bytes as in the text."""

    place: int
    type: int
    index: int
    height: int
    width: int
    channels: int
    offset: int
    depth: int
    row_bytes: int
    pixel_bytes: int
    left: int = 0
    right: int = 0
    padding: int = 0
    windowed: bool = False
    phase: int = 0
    pitch: int = 1

    @property
    def memory_bytes(self) -> int:
        """Of the circle that its rows lie in."""
        return self.depth * self.row_bytes

    @property
    def rows_held(self) -> int:
        """How many of its rows can lie in memory at once."""
        return -(-self.depth // self.pitch)

    @property
    def item_bytes(self) -> int:
        """Of its values."""
        return self.height * self.width * self.channels * ELEMENT_BYTES[self.type]

    def origin(self, window: tuple[int, int] | None) -> int:
        """The column at which a row's memory begins, where a pass writes the columns of a window."""
        return window[0] if self.windowed and window is not None and window[0] > 0 else -self.left

    def columns_in_row(self, window: tuple[int, int]) -> int:
        """How many columns a row's memory holds in a pass, with padding."""
        first, end = window if self.windowed else (0, self.width)
        return self.left * (first == 0) + end - first + self.right * (end == self.width)

    def row_offset(self, row: int) -> int:
        """Where a row begins in its memory (scratch, or the input or output)."""
        return self.offset + (row * self.pitch + self.phase) % self.depth * self.row_bytes


@dataclass(frozen=True)
class ProgramOp:
    """An op record. `parameters` are the kind's own bytes, which may hold offsets into the program."""

    kind: int
    rule: int
    inputs: tuple[int, ...]
    output: int
    parameters: bytes = b""
    memory_offset: int = 0
    memory_bytes: int = 0


@dataclass(frozen=True)
class ProgramPass:
    """Some ops that follow one another, and their steps. `windows`: (first, end) columns of each op's output."""

    first_op: int
    op_count: int
    steps: tuple[int, ...]
    windows: tuple[tuple[int, int], ...] | None = None


class StepNeeds(Protocol):
    """What the check of a program must know of an op: RegionOp is one, and so is what a kind reads from a program."""

    @property
    def steps(self) -> int:
        """How often its turn comes."""

    @property
    def accumulates(self) -> bool:
        """Whether its only output row exists after its last step alone."""

    def rows_needed(self, operand: int, step: int) -> tuple[int, int]:
        """First and last row of an input that a step reads."""


@dataclass(frozen=True)
class Program:
    """A whole program. `content` are its bytes, into which the offsets in parameters point."""

    kernel_set: int
    inputs: int
    outputs: int
    scratch_bytes: int
    tensors: tuple[ProgramTensor, ...]
    ops: tuple[ProgramOp, ...]
    passes: tuple[ProgramPass, ...]
    content: bytes

    @classmethod
    def from_bytes(cls, content: bytes) -> Program:
        """Reads a program and checks all that can be told without knowing the kinds.

        Raises:
          ModelFormatError: damaged, inconsistent, or of an unknown version.
        """
        program = _Reader(content).program()
        check_program(program)
        return program

    def check_schedule(self, needs: Sequence[StepNeeds]) -> None:
        """Executes all steps on row counters: every row that a step reads has been written and still lies in memory.

        Args:
          needs: of each op.

        Raises:
          ModelFormatError: naming the first op and step for which that is not so.
        """
        written = [tensor.height if tensor.place == INPUT else 0 for tensor in self.tensors]
        for number, part in enumerate(self.passes):
            ops = range(part.first_op, part.first_op + part.op_count)
            for op in ops:
                written[self.ops[op].output] = 0
            done = dict.fromkeys(ops, 0)
            for op in part.steps:
                step, own = done[op], needs[op]
                require(step < own.steps, f"pass {number} gives op {op} more than its {own.steps} steps")
                self._check_rows(op, step, own, written)
                done[op] += 1
                if own.accumulates:
                    written[self.ops[op].output] = int(done[op] == own.steps)
                else:
                    written[self.ops[op].output] = done[op]
            for op in ops:
                require(
                    done[op] == needs[op].steps, f"pass {number} gives op {op} {done[op]} of {needs[op].steps} steps"
                )

    def _check_rows(self, op: int, step: int, needs: StepNeeds, written: list[int]) -> None:
        for operand, index in enumerate(self.ops[op].inputs):
            first, last = needs.rows_needed(operand, step)
            tensor, rows = self.tensors[index], written[index]
            require(
                0 <= first <= last < min(rows, tensor.height) and first >= rows - tensor.rows_held,
                f"op {op} reads rows {first} to {last} of tensor {index} in its step {step}, where it holds "
                f"{min(rows, tensor.rows_held)} of {rows} written ones",
            )


class ProgramWriter:
    """Puts a program's bytes together: first arrays, wherever they fit, then the records."""

    def __init__(self) -> None:
        self._content = bytearray(HEADER.size)
        self._places: dict[tuple[bytes, int], int] = {}

    def add(self, data: bytes, alignment: int = 4) -> int:
        """Puts an array into the program and returns its offset; equal arrays are stored once."""
        known = self._places.get((data, alignment))
        if known is not None:
            return known
        self._content += bytes(-len(self._content) % alignment)
        offset = len(self._content)
        self._content += data
        self._places[data, alignment] = offset
        return offset

    def finish(
        self,
        *,
        kernel_set: int,
        scratch_bytes: int,
        tensors: Sequence[ProgramTensor],
        ops: Sequence[ProgramOp],
        passes: Sequence[ProgramPass],
    ) -> Program:
        """Adds the records and the header.

        Raises:
          ModelFormatError: the records do not make a valid program.
        """
        require(
            max(len(tensors), len(ops), len(passes)) <= MAX_COUNT,
            f"{len(tensors)} tensors, {len(ops)} ops and {len(passes)} passes; a program holds {MAX_COUNT} of each",
        )
        op_records = b"".join(self._op(op) for op in ops)
        steps: list[int] = []
        pass_records = b""
        for part in passes:
            windows = 0 if part.windows is None else self.add(np.array(part.windows, "<u2").tobytes())
            pass_records += PASS.pack(part.first_op, part.op_count, len(steps), len(part.steps), windows)
            steps += part.steps
        places = (
            self.add(b"".join(_pack_tensor(tensor) for tensor in tensors)),
            self.add(op_records),
            self.add(pass_records),
            self.add(np.array(steps, "<u2").tobytes()),
        )
        self._content += bytes(-len(self._content) % PROGRAM_ALIGNMENT)
        counts = [sum(tensor.place == place for tensor in tensors) for place in (INPUT, OUTPUT)]
        sizes = (len(tensors), len(ops), len(passes), *counts)
        head = (MAGIC, VERSION, kernel_set, 0, len(self._content), 0)
        self._content[: HEADER.size] = HEADER.pack(*head, *sizes, 0, scratch_bytes, *places, len(steps), bytes(12))
        struct.pack_into("<I", self._content, CRC_OFFSET, crc32c(bytes(self._content)))
        return Program.from_bytes(bytes(self._content))

    def _op(self, op: ProgramOp) -> bytes:
        inputs = self.add(np.array(op.inputs, "<u2").tobytes())
        parameters = self.add(op.parameters)
        head = (op.kind, op.rule, len(op.inputs), op.output, 0, inputs, parameters, len(op.parameters))
        return OP.pack(*head, op.memory_offset, op.memory_bytes, 0)


def stored_tensors(program: Program) -> set[int]:
    """Those that go to memory whole: cuts, which a later pass reads, and outputs."""
    pass_of = {
        op: number
        for number, part in enumerate(program.passes)
        for op in range(part.first_op, part.first_op + part.op_count)
    }
    writers = {op.output: number for number, op in enumerate(program.ops)}
    cuts = {
        index
        for number, op in enumerate(program.ops)
        for index in op.inputs
        if index in writers and pass_of[number] != pass_of[writers[index]]
    }
    outputs = {index for index, tensor in enumerate(program.tensors) if tensor.place == OUTPUT}
    return cuts | outputs


class _Reader:
    """Bytes to records; every offset and count is checked against the program's size before it is used."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def program(self) -> Program:
        content = self._content
        require(len(content) >= HEADER.size, f"{len(content)} bytes are fewer than the header's {HEADER.size}")
        magic, version, kernel_set, zero, size, crc, *rest = HEADER.unpack_from(content)
        require(magic == MAGIC, f"it begins with {magic!r}, expected {MAGIC!r}")
        require(version == VERSION, f"version {version}, expected {VERSION}; convert the model again")
        require(
            size == len(content) and size % PROGRAM_ALIGNMENT == 0,
            f"{size} bytes according to its header, {len(content)} in fact, expected a multiple of {PROGRAM_ALIGNMENT}",
        )
        end = CRC_OFFSET + 4
        require(crc == crc32c(content[:CRC_OFFSET], bytes(4), content[end:]), "its checksum is wrong")
        tensors, ops, passes, inputs, outputs, zero_too, scratch, *places, step_count, tail = rest
        require(not zero and not zero_too and not any(tail), "reserved fields of its header are not 0")
        require(kernel_set < len(KERNEL_SETS), f"kernel set {kernel_set} is unknown")
        steps = np.frombuffer(self._slice(places[3], 2 * step_count, "steps"), "<u2").tolist()
        return Program(
            kernel_set=kernel_set,
            inputs=inputs,
            outputs=outputs,
            scratch_bytes=scratch,
            tensors=tuple(self._tensor(*record) for record in self._records(TENSOR, places[0], tensors, "tensors")),
            ops=tuple(self._op(*record) for record in self._records(OP, places[1], ops, "ops")),
            passes=tuple(self._pass(steps, *record) for record in self._records(PASS, places[2], passes, "passes")),
            content=content,
        )

    def _slice(self, offset: int, size: int, what: str) -> bytes:
        require(
            offset % 4 == 0 and offset + size <= len(self._content),
            f"its {what} lie at bytes {offset} to {offset + size} of {len(self._content)}, expected within, from a "
            "multiple of 4",
        )
        return self._content[offset : offset + size]

    def _records(self, record: struct.Struct, offset: int, count: int, what: str) -> list[tuple[int, ...]]:
        return list(record.iter_unpack(self._slice(offset, count * record.size, what)))

    def _tensor(self, *record: int) -> ProgramTensor:
        place, type_, index, *memory, left, right, padding, windowed, form, zero, phase, between = record
        require(windowed <= 1 and form == 0 and not zero, "a tensor has an unknown form")
        height, width, channels, offset, depth, row_bytes, pixel_bytes = memory
        rows = (place, type_, index, height, width, channels, offset, depth, row_bytes, pixel_bytes)
        return ProgramTensor(*rows, left, right, padding, bool(windowed), phase, between + 1)

    def _op(self, kind: int, rule: int, input_count: int, output: int, zero: int, *rest: int) -> ProgramOp:
        inputs, parameters, parameter_bytes, memory_offset, memory_bytes, zero_too = rest
        require(not zero and not zero_too, "reserved fields of an op are not 0")
        numbers = np.frombuffer(self._slice(inputs, 2 * input_count, "inputs of an op"), "<u2").tolist()
        own = self._slice(parameters, parameter_bytes, "parameters of an op")
        return ProgramOp(kind, rule, tuple(numbers), output, own, memory_offset, memory_bytes)

    def _pass(self, steps: list[int], first_op: int, ops: int, first: int, count: int, windows: int) -> ProgramPass:
        require(first + count <= len(steps), f"a pass has steps {first} to {first + count} of {len(steps)}")
        columns = None
        if windows:
            pairs = np.frombuffer(self._slice(windows, 4 * ops, "windows of a pass"), "<u2").reshape(-1, 2)
            columns = tuple((int(a), int(b)) for a, b in pairs)
        return ProgramPass(first_op, ops, tuple(steps[first : first + count]), columns)


def _pack_tensor(tensor: ProgramTensor) -> bytes:
    shape = (tensor.height, tensor.width, tensor.channels)
    memory = (tensor.offset, tensor.depth, tensor.row_bytes, tensor.pixel_bytes, tensor.left, tensor.right)
    head = (tensor.place, tensor.type, tensor.index, *shape, *memory)
    return TENSOR.pack(*head, tensor.padding, int(tensor.windowed), 0, 0, tensor.phase, tensor.pitch - 1)
