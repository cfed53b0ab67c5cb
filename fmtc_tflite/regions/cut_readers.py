"""Who reads a coded cut as it was decoded: what loss in it reaches."""

from __future__ import annotations

from collections.abc import Sequence

from fmtc_tflite.graph.graph_view import GraphView
from fmtc_tflite.graph.model import Op, Subgraph
from fmtc_tflite.regions.coded_cuts import CodedCut
from fmtc_tflite.regions.coders import Decode, Encode
from fmtc_tflite.regions.ops import RegionOp


def decoded_readers(subgraph: Subgraph, ops: Sequence[RegionOp], cut: CodedCut) -> tuple[Op, ...] | None:
    """Of the ops of the graph that read a coded cut, those that read what a DECODE makes of it.

    Ops of the stage that writes a cut read it as it was written. An op that a region computes together with others,
    such as a PAD before a convolution, reads it as these do.

    Args:
      ops: of the region, those that encode and decode included.

    Returns:
      In the graph's order; None where an op would have to read both forms, so that the graph cannot say the same.
    """
    decoded = {op.output for op in ops if isinstance(op, Decode) and op.inputs[0] is cut.coded}
    reads: dict[Op | None, set[bool]] = {}
    for op in ops:
        if not isinstance(op, Encode):
            for tensor in op.inputs:
                if tensor is cut.tensor or tensor in decoded:
                    reads.setdefault(op.source, set()).add(tensor in decoded)
    view = GraphView(subgraph)
    own = {op.source for op in ops}

    def forms(op: Op) -> set[bool]:
        """Whether it reads a decoded cut; nothing where that is not known, both where it reads both."""
        if op in reads or op in own:
            return reads.get(op, set())
        behind = [reader for tensor in op.outputs if tensor is not None for reader in view.consumer_ops(tensor)]
        each = [forms(reader) for reader in behind]
        return set().union(*each) if all(each) else set()

    found = {reader: forms(reader) for reader in view.consumer_ops(cut.tensor.source)}
    if None in reads or any(len(read) != 1 for read in found.values()):
        return None
    return tuple(reader for reader, read in found.items() if True in read)
