"""Inside a model's regions: time and bytes of each op from a traced run of the native executor."""

from __future__ import annotations

from typing import Any

import numpy as np

from fmtc_tflite.data.opening import input_specs_from_model
from fmtc_tflite.data.synthetic import SyntheticDataset
from fmtc_tflite.graph.model import Model, Op, Tensor
from fmtc_tflite.graph.model_file import ModelFile
from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.graph.region_ops import kernel_set_of, program_bytes, region_ops
from fmtc_tflite.inference.model_runner import ModelRunner
from fmtc_tflite.regions.program import Program, stored_bytes
from fmtc_tflite.regions.restoration import region_op_names
from fmtc_tflite.runtime.region import RegionProgram

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
    names, inputs = region_op_names(model), _inputs(model, ops)
    found = []
    for op, own_names, arrays in zip(ops, names, inputs, strict=True):
        program = Program.from_bytes(program_bytes(op))
        with RegionProgram(program.content) as executor:
            traces = [executor.trace(arrays) for _ in range(_RUNS)]
        times = np.min([trace.nanoseconds for trace in traces], axis=0)
        found.append(
            {
                "scratch_bytes": program.scratch_bytes,
                "stored_bytes": stored_bytes(program),
                "ops": [
                    {"op": opcode, "tensor": tensor, "nanoseconds": int(time), "written_bytes": int(written)}
                    for (opcode, tensor), time, written in zip(own_names, times, traces[0].bytes_written, strict=True)
                ],
            }
        )
    return found


def _inputs(model: Model, ops: list[Op]) -> list[list[np.ndarray]]:
    """What each region reads when the model runs on a synthetic input."""
    graph = model.subgraphs[0]
    sources: list[list[Tensor]] = [[t for t in op.inputs[:-1] if t is not None] for op in ops]
    known = {*graph.inputs, *graph.outputs}
    wanted = dict.fromkeys(tensor for own in sources for tensor in own if tensor not in known)
    graph.outputs = [*graph.outputs, *wanted]
    (sample,) = SyntheticDataset(input_specs_from_model(model), 1)
    runner = ModelRunner(ModelFile.of(model), kernels=kernel_set_of(model))
    runner.run(sample)
    return [[runner.read(tensor) for tensor in own] for own in sources]
