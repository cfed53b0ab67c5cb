"""The program's container: bytes and back, and what a damaged or senseless one is told."""

from __future__ import annotations

import contextlib
import dataclasses
import struct
from collections.abc import Callable

import pytest

from fmtc_tflite.coding.crc32c import crc32c
from fmtc_tflite.errors import ModelFormatError
from fmtc_tflite.regions.program import Program, ProgramOp, ProgramPass, ProgramTensor, ProgramWriter
from region_programs import Rows, convolution, copies


def repaired(content: bytes) -> bytes:
    """With a checksum that fits."""
    return content[:12] + struct.pack("<I", crc32c(content[:12], bytes(4), content[16:])) + content[16:]


@pytest.mark.parametrize("example", [copies, convolution])
def test_round_trip(example: Callable[[], tuple[Program, list[Rows]]]) -> None:
    program, needs = example()
    assert Program.from_bytes(program.content) == program
    assert len(program.content) % 16 == 0
    program.check_schedule(needs)


def test_every_damaged_byte_is_noticed() -> None:
    content = convolution()[0].content
    for position in range(len(content)):
        damaged = bytearray(content)
        damaged[position] ^= 1
        with pytest.raises(ModelFormatError):
            Program.from_bytes(bytes(damaged))
    for size in range(0, len(content), 7):
        with pytest.raises(ModelFormatError):
            Program.from_bytes(content[:size])


def test_hostile_bytes_raise_nothing_else() -> None:
    content = convolution()[0].content
    for position in range(len(content)):
        for value in (0, 1, 127, 255):
            damaged = bytearray(content)
            damaged[position] = value
            with contextlib.suppress(ModelFormatError):
                Program.from_bytes(repaired(bytes(damaged)))


def rebuilt(change: Callable[[dict[str, list]], None], scratch_bytes: int = 64) -> Program:
    program, _ = copies()
    parts: dict[str, list] = {n: list(getattr(program, n)) for n in ("tensors", "ops", "passes")}
    change(parts)
    return ProgramWriter().finish(kernel_set=0, scratch_bytes=scratch_bytes, **parts)  # type: ignore[arg-type]


def tensor(which: int, /, **changes: int) -> Callable[[dict[str, list[ProgramTensor]]], None]:
    def change(parts: dict[str, list[ProgramTensor]]) -> None:
        parts["tensors"][which] = dataclasses.replace(parts["tensors"][which], **changes)  # type: ignore[arg-type]

    return change


def op(which: int, /, **changes: object) -> Callable[[dict[str, list[ProgramOp]]], None]:
    def change(parts: dict[str, list[ProgramOp]]) -> None:
        parts["ops"][which] = dataclasses.replace(parts["ops"][which], **changes)  # type: ignore[arg-type]

    return change


def passes(*wanted: ProgramPass) -> Callable[[dict[str, list]], None]:
    return lambda parts: parts["passes"].__setitem__(slice(None), wanted)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (tensor(1, offset=48, depth=2), "takes bytes 48 to 80 of 64"),
        (tensor(1, offset=8), "takes bytes 8"),
        (tensor(1, row_bytes=24), "bytes a row"),
        (tensor(1, pixel_bytes=2), "2 bytes a pixel for 3 channels"),
        (tensor(1, left=2), "16 bytes a row for 5 pixels"),
        (tensor(1, phase=1), "phase 1 and pitch 1 in 1 rows"),
        (tensor(1, pitch=2), "phase 0 and pitch 2 in 1 rows"),
        (tensor(1, depth=0), "phase 0 and pitch 1 in 0 rows"),
        (tensor(1, height=0), "expected 1 to 2147483647"),
        (tensor(1, type=7), "unknown type 7"),
        (tensor(1, index=1), "stands for number 1"),
        (tensor(0, left=1), "not dense"),
        (tensor(0, depth=4), "not dense"),
        (tensor(0, pitch=2), "not dense"),
        (tensor(2, index=1), r"outputs \[1\]"),
        (op(0, output=7), "beyond the 3"),
        (op(0, inputs=(1,)), "reads tensor 1 before it is written"),
        (op(1, output=1), "written or an input already"),
        (op(1, output=0), "written or an input already"),
        (op(1, memory_offset=64, memory_bytes=1), "own memory at 64 to 65 of 64"),
        (op(1, memory_offset=4), "own memory"),
        (passes(), "no passes"),
        (passes(ProgramPass(0, 1, (0,) * 5)), "run 1 of 2 ops"),
        (passes(ProgramPass(1, 1, (1,) * 5)), "where 0 are run"),
        (passes(ProgramPass(0, 3, (0, 1) * 5)), "of 2 where 0"),
        (passes(ProgramPass(0, 1, (1,)), ProgramPass(1, 1, (1,))), "not among its own"),
        (passes(ProgramPass(0, 2, (0, 1) * 5, ((0, 3), (2, 4)))), "columns 2 to 4 of 3"),
    ],
)
def test_senseless_records(change: Callable[[dict[str, list]], None], told: str) -> None:
    with pytest.raises(ModelFormatError, match=told):
        rebuilt(change)


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        ((1, 0) * 5, "op 1 reads rows 0 to 0 of tensor 1 in its step 0"),  # not written yet
        ((0, 0, 1, 1) + (0, 1) * 3, "holds 1 of 2 written ones"),  # overwritten
        ((0, 1) * 4, "4 of 5 steps"),
        ((0, 1) * 6, "more than its 5 steps"),
    ],
)
def test_impossible_schedules(steps: tuple[int, ...], told: str) -> None:
    program = rebuilt(passes(ProgramPass(0, 2, steps)))
    with pytest.raises(ModelFormatError, match=told):
        program.check_schedule(copies()[1])


def test_a_later_pass_reads_a_cut_from_its_first_row() -> None:
    def change(parts: dict[str, list]) -> None:
        tensor(1, depth=7, phase=3)(parts)
        passes(ProgramPass(0, 1, (0,) * 5), ProgramPass(1, 1, (1,) * 5))(parts)

    program = rebuilt(change, scratch_bytes=128)
    program.check_schedule(copies()[1])
    assert [program.tensors[1].row_offset(y) for y in range(5)] == [48, 64, 80, 96, 0]
