"""How much arithmetic operators do."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod

from fmtc_tflite.graph.model import Op

_WITH_WEIGHTS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")


def multiply_accumulates(ops: Iterable[Op]) -> int:
    """Of convolutions and FULLY_CONNECTED, by the shapes in the file, paddings counted as values; others have none."""
    return sum(map(_of_op, ops))


def _of_op(op: Op) -> int:
    if op.opcode not in _WITH_WEIGHTS or len(op.inputs) < 2 + (op.opcode == "TRANSPOSE_CONV") or not op.outputs:
        return 0
    # A TRANSPOSE_CONV meets all its weights at each input pixel, the others at each output pixel.
    weights, pixels = op.inputs[1], op.inputs[2] if op.opcode == "TRANSPOSE_CONV" else op.outputs[0]
    if weights is None or pixels is None or not weights.shape or not pixels.shape:
        return 0
    return prod(pixels.shape[:-1]) * prod(weights.shape)
