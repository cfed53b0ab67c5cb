"""Reductions of rows and columns behind a TRANSPOSE, as networks have them that were made with channels first.

They are the same reductions of what the TRANSPOSE reads, whose channels come last: what is left of each channel is one
value, wherever its axis was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from fmtc_tflite.errors import ModelFormatError
from fmtc_tflite.graph.graph_view import GraphView
from fmtc_tflite.graph.model import Op, Subgraph, Tensor
from fmtc_tflite.graph.operators import constants
from fmtc_tflite.regions.kinds.facts import is_4d, quantized, require, require_same_quantization
from fmtc_tflite.regions.ops import OpBuilder, RegionOp, RegionTensor

_REDUCTIONS = ("MEAN", "SUM", "REDUCE_MAX")
_ROWS, _COLUMNS, _CHANNELS = range(3)


class _Reduction(NamedTuple):
    """One of the reductions.

    Attributes:
      order: for each axis of its input behind the batch, which of rows, columns and channels it is.
      left: of rows and columns, those that are not reduced behind it.
    """

    op: Op
    order: tuple[int, ...]
    left: frozenset[int]


@dataclass(frozen=True, eq=False)
class ChannelsFirst:
    """A TRANSPOSE and the reductions behind it, the last of which leaves the channels only."""

    transpose: Op
    reductions: tuple[_Reduction, ...]

    what = "reductions of what is transposed"
    keeps_batch = True

    @property
    def ops(self) -> tuple[Op, ...]:
        return self.transpose, *(each.op for each in self.reductions)

    def built(self, build: OpBuilder, tensor_of: Callable[[Tensor], RegionTensor]) -> tuple[RegionOp, ...]:
        """The reductions of what the TRANSPOSE reads."""
        source, moved = self.transpose.inputs[0], self.transpose.outputs[0]
        assert source is not None
        assert moved is not None
        require(is_4d(source, moved), "its tensors are not of rank 4")
        require_same_quantization(quantized(source), quantized(moved))
        x = tensor_of(source)
        found: list[RegionOp] = []
        for each in self.reductions:
            result = each.op.outputs[0]
            assert result is not None
            height, width = (size if axis in each.left else 1 for axis, size in enumerate((x.height, x.width)))
            is_last = each is self.reductions[-1]
            y = tensor_of(result)
            forms = {
                each.op.inputs[0]: replace(x, order=each.order),
                result: replace(y, height=height, width=width, channels=x.channels),
            }
            (built,) = build(each.op, forms.__getitem__)
            found.append(replace(built, source=each.op if is_last else None, inputs=(x,)))
            x = built.output
        return tuple(found)


def find_channels_first(subgraph: Subgraph) -> dict[Op, ChannelsFirst]:
    """Each op of such ones, with the others."""
    view = GraphView(subgraph)
    found: dict[Op, ChannelsFirst] = {}
    for op in subgraph.ops:
        if op.opcode != "TRANSPOSE":
            continue
        try:
            reductions = tuple(_reductions(view, op))
        except ModelFormatError:
            continue
        if reductions and not reductions[-1].left:
            joined = ChannelsFirst(op, reductions)
            found |= dict.fromkeys(joined.ops, joined)
    return found


def _reductions(view: GraphView, transpose: Op) -> Iterator[_Reduction]:
    """Those of rows and columns that follow, as far as nobody else reads what is between."""
    axes = constants.integers(transpose, 1)
    if sorted(axes) != [0, 1, 2, 3] or axes[0] != 0:
        return
    order, left = tuple(axis - 1 for axis in axes[1:]), frozenset((_ROWS, _COLUMNS))
    op = view.only_reader(transpose)
    while left and op is not None and op.opcode in _REDUCTIONS:
        reduced = constants.axes(op, len(order) + 1)
        if not reduced or reduced[0] == 0 or not {order[axis - 1] for axis in reduced} <= left:
            return
        left -= {order[axis - 1] for axis in reduced}
        yield _Reduction(op, order, left)
        if not op.options.keepDims:
            order = tuple(kind for axis, kind in enumerate(order, 1) if axis not in reduced)
        op = view.only_reader(op)
