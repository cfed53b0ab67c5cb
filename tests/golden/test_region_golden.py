"""Both executors give the committed outputs to the byte (tools/make_region_vectors.py has the layout)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from fmtc_tflite.regions.program import Program
from fmtc_tflite.regions.reference.machine import run_program
from fmtc_tflite.runtime.region import RegionProgram

CONTENT = (Path(__file__).parent / "region_vectors.bin").read_bytes()
# Of REGION.md section 5, by the number of the kind.
RULES = {kind: {1} for kind in range(1, 18)} | {
    1: {1, 2, 3, 4, 5},
    2: {1, 2, 3, 4, 5, 6},
    3: {1, 2, 3, 4, 5},
    5: {1, 2, 3, 4},
    6: {1, 2, 3, 4, 5, 6},
    7: {1, 2, 3, 6, 7, 8},
    14: {1, 2, 3, 4},
    17: {1, 2},
    18: {1, 3, 5},
    19: {1, 2},
    20: {1},
    23: {1, 2, 3, 4, 5, 6},
    24: {1},
    25: {1},
    26: {1},
    30: {1, 2},
    31: {1, 2, 3, 4, 5, 6, 7},
    32: {1, 2, 3},
    33: {1},
    34: {1, 2},
    35: {1},
    36: {1},
    37: {1},
}


@dataclass(frozen=True)
class Vector:
    """One case of the file."""

    program: bytes
    batch: int
    inputs: list[bytes]
    outputs: list[bytes]

    def arrays(self, program: RegionProgram) -> list[np.ndarray]:
        """The inputs as arrays."""
        return [
            np.frombuffer(data, tensor.dtype).reshape(self.batch, *tensor.shape)
            for data, tensor in zip(self.inputs, program.inputs, strict=True)
        ]


def vectors() -> Iterator[Vector]:
    magic, count = struct.unpack_from("<4sI", CONTENT)
    assert magic == b"FMRV"
    position = 8
    for _ in range(count):
        batch, inputs, outputs = struct.unpack_from("<3I", CONTENT, position)
        position += 12
        blobs = []
        for _ in range(1 + inputs + outputs):
            (length,) = struct.unpack_from("<I", CONTENT, position)
            blobs.append(CONTENT[position + 4 : position + 4 + length])
            position += 4 + length
        yield Vector(blobs[0], batch, blobs[1 : 1 + inputs], blobs[1 + inputs :])
    assert position == len(CONTENT)


every_vector = pytest.mark.parametrize("vector", list(vectors()))


@every_vector
def test_native(vector: Vector) -> None:
    with RegionProgram(vector.program) as program:
        assert [y.tobytes() for y in program.run(vector.arrays(program))] == vector.outputs


@every_vector
def test_reference(vector: Vector) -> None:
    with RegionProgram(vector.program) as program:
        inputs = vector.arrays(program)
    assert [y.tobytes() for y in run_program(vector.program, inputs)] == vector.outputs


def test_every_rule_of_every_kind_occurs() -> None:
    occurring: dict[int, set[int]] = {}
    for vector in vectors():
        for op in Program.from_bytes(vector.program).ops:
            occurring.setdefault(op.kind, set()).add(op.rule)
    assert occurring == RULES


def test_strips_and_windowed_tensors_occur() -> None:
    programs = [Program.from_bytes(vector.program) for vector in vectors()]
    assert any(len(program.passes) > 1 for program in programs)
    assert any(tensor.windowed for program in programs for tensor in program.tensors)
