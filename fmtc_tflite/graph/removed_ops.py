"""Ops that have left a converted graph because decoders do their work: kept in its metadata, so that they come back.

The entry is a small TFLite model with the ops and their options, and a directory of what they had: place in the graph,
operator code, tensors. Tensors, constants and operator codes themselves stay in the converted model.
"""

from __future__ import annotations

import json
import operator
import struct
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from fmtc_tflite.errors import ModelFormatError
from fmtc_tflite.graph.model import Buffer, Model, Op, Subgraph, Tensor
from fmtc_tflite.graph.model_io import load_fragment
from fmtc_tflite.graph.names import REMOVED_METADATA_NAME

_VERSION = 1
_MOST_OPS = 1 << 31
_HEAD = struct.Struct("<HHI")  # version, 0, bytes of the directory
_Item = TypeVar("_Item")
_DAMAGED = (struct.error, ValueError, TypeError, IndexError, KeyError, AttributeError, RecursionError)


@dataclass(frozen=True, eq=False)
class RemovedOp:
    """An op that is not in the graph any more.

    Attributes:
      position: in the original's order of execution.
      op: as it was; its tensors are those of the converted model.
    """

    subgraph: Subgraph
    position: int
    op: Op


@dataclass(frozen=True)
class Removed:
    """What has left a graph.

    Attributes:
      ops: by subgraph and position, ascending.
      decoded: what decoders write in the place of tensors that the ops wrote -> those tensors.
    """

    ops: tuple[RemovedOp, ...] = ()
    decoded: Mapping[Tensor, Tensor] = field(default_factory=dict)


def record_removed(model: Model, ops: Iterable[RemovedOp], decoded: Mapping[Tensor, Tensor]) -> None:
    """Writes the metadata entry of ops that have been taken out."""
    left = list(ops)
    tensors = {id(t): i for subgraph in model.subgraphs for i, t in enumerate(subgraph.tensors)}
    codes = {id(code): i for i, code in enumerate(model.operator_codes)}

    def numbers(items: Collection[Tensor | None]) -> list[int]:
        return [-1 if t is None else tensors[id(t)] for t in items]

    of_tensor = {t: subgraph.index for subgraph in model.subgraphs for t in subgraph.tensors}
    directory = {
        "ops": [
            [r.subgraph.index, r.position, codes[id(r.op.code)], numbers(r.op.inputs), numbers(r.op.outputs)]
            for r in left
        ],
        "decoded": [[of_tensor[t], *numbers([t, original])] for t, original in decoded.items()],
    }
    bare = [replace(r.op, inputs=[], outputs=[], intermediates=[]) for r in left]
    used = list({id(op.code): op.code for op in bare}.values())
    fragment = Model([Subgraph("", 0, [], bare, [], [])], used, [Buffer()])
    head = json.dumps(directory, separators=(",", ":")).encode()
    model.metadata[REMOVED_METADATA_NAME] = _HEAD.pack(_VERSION, 0, len(head)) + head + fragment.to_bytes()


def removed_ops(model: Model) -> Removed:
    """What has left the graph of a converted model; nothing where it does not say.

    Raises:
      ModelFormatError: the metadata is damaged, or of a newer version.
    """
    entry = model.metadata.get(REMOVED_METADATA_NAME)
    if entry is None:
        return Removed()
    try:
        return _read(model, entry)
    except _DAMAGED as error:
        raise ModelFormatError(
            f"the metadata '{REMOVED_METADATA_NAME}' is damaged: {error}; copy or convert the model again"
        ) from error


def _read(model: Model, entry: bytes) -> Removed:
    version, _, head_bytes = _HEAD.unpack_from(entry)
    if version != _VERSION:
        raise ModelFormatError(
            f"metadata '{REMOVED_METADATA_NAME}' of version {version}, expected {_VERSION}; update fmtc-tflite"
        )
    directory = json.loads(entry[_HEAD.size : _HEAD.size + head_bytes])
    bare = load_fragment(entry[_HEAD.size + head_bytes :]).subgraphs[0].ops
    found = []
    for op, (subgraph, position, code, inputs, outputs) in zip(bare, directory["ops"], strict=True):
        owner = _at(model.subgraphs, subgraph)
        op.code = _at(model.operator_codes, code)
        op.inputs = [None if i == -1 else _at(owner.tensors, i) for i in inputs]
        op.outputs = [None if i == -1 else _at(owner.tensors, i) for i in outputs]
        if not 0 <= operator.index(position) < _MOST_OPS:
            raise ValueError(f"it has an op at place {position}")
        found.append(RemovedOp(owner, position, op))
    decoded = {}
    for subgraph, written, original in directory["decoded"]:
        tensors = _at(model.subgraphs, subgraph).tensors
        decoded[_at(tensors, written)] = _at(tensors, original)
    return Removed(tuple(sorted(found, key=lambda r: (r.subgraph.index, r.position))), decoded)


def _at(items: Sequence[_Item], index: int) -> _Item:
    if not 0 <= index < len(items):
        raise ValueError(f"it numbers {index} of {len(items)}")
    return items[index]
