"""RESIZE_BILINEAR and RESIZE_NEAREST: source rows, columns and weights are made here, by the kernels' arithmetic."""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fmtc_tflite.graph.model import Op, Tensor
from fmtc_tflite.regions.kernel_sets import KernelSet
from fmtc_tflite.regions.kinds.facts import is_4d, require, same_quantization
from fmtc_tflite.regions.ops import RegionOp, RegionTensor

AddArray = Callable[[bytes, int], int]

_STRUCT = struct.Struct("<IIB7x")
_ALIGNMENT = 16
_INTEGER, _Q11, _FLOAT_REFERENCE, _FLOAT_OPTIMIZED = 1, 2, 3, 4
_ONE = np.float32(1)


@dataclass(frozen=True)
class Taps:
    """Along one axis, for each output: both inputs, ascending, and their weights.

    Attributes:
      first, second: int64 [outputs].
      weights: int32 or float32 [outputs, 2].
    """

    first: np.ndarray
    second: np.ndarray
    weights: np.ndarray

    def to_bytes(self) -> bytes:
        """16 bytes an output."""
        inputs = np.stack([self.first, self.second], 1).astype(np.uint32)
        return np.concatenate([inputs, self.weights.view(np.uint32)], 1).tobytes()


@dataclass(frozen=True, eq=False)
class ResizeBilinear(RegionOp):
    """RESIZE_BILINEAR: up to two rows and columns for each output."""

    kind: ClassVar[int] = 14
    rows: Taps
    columns: Taps
    offset: int

    def rows_needed(self, operand: int, step: int) -> tuple[int, int]:
        pair = int(self.rows.first[step]), int(self.rows.second[step])
        return min(pair), max(pair)

    def columns_needed(self, operand: int, first: int, end: int) -> tuple[int, int]:
        columns = self.columns
        low = min(int(columns.first[first]), int(columns.second[first]))
        return low, max(int(columns.first[end - 1]), int(columns.second[end - 1])) + 1

    def parameters(self, add: AddArray, outside: Collection[RegionTensor]) -> bytes:
        places = [add(taps.to_bytes(), _ALIGNMENT) for taps in (self.rows, self.columns)]
        return _STRUCT.pack(*places, self.offset)


@dataclass(frozen=True, eq=False)
class ResizeNearest(RegionOp):
    """RESIZE_NEAREST: a row and a column for each output, int64 [outputs]."""

    kind: ClassVar[int] = 15
    rows: np.ndarray
    columns: np.ndarray

    def rows_needed(self, operand: int, step: int) -> tuple[int, int]:
        return int(self.rows[step]), int(self.rows[step])

    def columns_needed(self, operand: int, first: int, end: int) -> tuple[int, int]:
        return int(self.columns[first]), int(self.columns[end - 1]) + 1

    def parameters(self, add: AddArray, outside: Collection[RegionTensor]) -> bytes:
        places = [add(axis.astype(np.uint32).tobytes(), _ALIGNMENT) for axis in (self.rows, self.columns)]
        return _STRUCT.pack(*places, 0)


def _checked(op: Op) -> tuple[Tensor, Tensor]:
    source, result = same_quantization(op)
    require(is_4d(source, result) and source.shape[3] == result.shape[3], "its tensors do not fit each other")
    return source, result


def build_nearest(op: Op, tensor_of: Callable[[Tensor], RegionTensor], kernels: KernelSet) -> RegionOp:
    """RESIZE_NEAREST of a RESIZE_NEAREST_NEIGHBOR; all kernels agree."""
    source, result = _checked(op)
    aligned, half = bool(op.options.alignCorners), bool(op.options.halfPixelCenters)
    axes = [_nearest(source.shape[axis], result.shape[axis], aligned, half) for axis in (1, 2)]
    return ResizeNearest(op, (tensor_of(source),), tensor_of(result), 1, *axes)


def _scale(inputs: int, outputs: int, aligned: bool) -> np.float32:
    if aligned and outputs > 1:
        return np.float32(inputs - 1) / np.float32(outputs - 1)
    return np.float32(inputs) / np.float32(outputs)


def _nearest(inputs: int, outputs: int, aligned: bool, half: bool) -> np.ndarray:
    places = np.arange(outputs, dtype=np.float32) + np.float32(0.5 if half else 0.0)
    places = places * _scale(inputs, outputs, aligned)
    whole = np.floor(places + np.float32(0.5)) if aligned else np.floor(places)
    return np.clip(whole.astype(np.int64), 0, inputs - 1)


def build_bilinear(op: Op, tensor_of: Callable[[Tensor], RegionTensor], kernels: KernelSet) -> RegionOp:
    """RESIZE_BILINEAR of an op of that name."""
    source, result = _checked(op)
    aligned, half = bool(op.options.alignCorners), bool(op.options.halfPixelCenters)
    require(not (aligned and half), "it aligns corners and has half-pixel centres")
    own = kernels.runs(op)
    if own == "xnnpack":
        rule, taps = _Q11, _q11_taps
    elif source.dtype == np.int8:
        rule, taps = _INTEGER, _integer_taps
    else:
        rule, taps = (_FLOAT_OPTIMIZED if own == "builtin" else _FLOAT_REFERENCE), _float_taps
    rows, columns = (taps(source.shape[axis], result.shape[axis], aligned, half) for axis in (1, 2))
    offset = 128 if source.dtype == np.int8 else 0
    return ResizeBilinear(op, (tensor_of(source),), tensor_of(result), rule, rows, columns, offset)


def _integer_taps(inputs: int, outputs: int, aligned: bool, half: bool) -> Taps:
    """ComputeInterpolationValuesInteger: places in 1/1024."""
    size, count = (inputs - 1, outputs - 1) if aligned and outputs > 1 else (inputs, outputs)
    scale = (1024 * size + count // 2) // count
    places = np.arange(outputs, dtype=np.int64) * scale + (scale // 2 - 512 if half else 0)
    lower = np.maximum(np.trunc(places / 1024).astype(np.int64), 0)
    upper = np.minimum(np.trunc((places + 1023) / 1024).astype(np.int64), inputs - 1)
    part = places - 1024 * lower
    return Taps(lower, upper, np.stack([1024 - part, part], 1).astype(np.int32))


def _float_places(inputs: int, outputs: int, aligned: bool, half: bool) -> np.ndarray:
    places, scale = np.arange(outputs, dtype=np.float32), _scale(inputs, outputs, aligned)
    return (places + np.float32(0.5)) * scale - np.float32(0.5) if half else places * scale


def _float_taps(inputs: int, outputs: int, aligned: bool, half: bool) -> Taps:
    """ComputeInterpolationValues."""
    places = _float_places(inputs, outputs, aligned, half)
    lower = np.maximum(np.floor(places).astype(np.int64), 0)
    upper = np.minimum(np.ceil(places).astype(np.int64), inputs - 1)
    part = places - lower.astype(np.float32)
    return Taps(lower, upper, np.stack([_ONE - part, part], 1).astype(np.float32))


def _q11_taps(inputs: int, outputs: int, aligned: bool, half: bool) -> Taps:
    """XNNPACK's indirection: weights in 1/2048."""
    places = np.clip(_float_places(inputs, outputs, aligned, half), np.float32(0), np.float32(inputs - 1))
    lower = np.floor(places).astype(np.int64)
    part = np.rint((places - lower.astype(np.float32)) * np.float32(2048)).astype(np.int32)
    return Taps(lower, np.minimum(lower + 1, inputs - 1), np.stack([2048 - part, part], 1))
