"""RESIZE_BILINEAR and RESIZE_NEAREST_NEIGHBOR: where each output row and column reads, worked out offline."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fmtc_tflite.graph.operators.activation import round_half_away
from fmtc_tflite.regions.kinds.facts import Operands, raw_zero, require
from fmtc_tflite.regions.ops import RegionOp

Add = Callable[[bytes, int], int]

_FIXED, _XNNPACK, _REFERENCE_FLOAT, _BUILTIN_FLOAT = 1, 2, 3, 4
_FIXED_BITS, _XNNPACK_BITS = 10, 11


@dataclass(frozen=True)
class Entries:
    """Of one axis: the two input places of each output place, and their weights, [n] and [n][2]."""

    first: np.ndarray
    second: np.ndarray
    weights: np.ndarray

    def to_bytes(self) -> bytes:
        table = np.zeros((len(self.first), 4), np.uint32)
        table[:, 0], table[:, 1], table[:, 2:] = self.first, self.second, self.weights.view(np.uint32)
        return table.tobytes()


@dataclass(frozen=True, eq=False)
class _Resize(RegionOp):
    """Both axes: lowest and highest input place of each output place, int64 [n] each."""

    rows: tuple[np.ndarray, np.ndarray]
    columns: tuple[np.ndarray, np.ndarray]

    def rows_needed(self, operand: int, step: int) -> tuple[int, int]:
        return int(self.rows[0][step]), int(self.rows[1][step])

    def columns_needed(self, operand: int, first: int, end: int) -> tuple[int, int]:
        return int(self.columns[0][first]), int(self.columns[1][end - 1]) + 1

    def parameters(self, add: Add) -> bytes:
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class ResizeBilinear(_Resize):
    """RESIZE_BILINEAR."""

    kind = 14
    entries: tuple[Entries, Entries]
    offset: int

    def parameters(self, add: Add) -> bytes:
        offsets = [add(entries.to_bytes(), 4) for entries in self.entries]
        return struct.pack("<IIB7x", *offsets, self.offset)


class ResizeNearest(_Resize):
    """RESIZE_NEAREST_NEIGHBOR."""

    kind = 15

    def parameters(self, add: Add) -> bytes:
        offsets = [add(axis[0].astype("<u4").tobytes(), 4) for axis in (self.rows, self.columns)]
        return struct.pack("<IIB7x", *offsets, 0)


def build_bilinear(operands: Operands) -> RegionOp:
    """From RESIZE_BILINEAR."""
    sizes, corners, centers = _resizing(operands)
    source, result = operands.input(), operands.output()
    own = operands.kernels.runs(operands.op)
    if own == "xnnpack":
        rule = _XNNPACK
    elif source.dtype == np.int8:
        rule = _FIXED
    else:
        rule = _REFERENCE_FLOAT if own == "reference" else _BUILTIN_FLOAT
    make = {_FIXED: _fixed_entries, _XNNPACK: _xnnpack_entries}.get(rule, _float_entries)
    entries = (make(*sizes[0], corners, centers), make(*sizes[1], corners, centers))
    spans = [(np.minimum(e.first, e.second), np.maximum(e.first, e.second)) for e in entries]
    offset = raw_zero(source)
    return ResizeBilinear(operands.op, (source,), result, rule, spans[0], spans[1], entries, offset)


def build_nearest(operands: Operands) -> RegionOp:
    """From RESIZE_NEAREST_NEIGHBOR."""
    sizes, corners, centers = _resizing(operands)
    axes = [np.array([_nearest(i, *size, corners, centers) for i in range(size[1])], np.int64) for size in sizes]
    source, result = operands.input(), operands.output()
    return ResizeNearest(operands.op, (source,), result, 1, (axes[0], axes[0]), (axes[1], axes[1]))


def _resizing(operands: Operands) -> tuple[list[tuple[int, int]], bool, bool]:
    """(input, output) size of rows and of columns, and the options."""
    operands.require_rank_4()
    operands.require_equal_quantization()
    source, result = operands.input(), operands.output()
    require(source.channels == result.channels, "it changes the channels")
    options = operands.op.options
    corners, centers = bool(options.alignCorners), bool(options.halfPixelCenters)
    require(not (corners and centers), "it has both align_corners and half_pixel_centers, which runtimes refuse")
    return [(source.height, result.height), (source.width, result.width)], corners, centers


def _scale(size: int, outputs: int, corners: bool) -> np.float32:
    if corners and outputs > 1:
        return np.float32(size - 1) / np.float32(outputs - 1)
    return np.float32(size) / np.float32(outputs)


def _nearest(place: int, size: int, outputs: int, corners: bool, centers: bool) -> int:
    scaled = (np.float32(place) + np.float32(0.5 if centers else 0.0)) * _scale(size, outputs, corners)
    found = int(round_half_away(float(scaled)) if corners else np.floor(scaled))
    return min(max(found, 0), size - 1)


def _fixed_entries(size: int, outputs: int, corners: bool, centers: bool) -> Entries:
    """ResizeBilinearInteger: places with 10 fractional bits."""
    one = 1 << _FIXED_BITS
    if corners and outputs > 1:
        scale = (one * (size - 1) + (outputs - 1) // 2) // (outputs - 1)
    else:
        scale = (one * size + outputs // 2) // outputs
    places = np.arange(outputs, dtype=np.int64) * scale + ((scale // 2 - one // 2) if centers else 0)
    first = np.maximum(_towards_zero(places, one), 0)
    second = np.minimum(_towards_zero(places + one - 1, one), size - 1)
    fraction = places - one * first
    weights = np.stack([one - fraction, fraction], axis=1).astype(np.int32)
    return Entries(first, second, weights)


def _towards_zero(values: np.ndarray, divisor: int) -> np.ndarray:
    return np.sign(values) * (np.abs(values) // divisor)


def _float_entries(size: int, outputs: int, corners: bool, centers: bool) -> Entries:
    """ComputeInterpolationValues, in float32."""
    scale, places = _scale(size, outputs, corners), np.arange(outputs, dtype=np.float32)
    scaled = (places + np.float32(0.5)) * scale - np.float32(0.5) if centers else places * scale
    first = np.maximum(np.floor(scaled), np.float32(0)).astype(np.int64)
    second = np.minimum(np.ceil(scaled), np.float32(size - 1)).astype(np.int64)
    fraction = scaled - first.astype(np.float32)
    weights = np.stack([np.float32(1) - fraction, fraction], axis=1).astype(np.float32)
    return Entries(first, second, weights)


def _xnnpack_entries(size: int, outputs: int, corners: bool, centers: bool) -> Entries:
    """xnn_indirection_init_resize_bilinear2d: places within the input, weights with 11 fractional bits."""
    scale, places = _scale(size, outputs, corners), np.arange(outputs, dtype=np.float32)
    scaled = (places + np.float32(0.5)) * scale - np.float32(0.5) if centers else places * scale
    scaled = np.clip(scaled, np.float32(0), np.float32(size - 1)).astype(np.float32)
    first = np.floor(scaled).astype(np.int64)
    second = np.minimum(first + 1, size - 1)
    fraction = np.rint((scaled - first.astype(np.float32)) * np.float32(1 << _XNNPACK_BITS)).astype(np.int64)
    weights = np.stack([(1 << _XNNPACK_BITS) - fraction, fraction], axis=1).astype(np.int32)
    return Entries(first, second, weights)
