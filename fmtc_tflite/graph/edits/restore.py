"""Taking the codec's ops out of a converted graph again."""

from __future__ import annotations

from fmtc_tflite.errors import UnsupportedModelError
from fmtc_tflite.graph.coded_maps import coded_maps, is_codec_op, is_converted
from fmtc_tflite.graph.model import Buffer, Model, Subgraph
from fmtc_tflite.graph.model_check import check_model
from fmtc_tflite.graph.names import DECODE, ENCODE, METADATA_NAME, REFIT_METADATA_NAME, REMOVED_METADATA_NAME
from fmtc_tflite.graph.removed_ops import Removed, removed_ops


def restore(model: Model) -> None:
    """Removes the ops of this package, with their tensors, constants and metadata, in place; what left comes back.

    Raises:
      UnsupportedModelError: the model is not converted, its transforms are folded into the weights, --refit changed
        weights, or something else uses what the ops write.
      ModelFormatError: an FMTC op without its counterpart.
    """
    if not is_converted(model):
        raise UnsupportedModelError("the model is not converted: it has no FMTC_ENCODE or FMTC_DECODE op to remove")
    if REFIT_METADATA_NAME in model.metadata:
        raise UnsupportedModelError(
            f"--refit changed weights of the model (its metadata '{REFIT_METADATA_NAME}' has which), and the file does "
            "not have the original ones; use the original model"
        )
    removed = removed_ops(model)
    constants = [buffer for subgraph in model.subgraphs for buffer in _restore_subgraph(subgraph, removed)]
    _check_uses(model)
    used = {id(op.code) for subgraph in model.subgraphs for op in subgraph.ops}
    ours = (ENCODE.encode(), DECODE.encode())
    model.operator_codes = [c for c in model.operator_codes if id(c) in used or c.customCode not in ours]
    model.drop_buffers(constants)
    for name in (METADATA_NAME, REMOVED_METADATA_NAME):
        model.metadata.pop(name, None)
    check_model(model)
    if not model.metadata_entries:
        model.raw.metadata = None  # as in a file that had none before


def _check_uses(model: Model) -> None:
    """No removed tensor is an end of a graph or signature, or another op's."""
    kept = {id(tensor) for subgraph in model.subgraphs for tensor in subgraph.tensors}
    uses = [t for s in model.signatures for _, t in s.inputs + s.outputs]
    for subgraph in model.subgraphs:
        uses += [*subgraph.inputs, *subgraph.outputs]
        uses += [t for op in subgraph.ops for t in (*op.inputs, *op.outputs, *op.intermediates) if t is not None]
    for tensor in uses:
        if id(tensor) not in kept:
            raise UnsupportedModelError(
                f"tensor '{tensor.name}', which the codec's ops write, is used by others as well; use the original "
                "model"
            )


def _restore_subgraph(subgraph: Subgraph, removed: Removed) -> list[Buffer]:
    """Removes the FMTC ops of a subgraph and returns the buffers with their side information and tables."""
    maps = coded_maps(subgraph)
    for m in maps:
        written = (*m.decoded, *m.copies)
        if written and not m.is_stored_as_it_is:
            raise UnsupportedModelError(
                f"tensor '{written[0].name}' is decoded from the coded form of '{m.source.name}': an operator is "
                "folded into the decoder and cannot be taken out again; use the original model"
            )
        unknown = [copy for copy in m.copies if copy not in removed.decoded]
        if unknown:
            raise UnsupportedModelError(
                f"tensor '{unknown[0].name}' is decoded in the place of an op that has left the graph, and the model "
                f"has no metadata '{REMOVED_METADATA_NAME}' from which it comes back; use the original model"
            )
    originals = dict(removed.decoded) | {decoded: m.source for m in maps for decoded in m.decoded}
    tables = {t for op in subgraph.ops if op.opcode == DECODE for t in op.inputs[2:] if t is not None}
    ours = tables | {tensor for m in maps for tensor in (m.side, m.coded, *m.decoded, *m.copies)}
    subgraph.ops = [op for op in subgraph.ops if not is_codec_op(op)]
    for gone in removed.ops:
        if gone.subgraph is subgraph:
            subgraph.ops.insert(gone.position, gone.op)
    for op in subgraph.ops:
        op.inputs = [None if t is None else originals.get(t, t) for t in op.inputs]
    subgraph.outputs = [originals.get(t, t) for t in subgraph.outputs]
    subgraph.tensors = [t for t in subgraph.tensors if t not in ours]
    return [tensor.buffer for tensor in ours if tensor.data is not None]
