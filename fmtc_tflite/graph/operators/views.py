"""Ops that only say a feature map again: padded, cut, transposed, in another shape, or with each value remapped.

What a chain of them comes to is a `View` of the map that the chain begins with (FORMAT.md section 9). Whether the table
of a QUANTIZE is the same under all kernels is not known here: it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from fmtc_tflite.errors import ModelFormatError
from fmtc_tflite.graph.model import Op, Subgraph, Tensor
from fmtc_tflite.graph.operators import constants

_EIGHT_BITS = (np.dtype(np.int8), np.dtype(np.uint8))
UNCHANGED = np.arange(256, dtype=np.uint8)  # the table of values that stay as they are


@dataclass(frozen=True)
class ViewAxis:
    """An axis of a view: `before` places of the border, `count` of the map's axis, `after` of the border.

    Attributes:
      begin, step: the map's first place, and from one to the next.
    """

    begin: int
    step: int
    count: int
    before: int = 0
    after: int = 0

    @property
    def size(self) -> int:
        return self.before + self.count + self.after

    def cut(self, part: slice) -> ViewAxis | None:
        """Places of this axis alone, a slice with all its numbers; None if nothing but border is left."""
        places = range(part.start, part.stop, part.step)
        first, end = (
            min(max(-(-(border - part.start) // part.step), 0), len(places))
            for border in (self.before, self.before + self.count)
        )
        if first == end:
            return None
        begin = self.begin + self.step * (places[first] - self.before)
        return ViewAxis(begin, self.step * part.step, end - first, first, len(places) - end)


@dataclass(frozen=True, eq=False)
class View:
    """What an item of a map [rows, columns, channels] becomes.

    Attributes:
      axes: of the result, before it gets its shape.
      order: which axis of the map each of them is.
      border: byte of the places beside the map.
      table: uint8 [256], the byte that each byte of the map becomes; None if values stay as they are.
      shape: of the result, with as many values as the axes have places.
    """

    axes: tuple[ViewAxis, ViewAxis, ViewAxis]
    order: tuple[int, int, int]
    border: int
    table: np.ndarray | None
    shape: tuple[int, int, int]

    @classmethod
    def whole(cls, shape: Sequence[int]) -> View:
        """The map as it is. `shape`: [N, H, W, C]."""
        height, width, channels = shape[1:]
        axes = (ViewAxis(0, 1, height), ViewAxis(0, 1, width), ViewAxis(0, 1, channels))
        return cls(axes, (0, 1, 2), 0, None, (height, width, channels))

    @property
    def _sizes(self) -> tuple[int, ...]:
        return tuple(axis.size for axis in self.axes)

    def _with(self, axes: Sequence[ViewAxis], order: Sequence[int] | None = None, border: int | None = None) -> View:
        a, b, c = axes
        i, j, k = self.order if order is None else order
        return View((a, b, c), (i, j, k), self.border if border is None else border, self.table,
                    (a.size, b.size, c.size))  # fmt: skip

    def padded(self, paddings: Sequence[tuple[int, int]], value: int) -> View | None:
        """With places of a byte around it; None where there is another border already, or another shape."""
        has_border = any(axis.before + axis.after for axis in self.axes)
        if self.shape != self._sizes or (has_border and self.border != value):
            return None
        return self._with([replace(axis, before=axis.before + before, after=axis.after + after)
                           for axis, (before, after) in zip(self.axes, paddings, strict=True)],
                          border=value)  # fmt: skip

    def cut(self, parts: Sequence[slice]) -> View | None:
        """A part of it; None where it has another shape, or nothing but border is left."""
        axes = [axis.cut(part) for axis, part in zip(self.axes, parts, strict=True)]
        found = [axis for axis in axes if axis is not None]
        return self._with(found) if len(found) == len(axes) and self.shape == self._sizes else None

    def transposed(self, order: Sequence[int]) -> View | None:
        """Its axes in another order; None where it has another shape."""
        if self.shape != self._sizes:
            return None
        return self._with([self.axes[i] for i in order], [self.order[i] for i in order])

    def reshaped(self, shape: Sequence[int]) -> View:
        """The same bytes in another shape of as many values."""
        height, width, channels = shape
        return replace(self, shape=(height, width, channels))

    def remapped(self, table: np.ndarray) -> View:
        """With each byte replaced by what a table, uint8 [256], has for it."""
        own = table if self.table is None else table[self.table]
        return replace(self, table=None if np.array_equal(own, UNCHANGED) else own, border=int(table[self.border]))

    def apply(self, x: np.ndarray) -> np.ndarray:
        """The view of a map, uint8 [N, H, W, C]: uint8 [N, *shape]."""
        cuts = {self.order[i]: slice(a.begin, a.begin + a.step * (a.count - 1) + 1, a.step)
                for i, a in enumerate(self.axes)}  # fmt: skip
        part = x[:, cuts[0], cuts[1], cuts[2]].transpose(0, *(1 + axis for axis in self.order))
        part = part if self.table is None else self.table[part]
        around = [(0, 0), *((axis.before, axis.after) for axis in self.axes)]
        return np.pad(part, around, constant_values=self.border).reshape(len(x), *self.shape)


def then(view: View, op: Op, table: np.ndarray) -> View | None:
    """The view of a map that an op makes of a view of it.

    Args:
      view: what the op's first input is of the map.
      op: any op.
      table: of the op if it is a QUANTIZE, uint8 [256].

    Returns:
      None for an op that does more than to say its input again, that changes the batch or is not of 8-bit maps, and
      where no view is what both come to.
    """
    step = _STEPS.get(op.opcode)
    source, result = next(iter(op.inputs), None), next(iter(op.outputs), None)
    if step is None or source is None or result is None or not _is_map(source) or not _is_map(result):
        return None
    if source.shape[0] != result.shape[0] or len(op.outputs) != 1:
        return None
    if op.opcode == "QUANTIZE":
        return view.remapped(table) if source.shape == result.shape else None
    if source.dtype != result.dtype or (source.scale, source.zero_point) != (result.scale, result.zero_point):
        return None
    try:
        found = step(view, op, source, result)
    except ModelFormatError:
        return None
    return found if found is not None and found.shape == tuple(result.shape[1:]) else None


def says_again(op: Op) -> bool:
    """Whether an op only says its input again: `then` has a view for it, whatever was before."""
    source = next(iter(op.inputs), None)
    if op.opcode not in _STEPS or source is None or len(source.shape) != 4:
        return False
    return then(View.whole(source.shape), op, UNCHANGED) is not None


def says_again_of(subgraph: Subgraph, stored: Collection[Tensor]) -> dict[Tensor, Tensor]:
    """What ops of a graph only say again -> the original; without outputs of the graph and those that are stored."""
    kept = {*subgraph.outputs, *stored}
    pairs = [(op.outputs[0], op.inputs[0]) for op in subgraph.ops if says_again(op)]
    return {result: source for result, source in pairs if result and source and result not in kept}


def _is_map(tensor: Tensor) -> bool:
    is_known = len(tensor.shape) == 4 and min(tensor.shape) > 0 and tensor.data is None and not tensor.is_variable
    return is_known and tensor.dtype in _EIGHT_BITS and bool(tensor.scale) and tensor.zero_point is not None


def _has_open_batch(tensor: Tensor) -> bool:
    return tensor.shape_signature is not None and tensor.shape_signature[:1] == (-1,)


def _pad(view: View, op: Op, source: Tensor, result: Tensor) -> View | None:
    batch, *paddings = constants.paddings(op, 4)
    value = result.zero_point if op.opcode == "PAD" else constants.padding_value(op)
    if batch != (0, 0) or value is None:
        return None
    return view.padded(paddings, value & 0xFF)


def _cut(view: View, cuts: Sequence[slice] | None, source: Tensor) -> View | None:
    if cuts is None or cuts[0] != slice(0, source.shape[0], 1) or _has_open_batch(source):
        return None
    return view.cut(cuts[1:])


def _slice(view: View, op: Op, source: Tensor, result: Tensor) -> View | None:
    return _cut(view, constants.slices(op), source)


def _strided_slice(view: View, op: Op, source: Tensor, result: Tensor) -> View | None:
    return _cut(view, constants.strided_slices(op), source)


def _transpose(view: View, op: Op, source: Tensor, result: Tensor) -> View | None:
    order = constants.integers(op, 1)
    if sorted(order) != [0, 1, 2, 3] or order[0] != 0:
        return None
    return view.transposed([axis - 1 for axis in order[1:]])


def _reshape(view: View, op: Op, source: Tensor, result: Tensor) -> View | None:
    return view.reshaped(result.shape[1:]) if prod(source.shape) == prod(result.shape) else None


_STEPS: dict[str, Callable[[View, Op, Tensor, Tensor], View | None]] = {
    "PAD": _pad,
    "PADV2": _pad,
    "SLICE": _slice,
    "STRIDED_SLICE": _strided_slice,
    "TRANSPOSE": _transpose,
    "RESHAPE": _reshape,
    "SQUEEZE": _reshape,
    "EXPAND_DIMS": _reshape,
    "QUANTIZE": _reshape,  # of the same shape; the values are remapped
}
