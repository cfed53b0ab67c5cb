"""The traffic of a model with regions, if only what is stored crosses memory: rings stay beside the arithmetic.

Everything is counted over the original's ops. A tensor that a region stores (its inputs, outputs and cuts) is written
once and read whole once by each op that reads it, as elsewhere. What lies in rings moves as well, but on chip: it is
counted apart, and costs what the memory system says of the level that rings are on.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from fmtc_tflite.graph.model import Op, Subgraph, Tensor
from fmtc_tflite.memory.arena import aliases, tensor_bytes
from fmtc_tflite.memory.traffic import Access, Kind, OpTraffic, Traffic, finished, operands, root


def fused_regions(
    subgraph: Subgraph, order: Sequence[Op], rings: Collection[Tensor], gone: Iterable[Op], ring_bytes: Sequence[int]
) -> Traffic:
    """What crosses memory, and what stays in rings.

    Args:
      subgraph: the original's.
      order: its ops, as they run.
      rings: its tensors that are never stored whole.
      gone: RESHAPEs that are only other names of what they read.
      ring_bytes: memory that rings take while each op of `order` runs.
    """
    left = list(gone)
    alias = aliases(subgraph) | {op.outputs[0]: op.inputs[0] for op in left if op.inputs[0] and op.outputs[0]}
    inside = {root(tensor, alias) for tensor in rings}
    ops = []
    for position, op in enumerate(order):
        traffic = OpTraffic(op, position)
        ops.append(traffic)
        if op.outputs and op.outputs[0] in alias:
            continue
        for operand, is_write in operands(op):
            tensor = root(operand, alias)
            kind: Kind = "weights" if tensor.data is not None else "ring" if tensor in inside else "feature_map"
            traffic.accesses.append(Access(tensor, kind, is_write, tensor_bytes(tensor)))
    return finished("fused_regions", subgraph, ops, {}, alias, ring_bytes)
