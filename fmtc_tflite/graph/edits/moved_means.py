"""Means of maps that were moved to [N, C, H, W] first: two MEANs, of columns and of rows, behind a TRANSPOSE.

Exporters from PyTorch write a global average so. Each MEAN is the same of the map as it was, and the TRANSPOSE is gone.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fmtc_tflite.errors import ModelFormatError
from fmtc_tflite.graph.graph_view import GraphView
from fmtc_tflite.graph.model import Buffer, Op, Subgraph, Tensor
from fmtc_tflite.graph.operators import constants

_ORDER = [0, 3, 1, 2]
_ROWS, _COLUMNS = 1, 2  # where they were; moved they are axes 2 and 3


def means_without_moves(subgraph: Subgraph) -> None:
    """Rewrites such ops of a subgraph where nobody else reads what lies between them."""
    view = GraphView(subgraph)
    for move in list(subgraph.ops):
        columns = _only_reader(subgraph, view, move) if _moves_channels(move) else None
        rows = None if columns is None else _only_reader(subgraph, view, columns)
        if columns is None or rows is None or not (_is_mean(columns, 3) and _is_mean(rows, 2)):
            continue
        source, moved, between = move.inputs[0], move.outputs[0], columns.outputs[0]
        if source is None or moved is None or between is None or not _is_alike(source, moved):
            continue
        batch, height, _, channels = source.shape
        between.shape, between.shape_signature = (batch, height, 1, channels), None
        columns.options.keepDims = True
        columns.inputs = [source, _axes(columns, _COLUMNS)]
        # Its one column goes with the rows.
        rows.inputs = [between, _axes(rows, _ROWS, _COLUMNS)]
        subgraph.ops.remove(move)


def _is_alike(source: Tensor, moved: Tensor) -> bool:
    same = (source.scale, source.zero_point, source.type) == (moved.scale, moved.zero_point, moved.type)
    return same and len(source.shape) == len(_ORDER)


def _only_reader(subgraph: Subgraph, view: GraphView, op: Op) -> Op | None:
    result = op.outputs[0]
    if result is None or result in subgraph.outputs or len(view.consumers(result)) != 1:
        return None
    reader = view.consumer_ops(result)[0]
    return reader if reader.inputs[0] is result else None


def _moves_channels(op: Op) -> bool:
    try:
        return op.opcode == "TRANSPOSE" and len(op.outputs) == 1 and constants.integers(op, 1) == _ORDER
    except ModelFormatError:
        return False


def _is_mean(op: Op, axis: int) -> bool:
    try:
        ends_flat = not op.options.keepDims
        return op.opcode == "MEAN" and ends_flat and constants.integers(op, 1) in ([axis], [axis - 4])
    except (ModelFormatError, AttributeError):
        return False


def _axes(op: Op, *axes: int) -> Tensor:
    """The constant that names the axes."""
    old = op.inputs[1]
    assert old is not None
    values = Buffer(np.array(axes, np.int32).view(np.uint8))
    return replace(old, shape=(len(axes),), buffer=values, shape_signature=None)
