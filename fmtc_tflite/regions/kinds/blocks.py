"""DEPTH_TO_SPACE and SPACE_TO_DEPTH: channels become blocks of pixels and back."""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import ClassVar

from fmtc_tflite.graph.model import Op, Tensor
from fmtc_tflite.regions.kernel_sets import KernelSet
from fmtc_tflite.regions.kinds.facts import is_4d, item_shape, require, same_quantization
from fmtc_tflite.regions.ops import RegionOp, RegionTensor

_STRUCT = struct.Struct("<II")

TensorOf = Callable[[Tensor], RegionTensor]


@dataclass(frozen=True, eq=False)
class DepthToSpace(RegionOp):
    """DEPTH_TO_SPACE: each pixel becomes a block of rows and columns."""

    kind: ClassVar[int] = 25
    block: int

    def rows_needed(self, operand: int, step: int) -> tuple[int, int]:
        return step // self.block, step // self.block

    def columns_needed(self, operand: int, first: int, end: int) -> tuple[int, int]:
        return first // self.block, (end - 1) // self.block + 1

    def parameters(self, add: Callable[[bytes, int], int], outside: Collection[RegionTensor]) -> bytes:
        return _STRUCT.pack(self.block, 0)


@dataclass(frozen=True, eq=False)
class SpaceToDepth(RegionOp):
    """SPACE_TO_DEPTH: each block of rows and columns becomes a pixel."""

    kind: ClassVar[int] = 26
    block: int

    def rows_needed(self, operand: int, step: int) -> tuple[int, int]:
        return step * self.block, (step + 1) * self.block - 1

    def columns_needed(self, operand: int, first: int, end: int) -> tuple[int, int]:
        return first * self.block, end * self.block

    def parameters(self, add: Callable[[bytes, int], int], outside: Collection[RegionTensor]) -> bytes:
        return _STRUCT.pack(self.block, 0)


def _checked(op: Op) -> tuple[Tensor, Tensor, int]:
    source, result = same_quantization(op)
    require(is_4d(source, result), "its tensors are not of rank 4")
    block = int(op.options.blockSize)
    require(block >= 1, f"it has blocks of {block}")
    return source, result, block


def _folds(shallow: Tensor, deep: Tensor, block: int) -> bool:
    """Whether blocks of pixels of one tensor are the pixels of another."""
    height, width, channels = item_shape(deep)
    return item_shape(shallow) == (height * block, width * block, channels // block**2) and channels % block**2 == 0


def build_depth_to_space(op: Op, tensor_of: TensorOf, kernels: KernelSet) -> RegionOp:
    """DEPTH_TO_SPACE of an op of that name."""
    source, result, block = _checked(op)
    require(_folds(result, source, block), "its output has another shape than its blocks say")
    return DepthToSpace(op, (tensor_of(source),), tensor_of(result), 1, block)


def build_space_to_depth(op: Op, tensor_of: TensorOf, kernels: KernelSet) -> RegionOp:
    """SPACE_TO_DEPTH of an op of that name."""
    source, result, block = _checked(op)
    require(_folds(source, result, block), "its output has another shape than its blocks say")
    return SpaceToDepth(op, (tensor_of(source),), tensor_of(result), 1, block)
