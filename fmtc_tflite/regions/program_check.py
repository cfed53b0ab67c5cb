"""What the records of a region program must satisfy, whatever the kinds are (custom_ops/REGION.md, section 3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fmtc_tflite.regions.program_format import (
    ELEMENT_BYTES,
    INPUT,
    MAX_BYTES,
    OUTPUT,
    ROW_ALIGNMENT,
    SCRATCH,
    SCRATCH_ALIGNMENT,
    require,
)

if TYPE_CHECKING:
    from fmtc_tflite.regions.program import Program, ProgramTensor


def check_program(program: Program) -> None:
    """Raises ModelFormatError where records contradict one another or lead out of memory."""
    require(
        program.scratch_bytes % SCRATCH_ALIGNMENT == 0 and program.scratch_bytes <= MAX_BYTES,
        f"{program.scratch_bytes} bytes of scratch memory, expected a multiple of {SCRATCH_ALIGNMENT} below 2 GB",
    )
    require(bool(program.ops) and bool(program.passes), "it has no ops or no passes")
    columns = _columns_in_rows(program)
    for index, tensor in enumerate(program.tensors):
        if tensor.place == SCRATCH:
            _check_scratch_tensor(program, index, tensor, columns[index])
        else:
            _check_dense_tensor(index, tensor)
    for place, count, name in ((INPUT, program.inputs, "input"), (OUTPUT, program.outputs, "output")):
        found = sorted(tensor.index for tensor in program.tensors if tensor.place == place)
        require(found == list(range(count)), f"its tensors stand for {name}s {found}, expected 0 to {count - 1}")
    _check_ops(program)
    _check_passes(program)


def _columns_in_rows(program: Program) -> list[int]:
    """Columns that a row of each tensor holds at most, with padding."""
    columns = [1 if t.windowed else t.columns_in_row((0, t.width)) for t in program.tensors]
    for part in program.passes:
        for number in range(part.op_count):
            op = part.first_op + number
            output = program.ops[op].output if op < len(program.ops) else len(columns)
            if output < len(columns):
                tensor = program.tensors[output]
                window = part.windows[number] if part.windows else (0, tensor.width)
                columns[output] = max(columns[output], tensor.columns_in_row(window))
    return columns


def _check_shape(where: str, tensor: ProgramTensor) -> int:
    """Checks shape and type; returns bytes of an element."""
    sides = (tensor.height, tensor.width, tensor.channels)
    require(all(1 <= side <= MAX_BYTES for side in sides), f"{where} is {sides}, expected 1 to {MAX_BYTES}")
    require(tensor.place <= OUTPUT, f"{where} has the unknown place {tensor.place}")
    require(tensor.type in ELEMENT_BYTES, f"{where} has the unknown type {tensor.type}")
    return ELEMENT_BYTES[tensor.type]


def _check_dense_tensor(index: int, tensor: ProgramTensor) -> None:
    where = f"tensor {index}"
    pixel = tensor.channels * _check_shape(where, tensor)
    dense = (tensor.pixel_bytes, tensor.row_bytes, tensor.depth) == (pixel, tensor.width * pixel, tensor.height)
    plain = not (tensor.offset or tensor.left or tensor.right or tensor.windowed or tensor.phase or tensor.pitch > 1)
    require(dense and plain, f"{where} is an input or output and not dense")
    require(tensor.memory_bytes <= MAX_BYTES, f"{where} has {tensor.memory_bytes} bytes, expected below 2 GB")


def _check_scratch_tensor(program: Program, index: int, tensor: ProgramTensor, columns: int) -> None:
    where = f"tensor {index}"
    element = _check_shape(where, tensor)
    require(tensor.index == 0, f"{where} lies in scratch memory and stands for number {tensor.index}")
    padded = bool(tensor.left or tensor.right or tensor.padding)
    require(element == 1 or not padded, f"{where} has padding and elements of {element} bytes")
    require(
        tensor.pixel_bytes >= tensor.channels * element and tensor.pixel_bytes % element == 0,
        f"{where} has {tensor.pixel_bytes} bytes a pixel for {tensor.channels} channels of {element}",
    )
    require(
        tensor.row_bytes >= columns * tensor.pixel_bytes and tensor.row_bytes % ROW_ALIGNMENT == 0,
        f"{where} has {tensor.row_bytes} bytes a row for {columns} pixels of {tensor.pixel_bytes}",
    )
    require(
        tensor.phase < tensor.depth and tensor.pitch <= tensor.depth,
        f"{where} has phase {tensor.phase} and pitch {tensor.pitch} in {tensor.depth} rows",
    )
    require(
        tensor.offset % ROW_ALIGNMENT == 0 and tensor.offset + tensor.memory_bytes <= program.scratch_bytes,
        f"{where} takes bytes {tensor.offset} to {tensor.offset + tensor.memory_bytes} of {program.scratch_bytes}",
    )


def _check_ops(program: Program) -> None:
    count = len(program.tensors)
    written = {index for index, tensor in enumerate(program.tensors) if tensor.place == INPUT}
    for number, op in enumerate(program.ops):
        where = f"op {number}"
        require(all(i < count for i in (*op.inputs, op.output)), f"{where} names a tensor beyond the {count} there are")
        for index in op.inputs:
            require(index in written, f"{where} reads tensor {index} before it is written")
            require(program.tensors[index].place != OUTPUT, f"{where} reads an output of the region")
        require(op.output not in written, f"{where} writes tensor {op.output}, which is written or an input already")
        written.add(op.output)
        require(
            op.memory_offset % ROW_ALIGNMENT == 0 and op.memory_offset + op.memory_bytes <= program.scratch_bytes,
            f"{where} has its own memory at {op.memory_offset} to {op.memory_offset + op.memory_bytes} of "
            f"{program.scratch_bytes}",
        )
    missing = set(range(count)) - written
    require(not missing, f"nothing writes tensor {min(missing, default=0)}")


def _check_passes(program: Program) -> None:
    reached = 0  # ops that passes so far have run
    for number, part in enumerate(program.passes):
        where = f"pass {number}"
        end = part.first_op + part.op_count
        require(
            part.op_count >= 1 and part.first_op <= reached and reached <= end <= len(program.ops),
            f"{where} runs ops {part.first_op} to {end} of {len(program.ops)} where {reached} are run",
        )
        reached = end
        require(
            all(part.first_op <= op < end for op in part.steps),
            f"{where} has a step of an op that is not among its own",
        )
        for op, (first, last) in zip(range(part.first_op, end), part.windows or (), strict=False):
            width = program.tensors[program.ops[op].output].width
            require(first < last <= width, f"{where} computes columns {first} to {last} of {width} of op {op}")
    require(reached == len(program.ops), f"its passes run {reached} of {len(program.ops)} ops")
