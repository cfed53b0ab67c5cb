"""What leaves a graph with ops that are taken out of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from fmtc_tflite.graph.model import Model, Op, Subgraph, Tensor


def drop_unused(model: Model, subgraph: Subgraph, removed: Sequence[Op], kept: Collection[Op] = ()) -> None:
    """Takes out tensors, buffers and operator codes that only the removed ops used; these are out of the subgraph.

    Args:
      kept: ops that are not in the subgraph, either, but come back some day.
    """
    boundary = [*subgraph.inputs, *subgraph.outputs]
    for signature in model.signatures:
        if signature.subgraph is subgraph:
            boundary += [tensor for _, tensor in signature.inputs + signature.outputs]
    used = {t for op in (*subgraph.ops, *kept) for t in (*op.inputs, *op.outputs, *op.intermediates)} | set(boundary)
    gone = {t for op in removed for t in (*op.inputs, *op.outputs, *op.intermediates) if t is not None} - used
    if not any(_names_tensors(tensor) for tensor in subgraph.tensors):
        subgraph.tensors = [tensor for tensor in subgraph.tensors if tensor not in gone]
    model.drop_buffers(tensor.buffer for tensor in gone)
    codes = {id(op.code) for each in model.subgraphs for op in each.ops} | {id(op.code) for op in kept}
    gone_codes = {id(op.code) for op in removed} - codes
    model.operator_codes = [code for code in model.operator_codes if id(code) not in gone_codes]


def drop_unreferenced(model: Model, subgraph: Subgraph) -> None:
    """Takes out tensors of a subgraph that no op reads or writes, with their buffers."""
    if any(_names_tensors(tensor) for tensor in subgraph.tensors):
        return
    used = {t for op in subgraph.ops for t in (*op.inputs, *op.outputs, *op.intermediates)}
    used |= {*subgraph.inputs, *subgraph.outputs}
    gone = [tensor for tensor in subgraph.tensors if tensor not in used]
    subgraph.tensors = [tensor for tensor in subgraph.tensors if tensor in used]
    model.drop_buffers(tensor.buffer for tensor in gone)


def _names_tensors(tensor: Tensor) -> bool:
    """Whether quantization details hold the numbers of other tensors, which must then stay."""
    return tensor.quantization is not None and tensor.quantization.details is not None
