""".tflite files to model objects; `Model.to_bytes` is the way back.

Files are untrusted: whatever is wrong with one raises ModelFormatError with one line, and time and memory stay
proportional to the file's size. Constant data is not copied, buffers are views of the file's bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from fmtc_tflite.errors import ModelFormatError
from fmtc_tflite.graph.associated_files import read_associated_files
from fmtc_tflite.graph.flatbuffer_check import MeteredBytes, check_identifier, check_objects, check_structure
from fmtc_tflite.graph.model import (
    Buffer,
    MetadataEntry,
    Model,
    Op,
    Signature,
    Subgraph,
    Tensor,
    decode_text,
)
from fmtc_tflite.graph.model_check import check_model
from fmtc_tflite.graph.schema import schema

__all__ = ["Buffer", "MetadataEntry", "Model", "Op", "Signature", "Subgraph", "Tensor", "load_model"]

MAX_FILE_BYTES = (1 << 31) - 1  # offsets in a flatbuffer have 31 bits
_FIRST_BYTES = 64  # that tell what a file is
_CHUNK_BYTES = 1 << 24

_Item = TypeVar("_Item")

# What the schema's classes raise on damaged tables that the structure check does not cover.
_SCHEMA_ERRORS = (struct.error, ValueError, TypeError, IndexError, KeyError, AttributeError, OverflowError)


def load_model(source: str | Path | bytes) -> Model:
    """Reads a .tflite model from a path or from its bytes.

    Raises:
      ModelFormatError: not a TFLite file, truncated, damaged or inconsistent.
      OSError: the file cannot be read.
    """
    if isinstance(source, bytes):
        return _Loader(source).load(None)
    path = Path(source)
    try:
        return _Loader(read_content(path)).load(path)
    except ModelFormatError as error:
        raise ModelFormatError(f"{path}: {error}") from error


def load_fragment(content: bytes) -> Model:
    """Reads a model whose constants are still to be filled in. Load it again from its bytes when they are.

    Raises:
      ModelFormatError: no TFLite model, or a damaged one.
    """
    return _Loader(content).load(None, is_whole=False)


def read_content(path: Path) -> bytes:
    """The bytes of a model file; no more than the first ones of what is none.

    Raises:
      ModelFormatError: not a TFLite file, or larger than the format allows.
      OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        content = bytearray(file.read(_FIRST_BYTES))
        check_identifier(bytes(content))
        while len(content) <= MAX_FILE_BYTES and (chunk := file.read(_CHUNK_BYTES)):
            content += chunk
    if len(content) > MAX_FILE_BYTES:
        raise ModelFormatError(f"larger than {MAX_FILE_BYTES} bytes, which a TFLite model cannot be")
    return bytes(content)


