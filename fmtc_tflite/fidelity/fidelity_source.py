"""Where and how the outputs of an original and a converted model are compared.

A quantized SOFTMAX output is a poor ruler: its resolution is 1/256, and depending on how zeros are floored the same
change reads as a KL of .03 or .37. So its input is used wherever it can be found.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fmtc_tflite.errors import UnsupportedModelError, UsageError
from fmtc_tflite.graph.graph_view import GraphView
from fmtc_tflite.graph.model_io import Model, Op, Tensor

OUTPUT_KINDS = ("auto", "logits", "probabilities", "labels", "values")
MAX_LOGIT_COLUMNS = 10_000

_PASS_THROUGH = frozenset({"QUANTIZE", "DEQUANTIZE", "RESHAPE"})


@dataclass(frozen=True)
class FidelitySource:
    """One tensor to compare, and the measure for it.

    Attributes:
      measure: `kl` (nats), `disagreement` (1 - agreement of labels) or `relative_mse`.
      tensor: The tensor, of the model's first subgraph.
      output_index: The graph output that it stands for.
      probabilities: Whether a tensor measured by `kl` holds probabilities; else it holds logits.
      scale: Factor of `(value - zero_point)` that gives real values (a SOFTMAX's beta included), None for 1.
      zero_point: Goes with `scale`.
      note: What was assumed and how to say otherwise, or None.
    """

    measure: str
    tensor: Tensor
    output_index: int
    probabilities: bool = False
    scale: float | None = None
    zero_point: int | None = None
    note: str | None = None


def find_fidelity_source(model: Model, output_kind: str = "auto", output_index: int = 0) -> FidelitySource:
    """Chooses what to compare for one graph output.

    Args:
      model: An original or a converted model.
      output_kind: What the output holds. `auto`: probabilities if it comes from a SOFTMAX through QUANTIZE,
        DEQUANTIZE and RESHAPE only; labels if it holds integers without quantization; logits if it has rank 2,
        2 to 10,000 columns and no LOGISTIC before it (a softmax over one column, or over values of 0 to 1, would
        see hardly any change); else plain values. `logits`, `labels`, `values`: as said. `probabilities`: a
        SOFTMAX's input if there is one, else the output, floored by half a quantization step.
      output_index: Which of the first subgraph's outputs. A model with several is as good as its worst one.

    Raises:
      UsageError: an unknown kind, or one that the output cannot have.
      UnsupportedModelError: no such output, or one that holds no numbers.
    """
    if output_kind not in OUTPUT_KINDS:
        raise UsageError(f"--output_kind: got '{output_kind}', expected one of {', '.join(OUTPUT_KINDS)}")
    outputs = model.subgraphs[0].outputs
    if not 0 <= output_index < len(outputs):
        raise UnsupportedModelError(
            f"subgraph 0: got {len(outputs)} outputs, expected one at {output_index}; there is nothing to compare"
        )
    output = outputs[output_index]
    if output.dtype is None:
        raise UnsupportedModelError(
            f"output '{output.name}': got type {output.type_name}, expected numbers; there is nothing to compare"
        )
    view = GraphView(model.subgraphs[0])
    softmax_input = _softmax_input(output, view, output_index) if output_kind in ("auto", "probabilities") else None
    if softmax_input is not None:
        return softmax_input
    if output_kind == "auto":
        output_kind = _guess_kind(output, view)
        if output_kind == "logits":
            note = f"output '{output.name}' is taken for logits; --output_kind says otherwise"
            return FidelitySource("kl", output, output_index, False, output.scale, output.zero_point, note)
    return _as_said(output, output_kind, output_index)


def _as_said(output: Tensor, kind: str, output_index: int) -> FidelitySource:
    if kind == "labels":
        return FidelitySource("disagreement", output, output_index)
    if kind == "values":
        return FidelitySource("relative_mse", output, output_index, False, output.scale, output.zero_point)
    if len(output.shape) < 2 or output.shape[-1] < 2:
        raise UsageError(
            f"--output_kind {kind}: output '{output.name}' has the shape {list(output.shape)}, expected two or more "
            "classes in the last dimension; use values or labels"
        )
    return FidelitySource("kl", output, output_index, kind == "probabilities", output.scale, output.zero_point)


def _softmax_input(output: Tensor, view: GraphView, output_index: int) -> FidelitySource | None:
    """The input of the SOFTMAX that the output repeats, or None."""
    op = _origin(output, view)
    if op is None or op.opcode != "SOFTMAX" or op.inputs[0] is None or op.inputs[0].shape[-1:] == (1,):
        return None
    logits = op.inputs[0]
    beta = 1.0 if op.options is None else float(op.options.beta)
    scale, zero_point = logits.scale, logits.zero_point
    if beta != 1.0:
        scale, zero_point = beta * (1.0 if scale is None else scale), zero_point or 0
    return FidelitySource("kl", logits, output_index, False, scale, zero_point)


def _guess_kind(output: Tensor, view: GraphView) -> str:
    if np.dtype(output.dtype).kind in "iub" and output.scale is None:
        return "labels"
    if len(output.shape) != 2 or not 2 <= output.shape[1] <= MAX_LOGIT_COLUMNS:
        return "values"
    origin = _origin(output, view)
    return "values" if origin is not None and origin.opcode == "LOGISTIC" else "logits"


def _origin(output: Tensor, view: GraphView) -> Op | None:
    """The op that computes what the output repeats in another form."""
    op = view.producer(output)
    while op is not None and op.opcode in _PASS_THROUGH and op.inputs[0] is not None:
        op = view.producer(op.inputs[0])
    return op
