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
from fmtc_tflite.errors import ModelFormatError
from fmtc_tflite.graph.region_ops import KERNEL_SETS

MAGIC = b"FMRG"
VERSION = 1
SCRATCH, INPUT, OUTPUT = 0, 1, 2  # places
ELEMENT_BYTES = {1: 4, 2: 4, 3: 1, 4: 8, 9: 1}  # by TFLite's number of the type
PROGRAM_ALIGNMENT, WEIGHT_ALIGNMENT, SCRATCH_ALIGNMENT, ROW_ALIGNMENT = 16, 64, 64, 16

_HEADER = struct.Struct("<4sHBBII6HI5I12s")
_TENSOR = struct.Struct("<BBHIIIIIIIHHBBBBII")
_OP = struct.Struct("<BBHHHIIIIII")
_PASS = struct.Struct("<HHIII")
_CRC_OFFSET = 12
_MAX_SIDE = 65535  # rows, columns and channels; windows hold columns in 16 bits
_MAX_BYTES = 2**31 - 1


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

    @property
    def memory_bytes(self) -> int:
        """From its first row to behind its last."""
        return self.depth * self.row_bytes

    @property
    def item_bytes(self) -> int:
        """Of its values."""
        return self.height * self.width * self.channels * ELEMENT_BYTES[self.type]

    def row_offset(self, row: int) -> int:
        """Where a row begins in its memory (scratch, or the input or output)."""
        return self.offset + (row + self.phase) % self.depth * self.row_bytes


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
        _check(program)
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
                _require(step < own.steps, f"pass {number} gives op {op} more than its {own.steps} steps")
                self._check_rows(op, step, own, written)
                done[op] += 1
                if own.accumulates:
                    written[self.ops[op].output] = int(done[op] == own.steps)
                else:
                    written[self.ops[op].output] = done[op]
            for op in ops:
                _require(
                    done[op] == needs[op].steps, f"pass {number} gives op {op} {done[op]} of {needs[op].steps} steps"
                )

    def _check_rows(self, op: int, step: int, needs: StepNeeds, written: list[int]) -> None:
        for operand, index in enumerate(self.ops[op].inputs):
            first, last = needs.rows_needed(operand, step)
            tensor, rows = self.tensors[index], written[index]
            _require(
                0 <= first <= last < min(rows, tensor.height) and first >= rows - tensor.depth,
                f"op {op} reads rows {first} to {last} of tensor {index} in its step {step}, where it holds "
                f"{min(rows, tensor.depth)} of {rows} written ones",
            )


class ProgramWriter:
    """Puts a program's bytes together: first arrays, wherever they fit, then the records."""

    def __init__(self) -> None:
        self._content = bytearray(_HEADER.size)
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
        _require(
            max(len(tensors), len(ops), len(passes)) <= _MAX_SIDE,
            f"{len(tensors)} tensors, {len(ops)} ops and {len(passes)} passes; a program holds {_MAX_SIDE} of each",
        )
        op_records = b"".join(self._op(op) for op in ops)
        steps: list[int] = []
        pass_records = b""
        for part in passes:
            windows = 0 if part.windows is None else self.add(np.array(part.windows, "<u2").tobytes())
            pass_records += _PASS.pack(part.first_op, part.op_count, len(steps), len(part.steps), windows)
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
        self._content[: _HEADER.size] = _HEADER.pack(*head, *sizes, 0, scratch_bytes, *places, len(steps), bytes(12))
        struct.pack_into("<I", self._content, _CRC_OFFSET, crc32c(bytes(self._content)))
        return Program.from_bytes(bytes(self._content))

    def _op(self, op: ProgramOp) -> bytes:
        inputs = self.add(np.array(op.inputs, "<u2").tobytes())
        parameters = self.add(op.parameters)
        head = (op.kind, op.rule, len(op.inputs), op.output, 0, inputs, parameters, len(op.parameters))
        return _OP.pack(*head, op.memory_offset, op.memory_bytes, 0)


def stored_bytes(program: Program) -> int:
    """Bytes of an item that go to memory whole: cuts, which a later pass reads, and outputs."""
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
    return sum(program.tensors[index].item_bytes for index in cuts | outputs)


