"""Checks the skeleton of an untrusted TFLite flatbuffer before the schema classes walk it.

The schema's Python classes trust every offset and length: a lying vector length makes them loop for hours, and
tables that many references share make them build more objects than the file has bytes. This check follows all
tables, vectors and strings that the schema classes loop over or copy, once, and refuses what leaves the file. What
it visits is counted: a file whose parts overlap beyond what writers produce is refused too, so that the work stays
proportional to the file's size. Options tables are not followed: they are flat and read without loops, and what they
may do is copy strings, which MeteredBytes bounds, and refer to vectors, which check_objects bounds.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from fmtc_tflite.errors import ModelFormatError
from fmtc_tflite.graph.schema import schema
from fmtc_tflite.text import GIT_LFS_POINTER, is_git_lfs_pointer

FILE_IDENTIFIER = b"TFL3"
MAX_TABLES = 1_000_000  # the limit of TFLite's own verifier

_U16 = struct.Struct("<H")
_U32 = struct.Struct("<I")
_I32 = struct.Struct("<i")

# For each table of the schema: slot in the vtable -> (field, kind, bytes per item or the table it refers to).
_Fields = dict[int, tuple[str, str, int | str]]
_SCHEMA: dict[str, _Fields] = {
    "Model": {
        1: ("operator_codes", "tables", "OperatorCode"),
        2: ("subgraphs", "tables", "SubGraph"),
        3: ("description", "vector", 1),
        4: ("buffers", "tables", "Buffer"),
        5: ("metadata_buffer", "vector", 4),
        6: ("metadata", "tables", "Metadata"),
        7: ("signature_defs", "tables", "SignatureDef"),
        8: ("external_buffer_groups", "tables", "ExternalBufferGroup"),
        9: ("external_buffers", "tables", "ExternalBuffer"),
    },
    "OperatorCode": {1: ("custom_code", "vector", 1)},
    "SubGraph": {
        0: ("tensors", "tables", "Tensor"),
        1: ("inputs", "vector", 4),
        2: ("outputs", "vector", 4),
        3: ("operators", "tables", "Operator"),
        4: ("name", "vector", 1),
    },
    "Tensor": {
        0: ("shape", "vector", 4),
        3: ("name", "vector", 1),
        4: ("quantization", "table", "QuantizationParameters"),
        6: ("sparsity", "table", "SparsityParameters"),
        7: ("shape_signature", "vector", 4),
        9: ("variant_tensors", "tables", "VariantSubType"),
    },
    "QuantizationParameters": {
        0: ("min", "vector", 4),
        1: ("max", "vector", 4),
        2: ("scale", "vector", 4),
        3: ("zero_point", "vector", 8),
        5: ("details", "table", "Opaque"),
    },
    "SparsityParameters": {
        0: ("traversal_order", "vector", 4),
        1: ("block_map", "vector", 4),
        2: ("dim_metadata", "tables", "DimensionMetadata"),
    },
    "DimensionMetadata": {
        3: ("array_segments", "table", "Opaque"),
        5: ("array_indices", "table", "Opaque"),
    },
    "VariantSubType": {0: ("shape", "vector", 4)},
    "Operator": {
        1: ("inputs", "vector", 4),
        2: ("outputs", "vector", 4),
        4: ("builtin_options", "table", "Opaque"),
        5: ("custom_options", "vector", 1),
        7: ("mutating_variable_inputs", "vector", 1),
        8: ("intermediates", "vector", 4),
        12: ("builtin_options_2", "table", "Opaque"),
    },
    "Buffer": {0: ("data", "vector", 1)},
    "Metadata": {0: ("name", "vector", 1)},
    "SignatureDef": {
        0: ("inputs", "tables", "TensorMap"),
        1: ("outputs", "tables", "TensorMap"),
        2: ("signature_key", "vector", 1),
    },
    "TensorMap": {0: ("name", "vector", 1)},
    "ExternalBufferGroup": {0: ("name", "vector", 1)},
    "ExternalBuffer": {4: ("packing", "vector", 1)},
    "Opaque": {},
}


def check_structure(data: bytes) -> int:
    """Checks that `data` is a TFLite flatbuffer whose tables, vectors and strings all lie inside the file.

    Returns the end of the farthest part it visited, in bytes from the start: at most the end of the flatbuffer.

    Raises:
      ModelFormatError: not a TFLite file, truncated, or damaged.
    """
    check_identifier(data)
    checker = _Checker(data)
    checker.reference(0, "Model", "model")
    return checker.end


def check_identifier(start: bytes) -> None:
    """Checks the beginning of a file: eight bytes or more, or all that it has.

    Raises:
      ModelFormatError: not a TFLite file.
    """
    if len(start) < 8 or start[4:8] != FILE_IDENTIFIER:
        if is_git_lfs_pointer(start):
            raise ModelFormatError(f"not a TFLite model: {GIT_LFS_POINTER}")
        found = start[4:8].hex(" ") or f"a file of {len(start)} bytes"
        raise ModelFormatError(
            f"not a TFLite model: expected the identifier 'TFL3' at byte 4, found {found}; pass a .tflite file"
        )


class MeteredBytes(bytes):
    """A file's bytes that refuse to be copied out many times over: the schema classes copy each string by slicing."""

    _remaining: int

    def __new__(cls, content: bytes) -> MeteredBytes:
        metered = super().__new__(cls, content)
        metered._remaining = _budget(len(content))
        return metered

    def __getitem__(self, key: Any) -> Any:
        part = super().__getitem__(key)
        if isinstance(part, bytes):
            self._remaining -= len(part)
            if self._remaining < 0:
                raise ModelFormatError(f"damaged TFLite model: its strings overlap (the file has {len(self)} bytes)")
        return part


