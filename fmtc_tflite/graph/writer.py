"""Model objects to .tflite bytes.

The schema's `Pack` does most of the work. Two things it leaves out are added here: constant buffers are aligned to 16
bytes (the schema's force_align, which the Python flatbuffers package ignores), and data in the file's tail, behind the
flatbuffer, is laid out again.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import flatbuffers
import numpy as np

from fmtc_tflite.graph.associated_files import append_associated_files
from fmtc_tflite.graph.flatbuffer_check import FILE_IDENTIFIER
from fmtc_tflite.graph.schema import schema

if TYPE_CHECKING:
    from fmtc_tflite.graph.model import Buffer, Model, Op, Subgraph, Tensor

ALIGNMENT = 16  # bytes; XNNPACK and the codec load constants with aligned vectors in mind
MAX_INLINE_BYTES = 2_000_000_000  # a flatbuffer ends at 2^31 bytes; beyond this the constants go to the tail


class _Indices:
    """Object -> index, by identity."""

    def __init__(self, objects: Sequence[object]) -> None:
        self._by_id = {id(item): index for index, item in enumerate(objects)}

    def of(self, item: object | None) -> int:
        """The index; -1 for None, which is how the schema says 'no tensor'."""
        return -1 if item is None else self._by_id[id(item)]


class _Tail:
    """What lies behind the flatbuffer: aligned chunks at offsets that count from the start of the file."""

    def __init__(self, start: int) -> None:
        self._position = start
        self.chunks: list[bytes | memoryview] = []

    def add(self, chunk: bytes | memoryview) -> int:
        """Appends a chunk and returns its offset."""
        padding = -self._position % ALIGNMENT
        self.chunks += [bytes(padding), chunk]
        offset = self._position + padding
        self._position = offset + len(chunk)
        return offset


class _AlignedBuffer(schema.BufferT):  # type: ignore[misc]
    def Pack(self, builder: flatbuffers.Builder) -> int:
        if self.data is not None and self.data.size:
            builder.Prep(ALIGNMENT, self.data.size)
        return int(super().Pack(builder))


def serialize(model: Model) -> bytes:
    """See Model.to_bytes."""
    inline_bytes = sum(buffer.size for buffer in model.buffers if not buffer.in_tail)
    all_in_tail = inline_bytes > MAX_INLINE_BYTES
    initial_bytes = 1 << 16 if all_in_tail else inline_bytes + (1 << 16)

    # The length of the flatbuffer does not depend on the offsets in it (none is 0): measure first, then lay out.
    tail = _Tail(start=ALIGNMENT)
    flatbuffer = _pack(model, tail, all_in_tail, initial_bytes)
    if tail.chunks:
        tail = _Tail(start=len(flatbuffer))
        flatbuffer = _pack(model, tail, all_in_tail, initial_bytes)
    content = b"".join([flatbuffer, *tail.chunks]) if tail.chunks else bytes(flatbuffer)
    return append_associated_files(content, model.associated_files)


def _pack(model: Model, tail: _Tail, all_in_tail: bool, initial_bytes: int) -> bytearray:
    builder = flatbuffers.Builder(initial_bytes)
    builder.Finish(_model_object(model, tail, all_in_tail).Pack(builder), file_identifier=FILE_IDENTIFIER)
    return builder.Output()


def _model_object(model: Model, tail: _Tail, all_in_tail: bool) -> Any:
    buffers = _Indices(model.buffers)
    packed = copy.copy(model.raw)
    packed.operatorCodes = _list(model.operator_codes, model.raw.operatorCodes)
    codes = _Indices(model.operator_codes)
    packed.subgraphs = [_subgraph_object(subgraph, codes, buffers, tail) for subgraph in model.subgraphs]
    packed.description = _text(model.description, model.raw.description)
    packed.buffers = _list([_buffer_object(buffer, tail, all_in_tail) for buffer in model.buffers], model.raw.buffers)
    packed.metadata = _list(
        [schema.MetadataT(_text(entry.name), buffers.of(entry.buffer)) for entry in model.metadata_entries],
        model.raw.metadata,
    )
    packed.metadataBuffer = _integers([buffers.of(b) for b in model.metadata_buffers], model.raw.metadataBuffer)
    packed.signatureDefs = _list([_signature_object(s) for s in model.signatures], model.raw.signatureDefs)
    return packed


def _buffer_object(buffer: Buffer, tail: _Tail, all_in_tail: bool) -> Any:
    if buffer.data is not None and buffer.size and (buffer.in_tail or all_in_tail):
        return schema.BufferT(offset=tail.add(buffer.data.data), size=buffer.size)
    return _AlignedBuffer(data=buffer.data)


def _subgraph_object(subgraph: Subgraph, codes: _Indices, buffers: _Indices, tail: _Tail) -> Any:
    tensors = _Indices(subgraph.tensors)
    packed = copy.copy(subgraph.raw)
    packed.name = _text(subgraph.name, subgraph.raw.name)
    packed.tensors = _list([_tensor_object(t, buffers) for t in subgraph.tensors], subgraph.raw.tensors)
    packed.operators = _list([_op_object(op, codes, tensors.of, tail) for op in subgraph.ops], subgraph.raw.operators)
    packed.inputs = _integers([tensors.of(t) for t in subgraph.inputs], subgraph.raw.inputs)
    packed.outputs = _integers([tensors.of(t) for t in subgraph.outputs], subgraph.raw.outputs)
    return packed


def _tensor_object(tensor: Tensor, buffers: _Indices) -> Any:
    packed = copy.copy(tensor.raw)
    packed.name = _text(tensor.name, tensor.raw.name)
    packed.shape = _integers(tensor.shape, tensor.raw.shape)
    signature = tensor.shape_signature
    packed.shapeSignature = None if signature is None else np.array(signature, np.int32)
    packed.type = tensor.type
    packed.buffer = buffers.of(tensor.buffer)
    packed.isVariable = tensor.is_variable
    packed.quantization = tensor.quantization
    return packed


def _op_object(op: Op, codes: _Indices, index_of: Callable[[Tensor | None], int], tail: _Tail) -> Any:
    packed = copy.copy(op.raw)
    packed.opcodeIndex = codes.of(op.code)
    packed.inputs = _integers([index_of(t) for t in op.inputs], op.raw.inputs)
    packed.outputs = _integers([index_of(t) for t in op.outputs], op.raw.outputs)
    packed.intermediates = _integers([index_of(t) for t in op.intermediates], op.raw.intermediates)
    if op.custom_options_in_tail:
        packed.customOptions = None
        packed.largeCustomOptionsOffset = tail.add(op.custom_options)
        packed.largeCustomOptionsSize = len(op.custom_options)
    elif op.custom_options or op.raw.customOptions is not None:
        packed.customOptions = np.frombuffer(op.custom_options, np.uint8)
    return packed


def _signature_object(signature: Any) -> Any:
    tensors = _Indices(signature.subgraph.tensors)
    packed = copy.copy(signature.raw)
    packed.signatureKey = _text(signature.key, signature.raw.signatureKey)
    packed.subgraphIndex = signature.subgraph.index
    for field, pairs in (("inputs", signature.inputs), ("outputs", signature.outputs)):
        maps = [schema.TensorMapT(_text(name), tensors.of(tensor)) for name, tensor in pairs]
        setattr(packed, field, _list(maps, getattr(signature.raw, field)))
    return packed


# A field that the file did not have stays absent as long as there is nothing to put in it.


def _text(value: str | None, original: object = "") -> bytes | None:
    return value.encode("utf-8", "surrogateescape") if value or (value == "" and original is not None) else None


def _integers(values: Sequence[int], original: object) -> np.ndarray | None:
    return np.array(values, np.int32) if values or original is not None else None


def _list(values: list[Any], original: object) -> list[Any] | None:
    return values if values or original is not None else None
