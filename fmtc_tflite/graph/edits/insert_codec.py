"""Inserting encode and decode ops.

FMTC_ENCODE comes directly after the producer, each FMTC_DECODE directly before the first of its consumers. New tensors,
buffers and operator codes go to the end of their lists, so that `restore` gives back exactly what was there before.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
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
    TABLE_SUFFIX,
    VIEW_FORMAT_VERSION,
)
from fmtc_tflite.graph.operators.views import View
from fmtc_tflite.graph.removed_ops import RemovedOp, record_removed
from fmtc_tflite.graph.schema import schema
from fmtc_tflite.graph.sites import Site
from fmtc_tflite.graph.view_options import view_options

MAX_OPS_BETWEEN_SHARERS = 1
_VERSION_AT = 4  # in side information


@dataclass(frozen=True, eq=False)
class SiteCopy:
    """A feature map that only says another one again: its decoders write a view of that one, its producer is taken out.

    Attributes:
      site: the copy.
      view: what it is of the map that is coded.
    """

    site: Site
    view: View


@dataclass(frozen=True, eq=False)
class SiteInsertion:
    """One feature map to be coded.

    Attributes:
      side_information: the constant that both ops read, as `FORMAT.md` defines it.
      item_capacity: bytes of the coded tensor per batch item; its shape is [N, item_capacity].
      folded: the map is not stored. Its decoders read the coded form of what its producer reads, which an earlier
        insertion has, and the producer is taken out with its constants, since their synthesis does its work.
      kernels: of a folded map, the kernels whose results its decoders give.
      rotated: the producer, a CONV_2D, gets these constants and no activation, and what it then writes is encoded.
      copies: maps that only say this one again.
    """

    site: Site
    side_information: bytes
    item_capacity: int
    folded: bool = False
    kernels: str | None = None
    rotated: RotatedConvolution | None = None
    copies: Sequence[SiteCopy] = ()


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
        self._copying = {c.site.producer: c.site.subgraph for i in insertions for c in i.copies}
        self._removed = {i.site.producer for i in insertions if i.folded} | self._copying.keys()
        self._decoded: dict[Tensor, Tensor] = {}  # what decoders write of copies -> the copies
        self._before: dict[Op, list[Op]] = {}
        self._after: dict[Op, list[Op]] = {}
        self._coded: dict[Tensor | None, Tensor] = {}  # feature map -> its coded form

    def insert(self, insertion: SiteInsertion) -> None:
        """Encodes a map after its producer, unless it is folded, and decodes it before its consumers."""
        site, tensor = insertion.site, insertion.site.tensor
        side_information = self._constant(
            site, SIDE_INFORMATION_SUFFIX, np.frombuffer(insertion.side_information, np.uint8)
        )
        if insertion.folded:
            coded = self._coded[site.producer.inputs[0]]
        else:
            coded = self._coded[tensor] = self._coded_tensor(insertion)
            source = tensor if insertion.rotated is None else rotate(self._model, site, insertion.rotated)
            encode = Op(self._codes[ENCODE], [source, side_information], [coded], custom_options=_options(insertion))
            self._after.setdefault(site.producer, []).append(encode)
        self._decode(site, [coded, side_information], _options(insertion))
        for copy in insertion.copies:
            tables = [] if copy.view.table is None else [self._constant(copy.site, TABLE_SUFFIX, copy.view.table)]
            options = _options(insertion, copy)
            self._decoded |= dict.fromkeys(
                self._decode(copy.site, [coded, side_information, *tables], options), copy.site.tensor
            )

    def _decode(self, site: Site, inputs: list[Tensor], options: bytes) -> list[Tensor]:
        """Decodes a map, or a view of it, before its consumers: what is written."""
        written = []
        consumers = [op for op in site.consumers if op not in self._removed]
        for number, group in enumerate(share_decodes(consumers, self._views[site.subgraph]), start=1):
            decoded = _decoded_tensor(site.tensor, self._model.buffers[0], number)
            site.subgraph.tensors.append(decoded)
            decode = Op(self._codes[DECODE], list(inputs), [decoded], custom_options=options)
            self._before.setdefault(group[0], []).append(decode)
            written.append(decoded)
            for op in group:
                op.inputs = [decoded if t is site.tensor else t for t in op.inputs]
        return written

    def finish(self) -> None:
        """Puts the ops in their places, drops what only folded ones used, and notes those that can come back."""
        for subgraph in self._model.subgraphs:
            ops, folded = [], [op for op in subgraph.ops if op in self._removed and op not in self._copying]
            for op in subgraph.ops:
                kept = [] if op in self._removed else [op]
                ops += [*self._before.get(op, []), *kept, *self._after.get(op, [])]
            subgraph.ops = ops
            if folded:
                drop_unused(self._model, subgraph, folded, kept=self._copying)
        if self._copying:
            removed = [RemovedOp(s, self._views[s].position(op), op) for op, s in self._copying.items()]
            record_removed(self._model, removed, self._decoded)

    def _constant(self, site: Site, suffix: str, values: np.ndarray) -> Tensor:
        """A constant of bytes that belongs to a map."""
        constant = Tensor(
            name=site.name + suffix,
            shape=(len(values),),
            type=schema.TensorType.UINT8,
            buffer=Buffer(values),
        )
        self._model.buffers.append(constant.buffer)
        site.subgraph.tensors.append(constant)
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


def _options(insertion: SiteInsertion, copy: SiteCopy | None = None) -> bytes:
    """Options of ENCODE and DECODE: the grid is that of what is encoded, everything else that of the feature map.

    Args:
      copy: for a DECODE that writes this view of the map.
    """
    site, tensor = insertion.site, insertion.site.tensor
    stored = site.producer.inputs[0] if insertion.folded else tensor
    assert stored is not None
    version, name = insertion.side_information[_VERSION_AT], tensor.name if copy is None else copy.site.name
    options: dict[str, Any] = {
        "format_version": version if copy is None else max(version, VIEW_FORMAT_VERSION),
        "height": stored.shape[1],
        "width": stored.shape[2],
        "channels": tensor.shape[3],
        "type": str(tensor.dtype),
        "tensor": name.encode("utf-8", "replace").decode("utf-8"),
    }
    if insertion.kernels is not None:
        options["kernels"] = insertion.kernels
    if stored.shape[1:3] != tensor.shape[1:3]:
        strides = site.producer.options
        options |= {"stride_height": strides.strideH, "stride_width": strides.strideW}
    if copy is not None:
        options |= view_options(copy.view, copy.site.tensor.dtype)
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