def check_objects(tree: object, file_bytes: int) -> None:
    """Checks a tree of schema objects: its arrays and strings do not add up to more than a file can hold, and the
    schema knows the types of all unions (it drops the others).

    Raises:
      ModelFormatError: many objects share the same bytes, or the file is newer than the schema or damaged.
    """
    total = 0
    stack = [tree]
    while stack:
        item = stack.pop()
        if isinstance(item, np.ndarray):
            total += item.nbytes
        elif isinstance(item, bytes):
            total += len(item)
        elif isinstance(item, list):
            stack += item
        elif hasattr(item, "__dict__"):
            fields = vars(item)
            for name in _UNIONS.keys() & fields.keys():
                _check_union(type(item).__name__, name, fields[name])
            stack += fields.values()
    if total > _budget(file_bytes):
        raise ModelFormatError(f"damaged TFLite model: its vectors overlap (the file has {file_bytes} bytes)")


_UNIONS = {
    "builtinOptionsType": schema.BuiltinOptions,
    "builtinOptions2Type": schema.BuiltinOptions2,
    "detailsType": schema.QuantizationDetails,
    "arraySegmentsType": schema.SparseIndexVector,
    "arrayIndicesType": schema.SparseIndexVector,
}


def _check_union(table: str, field: str, number: int) -> None:
    if number not in vars(_UNIONS[field]).values():
        raise ModelFormatError(
            f"damaged or too new TFLite model: {table.removesuffix('T')}.{field} is {number}, which the installed "
            "schema does not know; copy the model again or update ai-edge-litert"
        )


def _budget(file_bytes: int) -> int:
    """Bytes that may be visited in total: writers may share equal strings and field lists, but little else."""
    return 2 * file_bytes + 4096


class _Checker:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._size = len(data)
        self._remaining = _budget(len(data))
        self._tables = 0
        self.end = 8

    def reference(self, at: int, table: str, where: str) -> None:
        """Follows the offset stored at `at` to a table of the given type."""
        self._table(self._target(at, where), table, where)

    def _fail(self, where: str, problem: str) -> None:
        raise ModelFormatError(
            f"damaged TFLite model: {where} {problem} (the file has {self._size} bytes); copy or convert it again"
        )

    def _claim(self, start: int, length: int, where: str) -> None:
        if start < 0 or start + length > self._size:
            self._fail(where, f"needs bytes {start} to {start + length}")
        self._remaining -= length
        if self._remaining < 0:
            self._fail(where, "overlaps other parts")
        self.end = max(self.end, start + length)

    def _target(self, at: int, where: str) -> int:
        if at < 0 or at + 4 > self._size:
            self._fail(where, f"has its reference at byte {at}")
        offset: int = _U32.unpack_from(self._data, at)[0]
        if offset == 0:
            self._fail(where, "refers to itself")
        return at + offset

    def _table(self, start: int, name: str, where: str) -> None:
        self._tables += 1
        if self._tables > MAX_TABLES:
            self._fail(where, f"is beyond the limit of {MAX_TABLES} tables")
        self._claim(start, 4, where)
        vtable = start - _I32.unpack_from(self._data, start)[0]
        if vtable < 0 or vtable + 4 > self._size:
            self._fail(where, f"has its field list at byte {vtable}")
        vtable_bytes: int = _U16.unpack_from(self._data, vtable)[0]
        object_bytes: int = _U16.unpack_from(self._data, vtable + 2)[0]
        if vtable_bytes < 4 or vtable + vtable_bytes > self._size or object_bytes < 4:
            self._fail(where, "has a field list of a wrong size")
        self._claim(start + 4, object_bytes - 4, where)
        for slot, (field, kind, item) in _SCHEMA[name].items():
            position = 4 + 2 * slot
            if position + 2 > vtable_bytes:
                continue
            offset = _U16.unpack_from(self._data, vtable + position)[0]
            if offset:
                self._field(start + offset, kind, item, f"{where}.{field}")

    def _field(self, at: int, kind: str, item: int | str, where: str) -> None:
        if kind == "table":
            self.reference(at, str(item), where)
            return
        start = self._target(at, where)
        self._claim(start, 4, where)
        count: int = _U32.unpack_from(self._data, start)[0]
        self._claim(start + 4, count * (4 if kind == "tables" else int(item)), where)
        if kind == "tables":
            for index in range(count):
                self.reference(start + 4 + 4 * index, str(item), f"{where}[{index}]")
