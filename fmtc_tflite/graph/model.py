"""The objects of a TFLite model: tensors and ops by identity, indices only while loading and saving.

Every object compares by identity. What the package does not interpret (options, sparsity, debug indices, quantization
details, ...) stays in `raw`, the schema's own object, and is written back as it was.

Order matters only where a file has it: `Subgraph.ops` is the execution order, and new tensors, buffers and operator
codes are appended at the end, which keeps the tensor indices valid that some quantization details contain.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from fmtc_tflite.graph import writer
from fmtc_tflite.graph.associated_files import AssociatedFile
from fmtc_tflite.graph.schema import schema

CUSTOM_CODE: int = schema.BuiltinOperator.CUSTOM

_OPCODE_NAMES: dict[int, str] = {
    value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)
}
_TYPE_NAMES: dict[int, str] = {value: name for name, value in vars(schema.TensorType).items() if isinstance(value, int)}
_NUMPY_TYPES = """FLOAT16 FLOAT32 FLOAT64 COMPLEX64 COMPLEX128 BOOL
                  INT8 INT16 INT32 INT64 UINT8 UINT16 UINT32 UINT64"""
_DTYPES: dict[int, np.dtype[Any]] = {
    getattr(schema.TensorType, name): np.dtype(name.lower()) for name in _NUMPY_TYPES.split()
}


@dataclass(eq=False)
class Buffer:
    """Constant bytes. Several tensors may share one. `data` is uint8 [bytes], or None where the file has none."""

    data: np.ndarray | None = None
    in_tail: bool = False  # behind the flatbuffer in the file, as writers do for models beyond 2 GB

    @property
    def size(self) -> int:
        """Bytes of data, 0 if there is none."""
        return 0 if self.data is None else self.data.size


@dataclass(eq=False)
class Tensor:
    """A tensor. `shape_signature` is None where the file has none, else it has -1 for unknown dimensions."""

    name: str
    shape: tuple[int, ...]
    type: int
    buffer: Buffer
    shape_signature: tuple[int, ...] | None = None
    is_variable: bool = False
    quantization: Any = None  # schema.QuantizationParametersT or None
    raw: Any = field(default_factory=schema.TensorT)

    @property
    def data(self) -> np.ndarray | None:
        """The constant's bytes, uint8 [bytes] (read-only view of the file), or None for an activation."""
        return self.buffer.data if self.buffer.size else None

    @property
    def dtype(self) -> np.dtype[Any] | None:
        """The numpy type, or None for types without one (strings, resources, 4-bit integers, bfloat16)."""
        return _DTYPES.get(self.type)

    @property
    def type_name(self) -> str:
        """The schema's name of the type, such as 'INT8'."""
        return _TYPE_NAMES.get(self.type, f"type {self.type}")

    @property
    def scale(self) -> float | None:
        """The scale of a per-tensor quantization, else None."""
        return float(self.quantization.scale[0]) if self._is_quantized_per_tensor() else None

    @property
    def zero_point(self) -> int | None:
        """The zero point of a per-tensor quantization, else None."""
        return int(self.quantization.zeroPoint[0]) if self._is_quantized_per_tensor() else None

    def _is_quantized_per_tensor(self) -> bool:
        parameters = self.quantization
        if parameters is None or parameters.scale is None or parameters.zeroPoint is None:
            return False
        return parameters.details is None and len(parameters.scale) == 1 and len(parameters.zeroPoint) == 1


@dataclass(eq=False)
class Op:
    """An operator. Optional inputs that are absent are None."""

    code: Any  # schema.OperatorCodeT, one of Model.operator_codes
    inputs: list[Tensor | None]
    outputs: list[Tensor | None]
    intermediates: list[Tensor | None] = field(default_factory=list)
    custom_options: bytes = b""
    custom_options_in_tail: bool = False
    raw: Any = field(default_factory=schema.OperatorT)

    @property
    def opcode(self) -> str:
        """The operator's name, such as 'CONV_2D', or the custom code of a custom operator."""
        if self.is_custom:
            return decode_text(self.code.customCode)
        number = max(self.code.builtinCode, self.code.deprecatedBuiltinCode)
        return _OPCODE_NAMES.get(number, f"BUILTIN_{number}")

    @property
    def is_custom(self) -> bool:
        return max(self.code.builtinCode, self.code.deprecatedBuiltinCode) == CUSTOM_CODE

    @property
    def version(self) -> int:
        return int(self.code.version)

    @property
    def options(self) -> Any:
        """The schema's options object of a builtin operator (for instance schema.Conv2DOptionsT), or None."""
        return self.raw.builtinOptions if self.raw.builtinOptions is not None else self.raw.builtinOptions2

    def called_subgraphs(self) -> list[int]:
        """Indices of the subgraphs that the op runs (IF, WHILE, CALL, CALL_ONCE, the StableHLO regions, ...)."""
        fields = (np.atleast_1d(getattr(self.options, name)) for name in self.subgraph_fields())
        return [int(index) for indices in fields for index in indices if index >= 0]

    def subgraph_fields(self) -> list[str]:
        """The fields of `options` that hold indices of subgraphs, one or several (below 0: none)."""
        ends = ("SubgraphIndex", "SubgraphIndices", "calledComputations")
        given = {} if self.options is None else vars(self.options)
        return [n for n, value in given.items() if value is not None and (n == "subgraph" or n.endswith(ends))]


