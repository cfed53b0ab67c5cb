"""Carries out an InsertionPlan, and undoes it. Nothing else in the package changes a graph.

FMTC_ENCODE comes directly after the producer, each FMTC_DECODE directly before the first of its consumers. New tensors,
buffers and operator codes go to the end of their lists, so that `restore` gives back exactly what was there before.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import flexbuffers

from fmtc_tflite.errors import ModelFormatError, UnsupportedModelError
from fmtc_tflite.graph.graph_view import GraphView
from fmtc_tflite.graph.model import CUSTOM_CODE, Buffer, Model, Op, Subgraph, Tensor
from fmtc_tflite.graph.plan import InsertionPlan, SiteInsertion, plan_decodes

ENCODE = "FMTC_ENCODE"
DECODE = "FMTC_DECODE"
CODED_SUFFIX = "/fmtc_coded"
OP_VERSION = 1
FORMAT_VERSION = 1
METADATA_NAME = "fmtc_conversion"

# Metadata whose content numbers the ops or tensors: inserting ops would make it wrong.
_INDEXING_METADATA = {
    "model_control_dependencies": "control dependencies between ops, by number",
    "OfflineMemoryAllocation": "memory offsets of tensors, by number",
}


def is_converted(model: Model) -> bool:
    """Whether the model contains ops of this package."""
    return any(op.opcode in (ENCODE, DECODE) for subgraph in model.subgraphs for op in subgraph.ops)


def check_rewritable(model: Model) -> None:
    """Checks that ops can be inserted.

    Raises:
        UnsupportedModelError: the model is converted already, or has metadata that numbers its ops or tensors.
    """
    if is_converted(model):
        raise UnsupportedModelError(
            "the model is converted already (it has FMTC_ENCODE or FMTC_DECODE ops); convert the original, or get it "
            "back with `fmtc-convert --restore`"
        )
    for name, content in _INDEXING_METADATA.items():
        if name in model.metadata:
            raise UnsupportedModelError(
                f"the model's metadata '{name}' holds {content}, which inserting ops would make wrong; export the "
                "model without it"
            )


def apply(model: Model, plan: InsertionPlan) -> None:
    """Inserts the encode and decode ops of the plan into the model, in place.

    Raises:
        UnsupportedModelError: see check_rewritable.
    """
    check_rewritable(model)
    if not plan.insertions:
        return
    codes = {name: _custom_code(name) for name in (ENCODE, DECODE)}
    model.operator_codes += codes.values()
    before: dict[int, list[Op]] = {}
    after: dict[int, list[Op]] = {}
    views = {id(subgraph): GraphView(subgraph) for subgraph in model.subgraphs}
    for insertion in plan.insertions:
        _insert_site(model, insertion, views[id(insertion.site.subgraph)], codes, before, after)
    for subgraph in model.subgraphs:
        ops = ([*before.get(id(op), []), op, *after.get(id(op), [])] for op in subgraph.ops)
        subgraph.ops = [op for group in ops for op in group]


def _insert_site(
    model: Model,
    insertion: SiteInsertion,
    view: GraphView,
    codes: dict[str, Any],
    before: dict[int, list[Op]],
    after: dict[int, list[Op]],
) -> None:
    site = insertion.site
    tensor = site.tensor
    side_information = Tensor(
        name=f"{tensor.name}/fmtc_side_information",
        shape=(len(insertion.side_information),),
        type=schema.TensorType.UINT8,
        buffer=Buffer(np.frombuffer(insertion.side_information, np.uint8)),
    )
    model.buffers.append(side_information.buffer)
    batch_is_unknown = tensor.shape_signature is not None and tensor.shape_signature[:1] == (-1,)
    coded = Tensor(
        name=f"{tensor.name}{CODED_SUFFIX}",
        shape=(tensor.shape[0], insertion.item_capacity),
        shape_signature=(-1, insertion.item_capacity) if batch_is_unknown else None,
        type=schema.TensorType.UINT8,
        buffer=model.buffers[0],
    )
    site.subgraph.tensors += [side_information, coded]
    options = _options(tensor)
    if insertion.folded:
        _become_encoder(site.producer, codes[ENCODE], side_information, coded, options)
    else:
        encode = Op(codes[ENCODE], [tensor, side_information], [coded], custom_options=options)
        after.setdefault(id(site.producer), []).append(encode)
    for number, consumers in enumerate(plan_decodes(site, view), start=1):
        decoded = _decoded_tensor(tensor, model.buffers[0], number)
        site.subgraph.tensors.append(decoded)
        decode = Op(codes[DECODE], [coded, side_information], [decoded], custom_options=options)
        before.setdefault(id(consumers[0]), []).append(decode)
        for op in consumers:
            op.inputs = [decoded if t is tensor else t for t in op.inputs]


def _become_encoder(producer: Op, code: Any, side_information: Tensor, coded: Tensor, options: bytes) -> None:
    """Turns the producer of a folded map into the encoder of what it reads, in its place in the graph."""
    producer.code, producer.raw, producer.custom_options = code, schema.OperatorT(), options
    producer.inputs, producer.outputs, producer.intermediates = [producer.inputs[0], side_information], [coded], []


def _decoded_tensor(tensor: Tensor, no_data: Buffer, number: int) -> Tensor:
    return Tensor(
        name=f"{tensor.name}/fmtc_decoded" + (f"_{number}" if number > 1 else ""),
        shape=tensor.shape,
        shape_signature=tensor.shape_signature,
        type=tensor.type,
        buffer=no_data,
        quantization=tensor.quantization,
        raw=schema.TensorT(hasRank=tensor.raw.hasRank),
    )


def _options(tensor: Tensor) -> bytes:
    _, height, width, channels = tensor.shape
    options = {
        "format_version": FORMAT_VERSION,
        "height": height,
        "width": width,
        "channels": channels,
        "type": str(tensor.dtype),
        "tensor": tensor.name.encode("utf-8", "replace").decode("utf-8"),
    }
    return bytes(flexbuffers.Dumps(options))


def _custom_code(name: str) -> Any:
    return schema.OperatorCodeT(
        deprecatedBuiltinCode=CUSTOM_CODE, builtinCode=CUSTOM_CODE, customCode=name.encode(), version=OP_VERSION
    )


def restore(model: Model) -> None:
    """Removes the ops of this package, with their tensors, constants and metadata, in place.

    Raises:
        UnsupportedModelError: the model is not converted, or its transforms are folded into the weights.
        ModelFormatError: an FMTC op without its counterpart.
    """
    if not is_converted(model):
        raise UnsupportedModelError("the model is not converted: it has no FMTC_ENCODE or FMTC_DECODE op to remove")
    constants = [buffer for subgraph in model.subgraphs for buffer in _restore_subgraph(subgraph)]
    used = {id(op.code) for subgraph in model.subgraphs for op in subgraph.ops}
    ours = (ENCODE.encode(), DECODE.encode())
    model.operator_codes = [c for c in model.operator_codes if id(c) in used or c.customCode not in ours]
    model.drop_buffers(constants)
    model.metadata.pop(METADATA_NAME, None)


def _restore_subgraph(subgraph: Subgraph) -> list[Buffer]:
    """Removes the FMTC ops of a subgraph and returns the buffers with their side information."""
    ours = [op for op in subgraph.ops if op.opcode in (ENCODE, DECODE)]
    sources: dict[int, Tensor] = {}  # coded tensor -> the tensor that was encoded
    originals: dict[int, Tensor] = {}  # decoded tensor -> the tensor that was encoded
    removed: dict[int, Tensor] = {}
    for op in ours:
        source, side_information, result = _operands(op)
        removed |= {id(side_information): side_information, id(result): result}
        if op.opcode == ENCODE:
            sources[id(result)] = source
            continue
        if id(source) not in sources:
            raise ModelFormatError(f"inconsistent TFLite model: {DECODE} '{result.name}' has no {ENCODE} before it")
        original = originals[id(result)] = sources[id(source)]
        if original.shape != result.shape:
            raise UnsupportedModelError(
                f"tensor '{original.name}' has shape {original.shape}, its decoded form {result.shape}: the transform "
                "is folded into the weights and cannot be taken out; use the original model"
            )
    subgraph.ops = [op for op in subgraph.ops if op.opcode not in (ENCODE, DECODE)]
    for op in subgraph.ops:
        op.inputs = [None if t is None else originals.get(id(t), t) for t in op.inputs]
    subgraph.outputs = [originals.get(id(t), t) for t in subgraph.outputs]
    subgraph.tensors = [t for t in subgraph.tensors if id(t) not in removed]
    return [tensor.buffer for tensor in removed.values() if tensor.data is not None]


def _operands(op: Op) -> tuple[Tensor, Tensor, Tensor]:
    """(input, side information, output)."""
    if len(op.inputs) != 2 or len(op.outputs) != 1:
        raise ModelFormatError(
            f"inconsistent TFLite model: {op.opcode} has {len(op.inputs)} inputs and {len(op.outputs)} outputs, "
            "expected 2 and 1"
        )
    source, side_information, result = *op.inputs, *op.outputs
    if source is None or side_information is None or result is None:
        raise ModelFormatError(f"inconsistent TFLite model: {op.opcode} has an absent input or output")
    return source, side_information, result
