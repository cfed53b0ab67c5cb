"""Makes tests/golden/region_vectors.bin: programs of regions, inputs, and the outputs that every executor must give.

The outputs are those of the numpy reference; the file is committed, so that no change of results can pass unnoticed.
Its programs stay as they are; --programs adds others: of what custom_ops/tests/write_programs.cc writes, the smallest
that have a rule of a kind which none has yet.

Layout, little-endian: magic `FMRV`, u32 count, then for each case: u32 batch, u32 number of inputs, u32 number of
outputs, and blobs, each a u32 length and bytes: the program, the inputs, the outputs.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from absl import flags

from fmtc_tflite.cli import common
from fmtc_tflite.coding.side_info import SideInformation
from fmtc_tflite.errors import UsageError, VerificationError
from fmtc_tflite.files import write_all
from fmtc_tflite.regions.coders import ENCODE
from fmtc_tflite.regions.program import INPUT, Program
from fmtc_tflite.regions.reference.machine import run_program

_OUTPUT = flags.DEFINE_string("output", "tests/golden/region_vectors.bin", "File to write.", short_name="o")
_PROGRAMS = flags.DEFINE_string("programs", None, "Add programs from this file.")
_CHECK = flags.DEFINE_bool("check", False, "Write nothing; fail if the file is not what would be written.")

_MAGIC = b"FMRV"
_BATCH = 2
_FLOAT32 = 1
_INTEGERS = {2: np.int32, 3: np.uint8, 4: np.int64, 9: np.int8}


def _blobs(content: bytes, position: int) -> Iterator[bytes]:
    while position < len(content):
        (length,) = struct.unpack_from("<I", content, position)
        yield content[position + 4 : position + 4 + length]
        position += 4 + length


def _old_programs(content: bytes) -> list[bytes]:
    """Of a file that this program has written."""
    programs, position = [], 8
    for _ in range(struct.unpack_from("<I", content, 4)[0]):
        _, inputs, outputs = struct.unpack_from("<3I", content, position)
        blobs = _blobs(content, position + 12)
        case = [next(blobs) for _ in range(1 + inputs + outputs)]
        programs.append(case[0])
        position += 12 + sum(4 + len(blob) for blob in case)
    return programs


def _forms(program: Program) -> Iterator[tuple[int, ...]]:
    """Of ops with a second operand: the kind, and in which directions that one serves many values.

    Of those that encode: whether there are several segments, of several rows, by groups of columns, and a predictor;
    whether something is lost, with a predictor or without, of pixels one behind another or apart; and contexts,
    with several segments, groups of columns and a predictor.
    """
    yield from ((0, tensor.pitch) for tensor in program.tensors if tensor.pitch > 1)
    for op in program.ops:
        if op.kind == ENCODE:
            map_, coded = program.tensors[op.inputs[0]], program.tensors[op.output]
            offset, size = struct.unpack_from("<II", op.parameters)
            info = SideInformation.from_bytes(program.content[offset : offset + size])
            several_rows = map_.height > coded.height
            predicts = bool(info.predictor.any())
            yield op.kind, coded.height > 1, several_rows, coded.width > 1, predicts
            yield op.kind, info.is_lossy, predicts, map_.pixel_bytes > map_.channels
            if info.contexts is not None:
                yield op.kind, info.version, coded.height > 1, several_rows, coded.width > 1, predicts
        if len(op.inputs) > 1:
            second, output = program.tensors[op.inputs[1]], program.tensors[op.output]
            yield op.kind, second.height < output.height, second.width < output.width, second.channels < output.channels


def _rules(content: bytes) -> set[tuple[int, ...]]:
    program = Program.from_bytes(content)
    return {(op.kind, op.rule) for op in program.ops} | set(_forms(program))


def _covering(old: Iterable[bytes], new: Iterable[bytes]) -> list[bytes]:
    """Of new programs the smallest ones that have a rule of a kind, or a form, that no old one and none before has."""
    known = set[tuple[int, ...]]().union(*map(_rules, old))
    chosen = []
    for content in sorted(new, key=len):
        if (rules := _rules(content)) - known:
            known |= rules
            chosen.append(content)
    return chosen


def _inputs(program: Program, seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    arrays = []
    for tensor in sorted((t for t in program.tensors if t.place == INPUT), key=lambda t: t.index):
        shape = (_BATCH, tensor.height, tensor.width, tensor.channels)
        if tensor.type == _FLOAT32:
            arrays.append((rng.integers(-1000, 1000, shape) / 64).astype(np.float32))
        else:
            dtype = np.dtype(_INTEGERS[tensor.type])
            arrays.append(rng.integers(0, 256, (*shape, dtype.itemsize), np.uint8).view(dtype)[..., 0])
    return arrays


def _blob(data: bytes) -> bytes:
    return struct.pack("<I", len(data)) + data


def _case(content: bytes, seed: int) -> bytes:
    inputs = _inputs(Program.from_bytes(content), seed)
    outputs = run_program(content, inputs)
    blobs = [content, *(array.tobytes() for array in (*inputs, *outputs))]
    return struct.pack("<3I", _BATCH, len(inputs), len(outputs)) + b"".join(map(_blob, blobs))


def main(arguments: list[str]) -> None:
    """Runs the tool; it takes no positional arguments."""
    if arguments:
        raise UsageError(f"unexpected arguments: {' '.join(arguments)}; see --help")
    path = Path(_OUTPUT.value)
    programs = _old_programs(path.read_bytes())
    if _PROGRAMS.value is not None:
        programs += _covering(programs, _blobs(Path(_PROGRAMS.value).read_bytes(), 0))
    made = [_case(program, seed) for seed, program in enumerate(programs)]
    content = _MAGIC + struct.pack("<I", len(made)) + b"".join(made)
    if not _CHECK.value:
        write_all([(path, content)], overwrite=True)
    elif path.read_bytes() != content:
        raise VerificationError(f"{path} is not what this program makes: results of the reference changed")


if __name__ == "__main__":
    common.run(main, sys.modules[__name__])
