"""A DECODE's options that say which view of its map it writes (FORMAT.md section 9)."""

from __future__ import annotations

import struct
from typing import Any

from flatbuffers import flexbuffers

from fmtc_tflite.graph.model import Op
from fmtc_tflite.graph.names import DECODE
from fmtc_tflite.graph.operators.views import View

_AXES = ("height", "width", "channels")
_TYPE = "view_type"  # which no other DECODE has
_DAMAGED = (struct.error, ValueError, TypeError, IndexError, KeyError, AttributeError, OverflowError)


def view_options(view: View, dtype: Any) -> dict[str, Any]:
    """The options of a view whose result is of an 8-bit type."""
    options: dict[str, Any] = {"border": view.border, _TYPE: str(dtype)}
    for name, axis, place, size in zip(_AXES, view.axes, view.order, view.shape, strict=True):
        options |= {
            f"begin_{name}": axis.begin,
            f"step_{name}": axis.step,
            f"count_{name}": axis.count,
            f"before_{name}": axis.before,
            f"after_{name}": axis.after,
            f"axis_of_{name}": place + 1,
            f"view_{name}": size,
        }
    return options


def writes_view(op: Op) -> bool:
    """Whether the op is a DECODE that writes a view of its map. False for options that cannot be read."""
    if op.opcode != DECODE or not op.custom_options:
        return False
    try:
        return bool(flexbuffers.GetRoot(bytearray(op.custom_options)).AsMap[_TYPE].IsString)
    except _DAMAGED:
        return False
