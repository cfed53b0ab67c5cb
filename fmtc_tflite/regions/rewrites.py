"""Ops of a region in a cheaper form that gives the same bytes.

A TRANSPOSE of what a QUANTIZE or TABLE makes of an input is made of the input instead, row by row. A PAD with the zero
point becomes padding of the convolutions that read it. Both take the ops of a region in an order in which each tensor
is written before it is read, and the tensors that somebody outside wants.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from math import prod

from fmtc_tflite.graph.operators.window import Window, WindowAxis
from fmtc_tflite.regions.kinds.elementwise import Quantize, Table
from fmtc_tflite.regions.kinds.moves import Transpose
from fmtc_tflite.regions.kinds.multiply_accumulate import Conv, Depthwise
from fmtc_tflite.regions.kinds.pads import Pad
from fmtc_tflite.regions.kinds.windows import check_window
from fmtc_tflite.regions.ops import OpRefusedError, RegionOp, RegionTensor

_VECTOR = 8  # values that a step of a kernel quantizes where the tensor's last ones have another rule
_RULE_OF_VECTORS = 2  # of QUANTIZE


# --- TRANSPOSE before QUANTIZE ----------------------------------------------------------------------------------------


def with_transposed_inputs(ops: list[RegionOp], kept: Collection[RegionTensor]) -> list[RegionOp]:
    """Has each value of an input transposed first and quantized then, which as a value of its own it may be."""
    written = {op.output for op in ops}
    makers = {
        op.output.source: op
        for op in ops
        if isinstance(op, (Quantize, Table)) and op.inputs[0] not in written and op.output not in kept
    }
    found: list[RegionOp] = []
    replaced: set[RegionTensor] = set()
    for op in ops:
        maker = makers.get(op.inputs[0].source) if isinstance(op, Transpose) else None
        if maker is None or not _moves_freely(maker):
            found.append(op)
            continue
        assert isinstance(op, Transpose)
        source = maker.inputs[0]
        row = replace(source, height=1, width=1, channels=prod((source.height, source.width, source.channels)))
        moved = replace(op.output, source=source.source, dtype=source.dtype, zero_point=source.zero_point)
        found.append(Transpose(None, (row,), moved, op.rule, op.strides))
        found.append(replace(maker, source=op.source, inputs=(moved,), output=op.output))
        replaced.add(maker.output)
    read = {tensor for op in found for tensor in op.inputs}
    return [op for op in found if op.output not in replaced or op.output in read]


def _moves_freely(op: RegionOp) -> bool:
    """Whether a value's result does not depend on its place in the tensor."""
    output = op.output
    whole = output.height * output.width * output.channels % _VECTOR == 0
    return not isinstance(op, Quantize) or op.rule != _RULE_OF_VECTORS or whole


# --- PAD in windows ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Padded:
    """A convolution as a reader of what its input was padded from."""

    op: Conv | Depthwise
    pad: Pad

    def merged(self) -> RegionOp | None:
        """None where a program cannot say the window."""
        source, window = self.pad.inputs[0], self.op.window
        rows = _padded_axis(window.rows, source.height, self.pad.above)
        columns = _padded_axis(window.columns, source.width, self.pad.left)
        try:
            check_window(Window(rows, columns))
        except OpRefusedError:
            return None
        return replace(self.op, inputs=(source,), window=Window(rows, columns))


def _padded_axis(axis: WindowAxis, size: int, before: int) -> WindowAxis:
    """The axis over an input that has no padding of its own."""
    first = axis.before + before
    after = (axis.outputs - 1) * axis.stride + axis.extent - first - size
    return replace(axis, size=size, before=first, after=max(after, 0))


def with_padding_in_windows(ops: list[RegionOp], kept: Collection[RegionTensor]) -> list[RegionOp]:
    """Leaves out each PAD whose readers are convolutions, to which its value means nothing.

    Mostly that saves a ring; but where what was padded is stored whole, padding columns make it larger.
    """
    for pad in [op for op in ops if isinstance(op, Pad)]:
        readers = [op for op in ops if pad.output in op.inputs]
        if pad.output in kept or not readers or not _is_neutral(pad):
            continue
        if not all(isinstance(op, (Conv, Depthwise)) for op in readers):
            continue
        merged: dict[RegionOp, RegionOp | None] = {
            op: _Padded(op, pad).merged() for op in readers if isinstance(op, (Conv, Depthwise))
        }
        if None not in merged.values():
            ops = [merged.get(op) or op for op in ops if op is not pad]
    return ops


def _is_neutral(pad: Pad) -> bool:
    """Whether it pads rows and columns alone, with the zero point."""
    source = pad.inputs[0]
    return source.channels == pad.output.channels and pad.value == source.zero_point