class _Loader:
    def __init__(self, content: bytes) -> None:
        self._content = content
        self._model_end = check_structure(content)
        self._buffers: list[Buffer] = []
        self._codes: list[Any] = []

    def load(self, path: Path | None, is_whole: bool = True) -> Model:
        raw = self._unpack()
        _require(bool(raw.subgraphs), "the model has no subgraph")
        self._codes = raw.operatorCodes or []
        self._buffers = [self._buffer(item, index) for index, item in enumerate(raw.buffers or [])]
        _require(not self._buffers or not self._buffers[0].size, "buffer 0 has data; it must be empty")
        subgraphs = [self._subgraph(item, index) for index, item in enumerate(raw.subgraphs)]
        model = Model(
            subgraphs=subgraphs,
            operator_codes=self._codes,
            buffers=self._buffers,
            metadata_entries=[
                MetadataEntry(decode_text(item.name), self._buffer_at(item.buffer, "metadata"))
                for item in raw.metadata or []
            ],
            metadata_buffers=[
                self._buffer_at(int(index), "metadata_buffer") for index in _sequence(raw.metadataBuffer)
            ],
            signatures=[_signature(item, subgraphs) for item in raw.signatureDefs or []],
            description=None if raw.description is None else decode_text(raw.description),
            associated_files=read_associated_files(self._content, self._model_end),
            path=path,
            raw=raw,
        )
        _check_called_subgraphs(model)
        if is_whole:
            check_model(model)
        return model

    def _unpack(self) -> Any:
        content = MeteredBytes(self._content)
        try:
            raw = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content))
        except _SCHEMA_ERRORS as error:
            raise ModelFormatError(f"damaged TFLite model: {error}; copy or convert it again") from error
        check_objects(raw, len(content))
        return raw

    def _slice(self, offset: int, size: int, what: str) -> memoryview:
        _require(
            offset + size <= len(self._content),
            f"{what} lies at bytes {offset} to {offset + size} of a file of {len(self._content)} bytes",
        )
        self._model_end = max(self._model_end, offset + size)
        return memoryview(self._content)[offset : offset + size]

    def _buffer(self, raw: Any, index: int) -> Buffer:
        if raw.offset > 1:  # 1 is the placeholder of writers that have not laid out the tail yet
            view = self._slice(raw.offset, raw.size, f"buffer {index}")
            return Buffer(np.frombuffer(view, np.uint8), in_tail=True)
        return Buffer(raw.data)

    def _buffer_at(self, index: int, user: str) -> Buffer:
        return _item(self._buffers, index, f"buffer of {user}")

    def _subgraph(self, raw: Any, index: int) -> Subgraph:
        where = f"subgraph {index}"
        tensors = [self._tensor(item, f"{where}, tensor {i}") for i, item in enumerate(raw.tensors or [])]
        return Subgraph(
            name=decode_text(raw.name),
            index=index,
            tensors=tensors,
            ops=[self._op(item, tensors, f"{where}, op {i}") for i, item in enumerate(raw.operators or [])],
            inputs=[_item(tensors, i, f"input of {where}") for i in _sequence(raw.inputs)],
            outputs=[_item(tensors, i, f"output of {where}") for i in _sequence(raw.outputs)],
            raw=raw,
        )

    def _tensor(self, raw: Any, where: str) -> Tensor:
        return Tensor(
            name=decode_text(raw.name),
            shape=tuple(_sequence(raw.shape)),
            shape_signature=None if raw.shapeSignature is None else tuple(_sequence(raw.shapeSignature)),
            type=raw.type,
            buffer=self._buffer_at(raw.buffer, where),
            is_variable=raw.isVariable,
            quantization=raw.quantization,
            raw=raw,
        )

    def _op(self, raw: Any, tensors: list[Tensor], where: str) -> Op:
        def optional(indices: Any, role: str) -> list[Tensor | None]:
            return [None if i == -1 else _item(tensors, i, f"{role} of {where}") for i in _sequence(indices)]

        in_tail = raw.largeCustomOptionsOffset > 1
        if in_tail:
            options = bytes(
                self._slice(raw.largeCustomOptionsOffset, raw.largeCustomOptionsSize, f"custom options of {where}")
            )
        else:
            options = b"" if raw.customOptions is None else raw.customOptions.tobytes()
        return Op(
            code=_item(self._codes, raw.opcodeIndex, f"operator code of {where}"),
            inputs=optional(raw.inputs, "input"),
            outputs=optional(raw.outputs, "output"),
            intermediates=optional(raw.intermediates, "intermediate"),
            custom_options=options,
            custom_options_in_tail=in_tail,
            raw=raw,
        )


def _signature(raw: Any, subgraphs: list[Subgraph]) -> Signature:
    where = f"signature '{decode_text(raw.signatureKey)}'"
    subgraph = _item(subgraphs, raw.subgraphIndex, f"subgraph of {where}")

    def pairs(maps: Any) -> list[tuple[str, Tensor]]:
        return [(decode_text(m.name), _item(subgraph.tensors, m.tensorIndex, f"tensor of {where}")) for m in maps or []]

    return Signature(decode_text(raw.signatureKey), subgraph, pairs(raw.inputs), pairs(raw.outputs), raw)


def _check_called_subgraphs(model: Model) -> None:
    for subgraph in model.subgraphs:
        for position, op in enumerate(subgraph.ops):
            for index in op.called_subgraphs():
                _item(model.subgraphs, index, f"subgraph called by subgraph {subgraph.index}, op {position}")


def _sequence(vector: Any) -> list[int]:
    """A vector of the file as plain integers; absent ones are empty."""
    return [] if vector is None else [int(value) for value in vector]


def _item(items: Sequence[_Item], index: int, what: str) -> _Item:
    _require(0 <= index < len(items), f"the {what} has the index {index}, there are {len(items)}")
    return items[index]


def _require(condition: bool, problem: str) -> None:
    if not condition:
        raise ModelFormatError(f"inconsistent TFLite model: {problem}")
