"""Inserting encode and decode ops.

FMTC_ENCODE comes directly after the producer, each FMTC_DECODE directly before the first of its consumers. New tensors,
buffers and operator codes go to the end of their lists, so that `restore` gives back exactly what was there before.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import flexbuffers

from fmtc_tflite.graph.convertible import check_rewritable
from fmtc_tflite.graph.edits.rotate import RotatedConvolution, rotate
from fmtc_tflite.graph.edits.unused import drop_unused
from fmtc_tflite.graph.graph_view import GraphView
from fmtc_tflite.graph.model import CUSTOM_CODE, Buffer, Model, Op, Tensor
from fmtc_tflite.graph.names import (
    CODED_SUFFIX,
    DECODE,
    DECODED_SUFFIX,
    ENCODE,
    OP_VERSION,
    SIDE_INFORMATION_SUFFIX,
)
from fmtc_tflite.graph.sites import Site

MAX_OPS_BETWEEN_SHARERS = 1
_VERSION_AT = 4  # in side information


@dataclass(frozen=True, eq=False)
class SiteInsertion:
    """One feature map to be coded.

    Attributes:
      side_information: the constant that both ops read, as `FORMAT.md` defines it.
      item_capacity: bytes of the coded tensor per batch item; its shape is [N, item_capacity].
      folded: the map is not stored. Its decoders read the coded form of what its producer reads, which an earlier
        insertion has, and the producer is taken out with its constants, since their synthesis does its work.
      rotated: the producer, a CONV_2D, gets these constants and no activation, and what it then writes is encoded.
    """

    site: Site
    side_information: bytes
    item_capacity: int
    folded: bool = False
    rotated: RotatedConvolution | None = None


def insert_codec(model: Model, insertions: Sequence[SiteInsertion]) -> None:
    """Inserts the encode and decode ops of feature maps into the model, in place.

    Args:
      insertions: each map at most once, in execution order.

    Raises:
      UnsupportedModelError: see check_rewritable.
    """
    check_rewritable(model)
    if not insertions:
        return
    inserter = _Inserter(model, insertions)
    for insertion in insertions:
        inserter.insert(insertion)
    inserter.finish()


class _Inserter:
    """Adds the ops of one insertion after another, and puts all ops in order at the end."""

    def __init__(self, model: Model, insertions: Sequence[SiteInsertion]) -> None:
        self._model = model
        self._codes = {name: _custom_code(name) for name in (ENCODE, DECODE)}
        model.operator_codes += self._codes.values()
        self._views = {subgraph: GraphView(subgraph) for subgraph in model.subgraphs}
        self._removed = {i.site.producer for i in insertions if i.folded}
        self._before: dict[Op, list[Op]] = {}
        self._after: dict[Op, list[Op]] = {}
        self._coded: dict[Tensor | None, Tensor] = {}  # feature map -> its coded form

    def insert(self, insertion: SiteInsertion) -> None:
        """Encodes a map after its producer, unless it is folded, and decodes it before its consumers."""
        site, tensor = insertion.site, insertion.site.tensor
        side_information = self._side_information(insertion)
        if insertion.folded:
            coded = self._coded[site.producer.inputs[0]]
        else:
            coded = self._coded[tensor] = self._coded_tensor(insertion)
            source = tensor if insertion.rotated is None else rotate(self._model, site, insertion.rotated)
            encode = Op(self._codes[ENCODE], [source, side_information], [coded], custom_options=_options(insertion))
            self._after.setdefault(site.producer, []).append(encode)
        consumers = [op for op in site.consumers if op not in self._removed]
        for number, group in enumerate(share_decodes(consumers, self._views[site.subgraph]), start=1):
            decoded = _decoded_tensor(tensor, self._model.buffers[0], number)
            site.subgraph.tensors.append(decoded)
            decode = Op(self._codes[DECODE], [coded, side_information], [decoded], custom_options=_options(insertion))
            self._before.setdefault(group[0], []).append(decode)
            for op in group:
                op.inputs = [decoded if t is tensor else t for t in op.inputs]

    def finish(self) -> None:
        """Puts the ops in their places, and drops the constants of those that are taken out."""
        for subgraph in self._model.subgraphs:
            ops, removed = [], [op for op in subgraph.ops if op in self._removed]
            for op in subgraph.ops:
                kept = [] if op in self._removed else [op]
                ops += [*self._before.get(op, []), *kept, *self._after.get(op, [])]
            subgraph.ops = ops
            if removed:
                drop_unused(self._model, subgraph, removed)

    def _side_information(self, insertion: SiteInsertion) -> Tensor:
        constant = Tensor(
            name=insertion.site.name + SIDE_INFORMATION_SUFFIX,
            shape=(len(insertion.side_information),),
            type=schema.TensorType.UINT8,
            buffer=Buffer(np.frombuffer(insertion.side_information, np.uint8)),
        )
        self._model.buffers.append(constant.buffer)
        insertion.site.subgraph.tensors.append(constant)
        return constant

    def _coded_tensor(self, insertion: SiteInsertion) -> Tensor:
        tensor = insertion.site.tensor
        batch_is_unknown = tensor.shape_signature is not None and tensor.shape_signature[:1] == (-1,)
        coded = Tensor(
            name=tensor.name + CODED_SUFFIX,
            shape=(tensor.shape[0], insertion.item_capacity),
            shape_signature=(-1, insertion.item_capacity) if batch_is_unknown else None,
            type=schema.TensorType.UINT8,
            buffer=self._model.buffers[0],
        )
        insertion.site.subgraph.tensors.append(coded)
        return coded


def _decoded_tensor(tensor: Tensor, no_data: Buffer, number: int) -> Tensor:
    return Tensor(
        name=tensor.name + DECODED_SUFFIX + (f"_{number}" if number > 1 else ""),
        shape=tensor.shape,
        shape_signature=tensor.shape_signature,
        type=tensor.type,
        buffer=no_data,
        quantization=tensor.quantization,
        raw=schema.TensorT(hasRank=tensor.raw.hasRank),
    )


def _options(insertion: SiteInsertion) -> bytes:
    """Options of ENCODE and DECODE: the grid is that of what is encoded, everything else that of the feature map."""
    site, tensor = insertion.site, insertion.site.tensor
    stored = site.producer.inputs[0] if insertion.folded else tensor
    assert stored is not None
    options = {
        "format_version": insertion.side_information[_VERSION_AT],
        "height": stored.shape[1],
        "width": stored.shape[2],
        "channels": tensor.shape[3],
        "type": str(tensor.dtype),
        "tensor": tensor.name.encode("utf-8", "replace").decode("utf-8"),
    }
    if stored.shape[1:3] != tensor.shape[1:3]:
        strides = site.producer.options
        options |= {"stride_height": strides.strideH, "stride_width": strides.strideW}
    return bytes(flexbuffers.Dumps(options))


def _custom_code(name: str) -> Any:
    return schema.OperatorCodeT(
        deprecatedBuiltinCode=CUSTOM_CODE, builtinCode=CUSTOM_CODE, customCode=name.encode(), version=OP_VERSION
    )


def share_decodes(consumers: Iterable[Op], view: GraphView) -> list[list[Op]]:
    """Groups the consumers of a map (in execution order) by the decode they share.

    A consumer shares the previous consumer's decode if at most one op lies between them; otherwise it gets a decode of
    its own, so that in between only the coded form lives.
    """
    groups: list[list[Op]] = []
    previous = None
    for op in consumers:
        position = view.position(op)
        if previous is not None and position - previous - 1 <= MAX_OPS_BETWEEN_SHARERS:
            groups[-1].append(op)
        else:
            groups.append([op])
        previous = position
    return groups
