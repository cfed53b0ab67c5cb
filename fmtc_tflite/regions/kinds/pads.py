"""PAD and MIRROR_PAD: the input within a larger output."""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import ClassVar

from fmtc_tflite.graph.model import Op, Tensor
from fmtc_tflite.graph.operators import constants
from fmtc_tflite.graph.operators.mirror import leaves_out_edge
from fmtc_tflite.regions.kernel_sets import KernelSet, unsigned
from fmtc_tflite.regions.kinds.facts import (
    item_shape,
    require,
    same_quantization,
    zero_point_of,
)
from fmtc_tflite.regions.ops import RegionOp, RegionTensor

AddArray = Callable[[bytes, int], int]
TensorOf = Callable[[Tensor], RegionTensor]

_PAD = struct.Struct("<IIIB3x")
_MIRROR_PAD = struct.Struct("<IIIB3x")


def clipped(value: int, size: int) -> int:
    """The nearest element of an axis."""
    return min(max(value, 0), size - 1)


@dataclass(frozen=True, eq=False)
class Pad(RegionOp):
    """PAD: the input within an output of one value.

    Attributes:
      above, left, before: rows, columns and channels before the input's.
      value: unsigned domain.
    """

    kind: ClassVar[int] = 10
    above: int
    left: int
    before: int
    value: int

    def rows_needed(self, operand: int, step: int) -> tuple[int, int]:
        row = clipped(step - self.above, self.inputs[0].height)
        return row, row

    def columns_needed(self, operand: int, first: int, end: int) -> tuple[int, int]:
        width = self.inputs[0].width
        return clipped(first - self.left, width), clipped(end - 1 - self.left, width) + 1

    def parameters(self, add: AddArray, outside: Collection[RegionTensor]) -> bytes:
        return _PAD.pack(self.above, self.left, self.before, self.value)


@dataclass(frozen=True)
class MirrorAxis:
    """One axis of MIRROR_PAD.

    Attributes:
      size, before, after: of the input, and what is put around it.
      skipped: 1 if the input's ends are not repeated (REFLECT), else 0.
    """

    size: int
    before: int
    after: int
    skipped: int

    def source(self, place: int) -> int:
        """The input's place whose value an output's has."""
        inside = place - self.before
        if inside < 0:
            return self.skipped - 1 - inside
        return inside if inside < self.size else 2 * self.size - 1 - self.skipped - inside

    def least(self, place: int) -> int:
        """The first input place that this output place or one behind it needs."""
        last = self.source(self.before + self.size + self.after - 1)
        return 0 if place <= self.before else min(self.source(place), last)

    def greatest(self, place: int) -> int:
        """The last input place that this output place or one before it needs."""
        return self.size - 1 if place >= self.before + self.size else max(self.source(0), self.source(place))


@dataclass(frozen=True, eq=False)
class MirrorPad(RegionOp):
    """MIRROR_PAD: the input and its reflections."""

    kind: ClassVar[int] = 24
    rows: MirrorAxis
    columns: MirrorAxis
    channels: MirrorAxis

    def rows_needed(self, operand: int, step: int) -> tuple[int, int]:
        return self.rows.least(step), self.rows.greatest(step)

    def columns_needed(self, operand: int, first: int, end: int) -> tuple[int, int]:
        return self.columns.least(first), self.columns.greatest(end - 1) + 1

    def parameters(self, add: AddArray, outside: Collection[RegionTensor]) -> bytes:
        before = (self.rows.before, self.columns.before, self.channels.before)
        return _MIRROR_PAD.pack(*before, self.rows.skipped)


def _paddings(op: Op, source: Tensor, result: Tensor) -> list[tuple[int, int]]:
    """What is put before and after rows, columns and channels."""
    batch, *paddings = constants.paddings(op, len(source.shape))
    require(batch == (0, 0), "it pads the batch")
    around = [(0, 0)] * (3 - len(paddings)) + paddings
    padded = tuple(size + sum(pad) for size, pad in zip(item_shape(source), around, strict=True))
    require(padded == item_shape(result), "its output has another shape than its paddings say")
    return around


def build_pad(op: Op, tensor_of: TensorOf, kernels: KernelSet) -> RegionOp:
    """PAD of a PAD with the zero point or of a PADV2 with a constant."""
    source, result = same_quantization(op)
    (above, _), (left, _), (before, _) = _paddings(op, source, result)
    value = unsigned(result, zero_point_of(result)) if op.opcode == "PAD" else _constant_value(op, result)
    return Pad(op, (tensor_of(source),), tensor_of(result), 1, above, left, before, value)


def _constant_value(op: Op, result: Tensor) -> int:
    value = constants.padding_value(op)
    require(value is not None, "it pads with a value that is computed, several ones, or one of another scale")
    assert value is not None
    return unsigned(result, value)


def build_mirror_pad(op: Op, tensor_of: TensorOf, kernels: KernelSet) -> RegionOp:
    """MIRROR_PAD of an op of that name."""
    source, result = same_quantization(op)
    skipped = int(leaves_out_edge(op))
    paddings, sizes = _paddings(op, source, result), item_shape(source)
    fits = all(max(pad) <= size - skipped for pad, size in zip(paddings, sizes, strict=True) if max(pad) > 0)
    require(fits, "it mirrors more than its input")
    axes = [MirrorAxis(size, *pad, skipped) for pad, size in zip(paddings, sizes, strict=True)]
    return MirrorPad(op, (tensor_of(source),), tensor_of(result), 1, *axes)
