"""Makes vectors of whole networks, for the executor for microcontrollers (custom_ops/bare_metal/region_golden_test.cc).

    python tools/make_network_vectors.py --output F MODEL.tflite...

Each network is one program, as fmtc-convert --emit_c has it, with random inputs and the outputs that this machine's
executor gives. The layout is that of tools/make_region_vectors.py.
"""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import numpy as np
from absl import flags

from fmtc_tflite.cli import common
from fmtc_tflite.conversion.emit_c import bare_program
from fmtc_tflite.errors import UsageError
from fmtc_tflite.files import write_all
from fmtc_tflite.regions.program import Program
from fmtc_tflite.regions.program_format import INPUT
from fmtc_tflite.runtime.region import RegionProgram

_OUTPUT = flags.DEFINE_string("output", None, "File to write.", required=True)
_ITEMS = flags.DEFINE_integer("items", 2, "Random inputs of each network.", lower_bound=1)

_MAGIC = b"FMRV"
_DTYPES = {1: np.float32, 2: np.int32, 3: np.uint8, 4: np.int64, 9: np.int8}


def _inputs(program: Program, rng: np.random.Generator) -> list[np.ndarray]:
    found = []
    for tensor in sorted((t for t in program.tensors if t.place == INPUT), key=lambda t: t.index):
        shape, dtype = (_ITEMS.value, tensor.height, tensor.width, tensor.channels), np.dtype(_DTYPES[tensor.type])
        values = (
            rng.standard_normal(shape) if dtype.kind == "f" else rng.integers(0, 256, shape, np.uint8).view(np.int8)
        )
        found.append(values.astype(dtype))
    return found


def _case(model: Path, rng: np.random.Generator) -> bytes:
    program = bare_program(model.read_bytes(), model.stem).program
    inputs = _inputs(program, rng)
    outputs = RegionProgram(program.content).run(inputs)
    blobs = [program.content, *(a.tobytes() for a in (*inputs, *outputs))]
    head = struct.pack("<3I", _ITEMS.value, len(inputs), len(outputs))
    return head + b"".join(struct.pack("<I", len(blob)) + blob for blob in blobs)


def main(arguments: list[str]) -> None:
    """Runs the tool on the models."""
    models = [Path(name) for name in arguments]
    if not models:
        raise UsageError("no model named")
    rng = np.random.default_rng(0)
    cases = [_case(model, rng) for model in models]
    content = _MAGIC + struct.pack("<I", len(cases)) + b"".join(cases)
    write_all([(Path(_OUTPUT.value), content)], overwrite=True)


if __name__ == "__main__":
    common.run(main, sys.modules[__name__])
