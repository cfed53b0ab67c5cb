"""Whether a model can be converted at all, said before any work is done."""

from __future__ import annotations

import numpy as np

from fmtc_tflite.errors import NothingToDoError, UnsupportedModelError
from fmtc_tflite.graph.coded_maps import is_converted
from fmtc_tflite.graph.model import Model, Op, Tensor
from fmtc_tflite.graph.sites import entry_subgraphs, find_excluded_maps, find_sites, skipped_subgraphs

_HOW_TO_QUANTIZE = (
    "quantize it to full-integer int8 first: tf.lite.TFLiteConverter with optimizations, a representative_dataset and "
    "OpsSet.TFLITE_BUILTINS_INT8, or litert-quantizer with a static int8 recipe"
)
# Custom ops of compiled models -> what they were compiled for.
_COMPILED = {
    "ethos-u": "an Arm Ethos-U (by Vela)",
    "edgetpu-custom-op": "a Coral Edge TPU",
    "DISPATCH_OP": "an NPU (by LiteRT's ahead-of-time compilation)",
    "NeutronGraph": "an NXP Neutron NPU",
}
# Metadata whose content numbers the ops or tensors: inserting ops would make it wrong.
_INDEXING_METADATA = {
    "model_control_dependencies": "control dependencies between ops, by number",
    "OfflineMemoryAllocation": "memory offsets of tensors, by number",
}


def check_convertible(model: Model) -> None:
    """Checks that the model has at least one feature map to code and that ops can be inserted.

    Raises:
      UnsupportedModelError: converted already, a float or int16 model, or metadata that numbers ops.
      NothingToDoError: a quantized model without a feature map that can be coded.
    """
    check_rewritable(model)
    sites = find_sites(model)
    if any(site.skipped_reason is None for site in sites):
        return
    check_shapes_known(model)
    if sites:
        site = sites[0]
        raise NothingToDoError(
            f"none of the model's {len(sites)} feature maps can be coded; '{site.name}': {site.skipped_reason}"
        )
    activations = _activations(model)
    dtypes = {tensor.dtype for tensor in activations}
    if not dtypes & {np.dtype(np.int8), np.dtype(np.uint8)}:
        if any(tensor.dtype == np.int16 and tensor.scale is not None for tensor in activations):
            raise UnsupportedModelError(f"the model has int16 activations, expected int8 or uint8; {_HOW_TO_QUANTIZE}")
        if any(tensor.type_name in ("FLOAT32", "FLOAT16", "BFLOAT16") for tensor in activations):
            raise UnsupportedModelError(
                f"the model computes in floating point (weights alone may be quantized); {_HOW_TO_QUANTIZE}"
            )
    raise NothingToDoError(f"the model has no feature map to code: {_why_nothing(model)}")


def check_rewritable(model: Model) -> None:
    """Checks that ops can be inserted.

    Raises:
      UnsupportedModelError: the model is compiled for an NPU, is converted already, or has metadata that numbers its
        ops or tensors.
    """
    compiled = compiled_op(model)
    if compiled is not None:
        op, target = compiled
        raise UnsupportedModelError(
            f"the model was compiled for {target}: its network is inside of an op, {op.opcode}, that nobody else can "
            "look into; give the file from before the compiler"
        )
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


def check_shapes_known(model: Model) -> None:
    """Raises UnsupportedModelError where an input leaves more than the batch open."""
    for tensor in model.subgraphs[0].inputs:
        signature = tensor.shape_signature
        if signature is not None and any(dimension < 0 for dimension in signature[1:]):
            shape = ",".join("?" if d < 0 else str(d) for d in signature)
            raise UnsupportedModelError(
                f"input '{tensor.name}' has the open shape {shape}, on which the sizes of feature maps depend: fix it "
                f"with --input_shape '{tensor.name}:{shape}', with numbers in the place of '?'"
            )


def compiled_op(model: Model) -> tuple[Op, str] | None:
    """The first op that a compiler for an NPU has put in the place of others, and the NPU; None without one."""
    ops = (op for subgraph in model.subgraphs for op in subgraph.ops if op.is_custom)
    return next(((op, _COMPILED[op.opcode]) for op in ops if op.opcode in _COMPILED), None)


def _why_nothing(model: Model) -> str:
    excluded = find_excluded_maps(model)
    if excluded:
        return f"'{excluded[0].name}': {excluded[0].skipped_reason}"
    skipped = skipped_subgraphs(model)
    if skipped and not _activations(model):
        return f"'{skipped[0][0]}': {skipped[0][1]}"
    return "no op writes an int8 or uint8 activation of rank 4 with more than one pixel"


def _activations(model: Model) -> list[Tensor]:
    """What the ops of the entry subgraphs write."""
    ops = [op for subgraph in entry_subgraphs(model) for op in subgraph.ops]
    return [tensor for op in ops for tensor in op.outputs if tensor is not None]
