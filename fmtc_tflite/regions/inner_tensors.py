"""Which tensors of the original lie inside a model's regions."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np

from fmtc_tflite.graph.model import Model, Tensor
from fmtc_tflite.graph.region_ops import InnerTensor, program_bytes, region_ops
from fmtc_tflite.regions.candidates import is_reshape
from fmtc_tflite.regions.program import Program
from fmtc_tflite.regions.restoration import OriginalOps


def computed_values(program: Program, number: int) -> np.ndarray:
    """Which values of its output an op of a program computes: in strips, not the columns that nobody needs.

    Returns:
      bool [height, width, channels].
    """
    tensor = program.tensors[program.ops[number].output]
    columns = np.zeros(tensor.width, bool)
    for part in program.passes:
        if part.first_op <= number < part.first_op + part.op_count:
            first, end = (0, tensor.width) if part.windows is None else part.windows[number - part.first_op]
            columns[first:end] = True
    return np.broadcast_to(columns[None, :, None], (tensor.height, tensor.width, tensor.channels))


def inner_tensors(converted: Model, original: OriginalOps) -> dict[str, InnerTensor]:
    """What regions compute, by the names that it has in the original; names that several tensors have are left out.

    Args:
      original: of the same model.
    """
    graph = original.model.subgraphs[0]
    found: dict[Tensor | None, InnerTensor] = {}
    for region, results in zip(region_ops(converted), original.results, strict=True):
        program = Program.from_bytes(program_bytes(region))
        for number, (record, tensor) in enumerate(zip(program.ops, results, strict=True)):
            if tensor is not None:
                found[tensor] = InnerTensor(tensor, region, record.output, computed_values(program, number))
    for op in graph.ops:
        if is_reshape(op) and op.inputs[0] in found and op.outputs[0] is not None:
            source = found[op.inputs[0]]
            found.setdefault(op.outputs[0], replace(source, tensor=op.outputs[0]))
    counts = Counter(tensor.name for op in graph.ops for tensor in op.outputs if tensor is not None)
    return {inner.tensor.name: inner for inner in found.values() if counts[inner.tensor.name] == 1}
