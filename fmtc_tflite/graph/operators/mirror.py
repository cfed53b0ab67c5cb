"""What a MIRROR_PAD repeats."""

from __future__ import annotations

from fmtc_tflite.graph.model import Op
from fmtc_tflite.graph.schema import schema


def leaves_out_edge(op: Op) -> bool:
    """Whether the mirror lies on the edge, which is not repeated (REFLECT); else behind it (SYMMETRIC)."""
    return bool(op.options.mode == schema.MirrorPadMode.REFLECT)
