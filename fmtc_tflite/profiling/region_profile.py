"""Inside a model's regions: time and bytes of each op from a traced run of the native executor."""

from __future__ import annotations

from typing import Any

import numpy as np

from fmtc_tflite.data.opening import input_specs_from_model
from fmtc_tflite.data.synthetic import SyntheticDataset
from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.graph.region_ops import program_bytes, region_ops
from fmtc_tflite.inference.region_inputs import region_inputs
from fmtc_tflite.regions.program import Program, stored_tensors
from fmtc_tflite.regions.restoration import region_op_names
from fmtc_tflite.runtime.region import RegionProgram, RegionTrace

_RUNS = 5


def profile_regions(content: bytes) -> list[dict[str, Any]]:
    """Each region of a model: its memory, and its ops in the order of the program.

    Returns:
      In the form of profile_schema.json; nanoseconds are the least of several runs on one synthetic input.

    Raises:
      FmtcError: a damaged program, no runtime or native library, or a model that the runtime refuses.
    """
    model = load_model(content)
    ops = region_ops(model)
    if not ops:
        return []
    programs = [Program.from_bytes(program_bytes(op)) for op in ops]
    names, samples = region_op_names(model), SyntheticDataset(input_specs_from_model(model), 1)
    (inputs,) = region_inputs(model, ops, samples)
    found = []
    for program, own_names, arrays in zip(programs, names, inputs, strict=True):
        with RegionProgram(program.content) as executor:
            traces = [executor.trace(arrays) for _ in range(_RUNS)]
        times = np.min([trace.nanoseconds for trace in traces], axis=0)
        found.append(
            {
                "scratch_bytes": program.scratch_bytes,
                "stored_bytes": _stored_bytes(program, traces[0]),
                "ops": [
                    {"op": opcode, "tensor": tensor, "nanoseconds": int(time), "written_bytes": int(written)}
                    for (opcode, tensor), time, written in zip(own_names, times, traces[0].bytes_written, strict=True)
                ],
            }
        )
    return found


def _stored_bytes(program: Program, trace: RegionTrace) -> int:
    """What an item's run writes to cuts and outputs; of coded ones, their segments."""
    stored = stored_tensors(program)
    return sum(int(trace.bytes_written[number]) for number, op in enumerate(program.ops) if op.output in stored)