class _Reader:
    """Bytes to records; every offset and count is checked against the program's size before it is used."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def program(self) -> Program:
        content = self._content
        _require(len(content) >= _HEADER.size, f"{len(content)} bytes are fewer than the header's {_HEADER.size}")
        magic, version, kernel_set, zero, size, crc, *rest = _HEADER.unpack_from(content)
        _require(magic == MAGIC, f"it begins with {magic!r}, expected {MAGIC!r}")
        _require(version == VERSION, f"version {version}, expected {VERSION}; convert the model again")
        _require(
            size == len(content) and size % PROGRAM_ALIGNMENT == 0,
            f"{size} bytes according to its header, {len(content)} in fact, expected a multiple of {PROGRAM_ALIGNMENT}",
        )
        end = _CRC_OFFSET + 4
        _require(crc == crc32c(content[:_CRC_OFFSET], bytes(4), content[end:]), "its checksum is wrong")
        tensors, ops, passes, inputs, outputs, zero_too, scratch, *places, step_count, tail = rest
        _require(not zero and not zero_too and not any(tail), "reserved fields of its header are not 0")
        _require(kernel_set < len(KERNEL_SETS), f"kernel set {kernel_set} is unknown")
        steps = np.frombuffer(self._slice(places[3], 2 * step_count, "steps"), "<u2").tolist()
        return Program(
            kernel_set=kernel_set,
            inputs=inputs,
            outputs=outputs,
            scratch_bytes=scratch,
            tensors=tuple(self._tensor(*record) for record in self._records(_TENSOR, places[0], tensors, "tensors")),
            ops=tuple(self._op(*record) for record in self._records(_OP, places[1], ops, "ops")),
            passes=tuple(self._pass(steps, *record) for record in self._records(_PASS, places[2], passes, "passes")),
            content=content,
        )

    def _slice(self, offset: int, size: int, what: str) -> bytes:
        _require(
            offset % 4 == 0 and offset + size <= len(self._content),
            f"its {what} lie at bytes {offset} to {offset + size} of {len(self._content)}, expected within, from a "
            "multiple of 4",
        )
        return self._content[offset : offset + size]

    def _records(self, record: struct.Struct, offset: int, count: int, what: str) -> list[tuple[int, ...]]:
        return list(record.iter_unpack(self._slice(offset, count * record.size, what)))

    def _tensor(self, *record: int) -> ProgramTensor:
        place, type_, index, *memory, left, right, padding, windowed, form, zero, phase, zero_too = record
        _require(windowed <= 1 and form == 0 and not zero and not zero_too, "a tensor has an unknown form")
        height, width, channels, offset, depth, row_bytes, pixel_bytes = memory
        rows = (place, type_, index, height, width, channels, offset, depth, row_bytes, pixel_bytes)
        return ProgramTensor(*rows, left, right, padding, bool(windowed), phase)

    def _op(self, kind: int, rule: int, input_count: int, output: int, zero: int, *rest: int) -> ProgramOp:
        inputs, parameters, parameter_bytes, memory_offset, memory_bytes, zero_too = rest
        _require(not zero and not zero_too, "reserved fields of an op are not 0")
        numbers = np.frombuffer(self._slice(inputs, 2 * input_count, "inputs of an op"), "<u2").tolist()
        own = self._slice(parameters, parameter_bytes, "parameters of an op")
        return ProgramOp(kind, rule, tuple(numbers), output, own, memory_offset, memory_bytes)

    def _pass(self, steps: list[int], first_op: int, ops: int, first: int, count: int, windows: int) -> ProgramPass:
        _require(first + count <= len(steps), f"a pass has steps {first} to {first + count} of {len(steps)}")
        columns = None
        if windows:
            pairs = np.frombuffer(self._slice(windows, 4 * ops, "windows of a pass"), "<u2").reshape(-1, 2)
            columns = tuple((int(a), int(b)) for a, b in pairs)
        return ProgramPass(first_op, ops, tuple(steps[first : first + count]), columns)


def _pack_tensor(tensor: ProgramTensor) -> bytes:
    shape = (tensor.height, tensor.width, tensor.channels)
    memory = (tensor.offset, tensor.depth, tensor.row_bytes, tensor.pixel_bytes, tensor.left, tensor.right)
    head = (tensor.place, tensor.type, tensor.index, *shape, *memory)
    return _TENSOR.pack(*head, tensor.padding, int(tensor.windowed), 0, 0, tensor.phase, 0)


def _check(program: Program) -> None:
    _require(
        program.scratch_bytes % SCRATCH_ALIGNMENT == 0 and program.scratch_bytes <= _MAX_BYTES,
        f"{program.scratch_bytes} bytes of scratch memory, expected a multiple of {SCRATCH_ALIGNMENT} below 2 GB",
    )
    _require(bool(program.ops) and bool(program.passes), "it has no ops or no passes")
    widths = _window_widths(program)
    for index, tensor in enumerate(program.tensors):
        if tensor.place == SCRATCH:
            _check_scratch_tensor(program, index, tensor, widths.get(index, tensor.width))
        else:
            _check_dense_tensor(index, tensor)
    for place, count, name in ((INPUT, program.inputs, "input"), (OUTPUT, program.outputs, "output")):
        found = sorted(tensor.index for tensor in program.tensors if tensor.place == place)
        _require(found == list(range(count)), f"its tensors stand for {name}s {found}, expected 0 to {count - 1}")
    _check_ops(program)
    _check_passes(program)


def _window_widths(program: Program) -> dict[int, int]:
    """The columns of windowed tensors in their widest window."""
    widths: dict[int, int] = {}
    for part in program.passes:
        for number, (first, end) in enumerate(part.windows or ()):
            op = part.first_op + number
            output = program.ops[op].output if op < len(program.ops) else len(program.tensors)
            if output < len(program.tensors) and program.tensors[output].windowed:
                widths[output] = max(widths.get(output, 1), end - first)
    return widths


def _check_shape(where: str, tensor: ProgramTensor) -> int:
    """Checks shape and type; returns bytes of an element."""
    sides = (tensor.height, tensor.width, tensor.channels)
    _require(all(1 <= side <= _MAX_SIDE for side in sides), f"{where} is {sides}, expected 1 to {_MAX_SIDE}")
    _require(tensor.place <= OUTPUT, f"{where} has the unknown place {tensor.place}")
    _require(tensor.type in ELEMENT_BYTES, f"{where} has the unknown type {tensor.type}")
    return ELEMENT_BYTES[tensor.type]


def _check_dense_tensor(index: int, tensor: ProgramTensor) -> None:
    where = f"tensor {index}"
    pixel = tensor.channels * _check_shape(where, tensor)
    dense = (tensor.pixel_bytes, tensor.row_bytes, tensor.depth) == (pixel, tensor.width * pixel, tensor.height)
    plain = not (tensor.offset or tensor.left or tensor.right or tensor.windowed or tensor.phase)
    _require(dense and plain, f"{where} is an input or output and not dense")
    _require(tensor.memory_bytes <= _MAX_BYTES, f"{where} has {tensor.memory_bytes} bytes, expected below 2 GB")


def _check_scratch_tensor(program: Program, index: int, tensor: ProgramTensor, width: int) -> None:
    where = f"tensor {index}"
    element = _check_shape(where, tensor)
    columns = tensor.left + width + tensor.right
    _require(tensor.index == 0, f"{where} lies in scratch memory and stands for number {tensor.index}")
    _require(
        tensor.pixel_bytes >= tensor.channels * element and tensor.pixel_bytes % element == 0,
        f"{where} has {tensor.pixel_bytes} bytes a pixel for {tensor.channels} channels of {element}",
    )
    _require(
        tensor.row_bytes >= columns * tensor.pixel_bytes and tensor.row_bytes % ROW_ALIGNMENT == 0,
        f"{where} has {tensor.row_bytes} bytes a row for {columns} pixels of {tensor.pixel_bytes}",
    )
    _require(tensor.depth >= 1 and tensor.phase < tensor.depth, f"{where} has phase {tensor.phase} of {tensor.depth}")
    _require(
        tensor.offset % ROW_ALIGNMENT == 0 and tensor.offset + tensor.memory_bytes <= program.scratch_bytes,
        f"{where} takes bytes {tensor.offset} to {tensor.offset + tensor.memory_bytes} of {program.scratch_bytes}",
    )


def _check_ops(program: Program) -> None:
    count = len(program.tensors)
    written = {index for index, tensor in enumerate(program.tensors) if tensor.place == INPUT}
    for number, op in enumerate(program.ops):
        where = f"op {number}"
        _require(
            all(i < count for i in (*op.inputs, op.output)), f"{where} names a tensor beyond the {count} there are"
        )
        for index in op.inputs:
            _require(index in written, f"{where} reads tensor {index} before it is written")
            _require(program.tensors[index].place != OUTPUT, f"{where} reads an output of the region")
        _require(op.output not in written, f"{where} writes tensor {op.output}, which is written or an input already")
        written.add(op.output)
        _require(
            op.memory_offset % ROW_ALIGNMENT == 0 and op.memory_offset + op.memory_bytes <= program.scratch_bytes,
            f"{where} has its own memory at {op.memory_offset} to {op.memory_offset + op.memory_bytes} of "
            f"{program.scratch_bytes}",
        )
    missing = set(range(count)) - written
    _require(not missing, f"nothing writes tensor {min(missing, default=0)}")


def _check_passes(program: Program) -> None:
    reached = 0  # ops that passes so far have run
    for number, part in enumerate(program.passes):
        where = f"pass {number}"
        end = part.first_op + part.op_count
        _require(
            part.op_count >= 1 and part.first_op <= reached and reached <= end <= len(program.ops),
            f"{where} runs ops {part.first_op} to {end} of {len(program.ops)} where {reached} are run",
        )
        reached = end
        _require(
            all(part.first_op <= op < end for op in part.steps),
            f"{where} has a step of an op that is not among its own",
        )
        for op, (first, last) in zip(range(part.first_op, end), part.windows or (), strict=False):
            width = program.tensors[program.ops[op].output].width
            _require(first < last <= width, f"{where} computes columns {first} to {last} of {width} of op {op}")
    _require(reached == len(program.ops), f"its passes run {reached} of {len(program.ops)} ops")


def _require(condition: bool, problem: str) -> None:
    if not condition:
        raise ModelFormatError(f"region program: {problem}")
