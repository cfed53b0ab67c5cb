"""Which tensors of the original lie inside a model's regions."""

from __future__ import annotations

from collections import Counter

from fmtc_tflite.graph.model import Model, Tensor
from fmtc_tflite.graph.region_ops import InnerTensor, program_bytes, region_ops
from fmtc_tflite.regions.candidates import is_reshape
from fmtc_tflite.regions.program import Program
from fmtc_tflite.regions.restoration import OriginalOps


def inner_tensors(converted: Model, original: OriginalOps) -> dict[str, InnerTensor]:
    """What regions compute, by the names that it has in the original; names that several tensors have are left out.

    Args:
      original: of the same model.
    """
    graph = original.model.subgraphs[0]
    found: dict[Tensor | None, InnerTensor] = {}
    for region, numbers in zip(region_ops(converted), original.numbers, strict=True):
        program = Program.from_bytes(program_bytes(region))
        for record, tensor in zip(program.ops, original.results(numbers), strict=True):
            if tensor is not None:
                found[tensor] = InnerTensor(tensor, region, record.output)
    for op in graph.ops:
        if is_reshape(op) and op.inputs[0] in found and op.outputs[0] is not None:
            source = found[op.inputs[0]]
            found.setdefault(op.outputs[0], InnerTensor(op.outputs[0], source.region, source.number))
    counts = Counter(tensor.name for op in graph.ops for tensor in op.outputs if tensor is not None)
    return {inner.tensor.name: inner for inner in found.values() if counts[inner.tensor.name] == 1}
