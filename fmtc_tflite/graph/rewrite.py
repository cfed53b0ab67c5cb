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
from fmtc_tflite.graph.plan import InsertionPlan, RotatedConvolution, SiteInsertion, plan_decodes
from fmtc_tflite.graph.region_ops import is_region
from fmtc_tflite.graph.sites import Site

ENCODE = "FMTC_ENCODE"
DECODE = "FMTC_DECODE"
CODED_SUFFIX = "/fmtc_coded"
DECODED_SUFFIX = "/fmtc_decoded"
COEFFICIENTS_SUFFIX = "/fmtc_coefficients"
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
    return any(op.opcode in (ENCODE, DECODE) or is_region(op) for subgraph in model.subgraphs for op in subgraph.ops)


def check_rewritable(model: Model) -> None:
    """Checks that ops can be inserted.

    Raises:
        UnsupportedModelError: the model is converted already, or has metadata that numbers its ops or tensors.
    """
    if is_converted(model):
        raise UnsupportedModelError(
            "the model is converted already (it has FMTC_ENCODE, FMTC_DECODE or FMTC_REGION ops); convert the "
            "original, or get it back with `fmtc-convert --restore`"
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
    inserter = _Inserter(model, plan)
    for insertion in plan.insertions:
        inserter.insert(insertion)
    inserter.finish()


class _Inserter:
    """Adds the ops of one insertion after another, and puts all ops in order at the end."""

    def __init__(self, model: Model, plan: InsertionPlan) -> None:
        self._model = model
        self._codes = {name: _custom_code(name) for name in (ENCODE, DECODE)}
        model.operator_codes += self._codes.values()
        self._views = {id(subgraph): GraphView(subgraph) for subgraph in model.subgraphs}
        self._removed = {id(i.site.producer) for i in plan.insertions if i.folded}
        self._before: dict[int, list[Op]] = {}
        self._after: dict[int, list[Op]] = {}
        self._coded: dict[int, Tensor] = {}  # feature map -> its coded form

    def insert(self, insertion: SiteInsertion) -> None:
        """Encodes a map after its producer, unless it is folded, and decodes it before its consumers."""
        site, tensor = insertion.site, insertion.site.tensor
        side_information = self._side_information(insertion)
        if insertion.folded:
            coded = self._coded[id(site.producer.inputs[0])]
        else:
            coded = self._coded[id(tensor)] = self._coded_tensor(insertion)
            source = tensor if insertion.rotated is None else _rotate(self._model, site, insertion.rotated)
            encode = Op(self._codes[ENCODE], [source, side_information], [coded], custom_options=_options(insertion))
            self._after.setdefault(id(site.producer), []).append(encode)
        consumers = [op for op in site.consumers if id(op) not in self._removed]
        for number, group in enumerate(plan_decodes(consumers, self._views[id(site.subgraph)]), start=1):
            decoded = _decoded_tensor(tensor, self._model.buffers[0], number)
            site.subgraph.tensors.append(decoded)
            decode = Op(self._codes[DECODE], [coded, side_information], [decoded], custom_options=_options(insertion))
            self._before.setdefault(id(group[0]), []).append(decode)
            for op in group:
                op.inputs = [decoded if t is tensor else t for t in op.inputs]

    def finish(self) -> None:
        """Puts the ops in their places."""
        for subgraph in self._model.subgraphs:
            ops = []
            for op in subgraph.ops:
                kept = [] if id(op) in self._removed else [op]
                ops += [*self._before.get(id(op), []), *kept, *self._after.get(id(op), [])]
            subgraph.ops = ops

    def _side_information(self, insertion: SiteInsertion) -> Tensor:
        constant = Tensor(
            name=f"{insertion.site.name}/fmtc_side_information",
            shape=(len(insertion.side_information),),
            type=schema.TensorType.UINT8,
            buffer=Buffer(np.frombuffer(insertion.side_information, np.uint8)),
        )
        self._model.buffers.append(constant.buffer)
        insertion.site.subgraph.tensors.append(constant)
        return constant

    def _coded_tensor(self, insertion: SiteInsertion) -> Tensor:
        tensor = insertion.site.tensor
        batch_is_unknown = tensor.shape_signature is not None and tensor.shape_signature[:1] == (-1,)
        coded = Tensor(
            name=f"{tensor.name}{CODED_SUFFIX}",
            shape=(tensor.shape[0], insertion.item_capacity),
            shape_signature=(-1, insertion.item_capacity) if batch_is_unknown else None,
            type=schema.TensorType.UINT8,
            buffer=self._model.buffers[0],
        )
        insertion.site.subgraph.tensors.append(coded)
        return coded


def _rotate(model: Model, site: Site, rotated: RotatedConvolution) -> Tensor:
    """Gives a map's CONV_2D new constants, and an output tensor of its own for what it then computes."""
    tensor, producer = site.tensor, site.producer
    source = producer.inputs[0]
    assert source is not None
    bias_scales = np.float32(source.scale or 0.0) * rotated.weight_scales
    constants = [
        _constant(f"{tensor.name}/fmtc_weights", rotated.weights, rotated.weight_scales),
        _constant(f"{tensor.name}/fmtc_bias", rotated.bias, bias_scales),
    ]
    model.buffers += [constant.buffer for constant in constants]
    signature = tensor.shape_signature
    coefficients = Tensor(
        name=f"{tensor.name}{COEFFICIENTS_SUFFIX}",
        shape=(*tensor.shape[:3], len(rotated.bias)),
        shape_signature=None if signature is None else (*signature[:3], len(rotated.bias)),
        type=tensor.type,
        buffer=model.buffers[0],
        quantization=_symmetric(np.array([rotated.scale], np.float32)),
    )
    site.subgraph.tensors += [*constants, coefficients]
    producer.inputs, producer.outputs = [source, *constants], [coefficients]
    producer.options.fusedActivationFunction = schema.ActivationFunctionType.NONE
    return coefficients


def _constant(name: str, values: np.ndarray, scales: np.ndarray) -> Tensor:
    return Tensor(
        name=name,
        shape=values.shape,
        type=getattr(schema.TensorType, values.dtype.name.upper()),
        buffer=Buffer(np.ascontiguousarray(values).reshape(-1).view(np.uint8)),
        quantization=_symmetric(scales),
    )


def _symmetric(scales: np.ndarray) -> Any:
    return schema.QuantizationParametersT(scale=scales, zeroPoint=np.zeros(len(scales), np.int64))


def _decoded_tensor(tensor: Tensor, no_data: Buffer, number: int) -> Tensor:
    return Tensor(
        name=tensor.name + DECODED_SUFFIX + (f"_{number}" if number > 1 else ""),
        shape=tensor.shape,
        shape_signature=tensor.shape_signature,
        type=tensor.type,
        buffer=no_data,
        quantization=tensor.quantization,
        raw=schema.TensorT(hasRank=tensor.raw.hasRank),
    )


def _options(insertion: SiteInsertion) -> bytes:
    """Options of ENCODE and DECODE: the grid is that of what is encoded, everything else that of the feature map."""
    site, tensor = insertion.site, insertion.site.tensor
    stored = site.producer.inputs[0] if insertion.folded else tensor
    assert stored is not None
    options = {
        "format_version": FORMAT_VERSION,
        "height": stored.shape[1],
        "width": stored.shape[2],
        "channels": tensor.shape[3],
        "type": str(tensor.dtype),
        "tensor": tensor.name.encode("utf-8", "replace").decode("utf-8"),
    }
    if stored.shape[1:3] != tensor.shape[1:3]:
        strides = site.producer.options
        options |= {"stride_height": strides.strideH, "stride_width": strides.strideW}
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
    encoded: dict[int, tuple[Tensor, Tensor]] = {}  # coded tensor -> the tensor that was encoded, side information
    originals: dict[int, Tensor] = {}  # decoded tensor -> the tensor that was encoded
    removed: dict[int, Tensor] = {}
    for op in ours:
        source, side_information, result = operands(op)
        removed |= {id(side_information): side_information, id(result): result}
        if op.opcode == ENCODE:
            encoded[id(result)] = source, side_information
            continue
        if id(source) not in encoded:
            raise ModelFormatError(f"inconsistent TFLite model: {DECODE} '{result.name}' has no {ENCODE} before it")
        original, encoder_side_information = encoded[id(source)]
        moved = original.shape != result.shape or original.name.endswith(COEFFICIENTS_SUFFIX)
        if moved or encoder_side_information is not side_information:
            raise UnsupportedModelError(
                f"tensor '{result.name}' is decoded from the coded form of '{original.name}': an operator is folded "
                "into the decoder and cannot be taken out again; use the original model"
            )
        originals[id(result)] = original
    subgraph.ops = [op for op in subgraph.ops if op.opcode not in (ENCODE, DECODE)]
    for op in subgraph.ops:
        op.inputs = [None if t is None else originals.get(id(t), t) for t in op.inputs]
    subgraph.outputs = [originals.get(id(t), t) for t in subgraph.outputs]
    subgraph.tensors = [t for t in subgraph.tensors if id(t) not in removed]
    return [tensor.buffer for tensor in removed.values() if tensor.data is not None]


def operands(op: Op) -> tuple[Tensor, Tensor, Tensor]:
    """(input, side information, output) of an ENCODE or DECODE op.

    Raises:
        ModelFormatError: it has others.
    """
    if len(op.inputs) != 2 or len(op.outputs) != 1:
        raise ModelFormatError(
            f"inconsistent TFLite model: {op.opcode} has {len(op.inputs)} inputs and {len(op.outputs)} outputs, "
            "expected 2 and 1"
        )
    source, side_information, result = *op.inputs, *op.outputs
    if source is None or side_information is None or result is None:
        raise ModelFormatError(f"inconsistent TFLite model: {op.opcode} has an absent input or output")
    return source, side_information, result