@dataclass(eq=False)
class Subgraph:
    """A graph of ops in execution order. `index` is its place in Model.subgraphs."""

    name: str
    index: int
    tensors: list[Tensor]
    ops: list[Op]
    inputs: list[Tensor]
    outputs: list[Tensor]
    raw: Any = field(default_factory=schema.SubGraphT)

    @property
    def op_labels(self) -> list[tuple[str, str]]:
        """What messages call the ops: opcode, and name of the first tensor that is written."""
        return [(op.opcode, next((t.name for t in op.outputs if t is not None), "")) for op in self.ops]


@dataclass(eq=False)
class Signature:
    """A named entry point: (name, tensor) pairs of one subgraph."""

    key: str
    subgraph: Subgraph
    inputs: list[tuple[str, Tensor]]
    outputs: list[tuple[str, Tensor]]
    raw: Any = field(default_factory=schema.SignatureDefT)


@dataclass(eq=False)
class MetadataEntry:
    """A named metadata blob."""

    name: str
    buffer: Buffer


@dataclass(eq=False)
class Model:
    """A whole .tflite file; `path` is where it was read from, if anywhere."""

    subgraphs: list[Subgraph]
    operator_codes: list[Any]  # schema.OperatorCodeT
    buffers: list[Buffer]
    metadata_entries: list[MetadataEntry] = field(default_factory=list)
    metadata_buffers: list[Buffer] = field(default_factory=list)  # the schema's older way to list metadata
    signatures: list[Signature] = field(default_factory=list)
    description: str | None = None
    associated_files: list[AssociatedFile] = field(default_factory=list)
    path: Path | None = None
    raw: Any = field(default_factory=schema.ModelT)

    @property
    def metadata(self) -> MutableMapping[str, bytes]:
        """The metadata as a live mapping from name to bytes; what is set or deleted here is written back."""
        return _MetadataMap(self)

    def drop_buffers(self, candidates: Iterable[Buffer]) -> None:
        """Removes those of the given buffers that nothing in the model uses any more."""
        used = {id(tensor.buffer) for subgraph in self.subgraphs for tensor in subgraph.tensors}
        used |= {id(entry.buffer) for entry in self.metadata_entries} | {id(b) for b in self.metadata_buffers}
        unused = {id(buffer) for buffer in candidates} - used
        self.buffers = [buffer for buffer in self.buffers if id(buffer) not in unused]

    def to_bytes(self) -> bytes:
        """Returns the model as a .tflite file.

        All constant buffers lie at offsets that are multiples of 16, buffers that were in the file's tail are there
        again, and associated files follow as an appended ZIP. Saving a loaded model is a fixed point: loading and
        saving the result gives the same bytes.
        """
        return writer.serialize(self)


class _MetadataMap(MutableMapping[str, bytes]):
    def __init__(self, model: Model) -> None:
        self._model = model

    def _find(self, name: str) -> MetadataEntry | None:
        return next((entry for entry in self._model.metadata_entries if entry.name == name), None)

    def __getitem__(self, name: str) -> bytes:
        entry = self._find(name)
        if entry is None:
            raise KeyError(name)
        return b"" if entry.buffer.data is None else entry.buffer.data.tobytes()

    def __setitem__(self, name: str, value: bytes) -> None:
        if name in self:
            del self[name]
        buffer = Buffer(np.frombuffer(value, np.uint8))
        self._model.buffers.append(buffer)
        self._model.metadata_entries.append(MetadataEntry(name, buffer))

    def __delitem__(self, name: str) -> None:
        entry = self._find(name)
        if entry is None:
            raise KeyError(name)
        self._model.metadata_entries.remove(entry)
        self._model.drop_buffers([entry.buffer])

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(entry.name for entry in self._model.metadata_entries))

    def __len__(self) -> int:
        return len({entry.name for entry in self._model.metadata_entries})


def decode_text(value: bytes | str | None) -> str:
    """Text of the file; bytes that are no UTF-8 survive a round trip."""
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value or ""
