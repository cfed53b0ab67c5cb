"""Convolutions between SPACE_TO_BATCH_ND and BATCH_TO_SPACE_ND: each three are one dilated convolution.

Batch item (i, j) of a block holds every so many rows and columns from (i, j) on, so that taps beside each other there
are as far apart in the map as the block is large. What is put around the map is the zero point, as a convolution's own
padding is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from fmtc_tflite.errors import ModelFormatError
from fmtc_tflite.graph.graph_view import GraphView
from fmtc_tflite.graph.model import Op, Subgraph, Tensor
from fmtc_tflite.graph.operators import constants
from fmtc_tflite.graph.operators.window import Window, WindowAxis
from fmtc_tflite.regions.kinds.facts import have_same_quantization, is_4d, quantized, require
from fmtc_tflite.regions.kinds.multiply_accumulate import Conv, Depthwise
from fmtc_tflite.regions.kinds.windows import check_window
from fmtc_tflite.regions.ops import OpBuilder, RegionOp, RegionTensor

_CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D")


@dataclass(frozen=True, eq=False)
class Dilation:
    """Three ops that follow one another; nobody else reads what lies between them.

    Attributes:
      blocks: rows and columns of a block.
      paddings: rows above and columns on the left that are put before the map.
      crops: that are taken off the result.
    """

    spread: Op
    convolution: Op
    gather: Op
    blocks: tuple[int, int]
    paddings: tuple[int, int]
    crops: tuple[int, int]

    what = "one dilated convolution"
    keeps_batch = False

    @property
    def ops(self) -> tuple[Op, ...]:
        return self.spread, self.convolution, self.gather

    def built(self, build: OpBuilder, tensor_of: Callable[[Tensor], RegionTensor]) -> tuple[RegionOp, ...]:
        """The dilated convolution."""
        source, result = self.spread.inputs[0], self.gather.outputs[0]
        own = [*self.convolution.inputs[:1], *self.convolution.outputs]
        assert source is not None
        assert result is not None
        for outer, within in zip((source, result), own, strict=True):
            assert within is not None
            require(is_4d(outer, within), "its tensors are not of rank 4")
            same = have_same_quantization(quantized(outer), quantized(within))
            require(same, "its input and output have different scales or zero points")
        require(source.shape[0] == result.shape[0], "it does not keep the batch")
        # Everything of the convolution but its place: the tensors within are nobody's.
        (convolution,) = build(self.convolution, tensor_of)
        assert isinstance(convolution, (Conv, Depthwise))
        inner = convolution.window
        sizes = zip((inner.rows, inner.columns), source.shape[1:3], result.shape[1:3], strict=True)
        rows, columns = (_axis(self, number, *axis) for number, axis in enumerate(sizes))
        window = Window(rows, columns)
        check_window(window)
        inputs, output = (tensor_of(source),), tensor_of(result)
        return (replace(convolution, source=self.gather, inputs=inputs, output=output, window=window),)


def find_dilations(subgraph: Subgraph) -> dict[Op, Dilation]:
    """Each op of such three, with them."""
    view = GraphView(subgraph)
    found: dict[Op, Dilation] = {}
    for op in subgraph.ops:
        dilation = _dilation(view, op) if op.opcode == "SPACE_TO_BATCH_ND" else None
        if dilation is not None:
            found |= dict.fromkeys(dilation.ops, dilation)
    return found


def _dilation(view: GraphView, spread: Op) -> Dilation | None:
    convolution = view.only_reader(spread)
    gather = None if convolution is None else view.only_reader(convolution)
    if convolution is None or gather is None:
        return None
    if convolution.opcode not in _CONVOLUTIONS or gather.opcode != "BATCH_TO_SPACE_ND":
        return None
    try:
        blocks, around = constants.integers(spread, 1), constants.integers(spread, 2)
        others, crops = constants.integers(gather, 1), constants.integers(gather, 2)
    except ModelFormatError:
        return None
    if (len(blocks), len(around), len(crops)) != (2, 4, 4) or others != blocks or min(blocks) < 1:
        return None
    pads, cut = (around[0], around[2]), (crops[0], crops[2])
    return Dilation(spread, convolution, gather, (blocks[0], blocks[1]), pads, cut)


def _axis(dilation: Dilation, number: int, inner: WindowAxis, size: int, outputs: int) -> WindowAxis:
    """The window along rows (0) or columns (1) of the map."""
    block = dilation.blocks[number]
    require(inner.stride == 1, "it has a stride between blocks of the map")
    before = dilation.paddings[number] - dilation.crops[number] + block * inner.before
    require(before >= 0, "it crops more than it pads")
    within = dilation.crops[number] + outputs <= block * inner.outputs
    require(within, "its blocks do not make its output")
    axis = replace(inner, size=size, outputs=outputs, dilation=block * inner.dilation, before=before)
    return replace(axis, after=max(outputs - 1 + axis.extent - before - size, 0))
