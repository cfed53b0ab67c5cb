"""An op's operands as its kind reads them, with what all kinds ask of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fmtc_tflite.graph.model import Op, Tensor
from fmtc_tflite.graph.operators.activation import REAL_RANGES, clamp, fused_activation
from fmtc_tflite.graph.operators.window import operand, result_of
from fmtc_tflite.regions.kernel_sets import KernelSet
from fmtc_tflite.regions.ops import OpRefusedError, RegionTensor

TensorOf = Callable[[Tensor], RegionTensor]

BYTES = (np.dtype(np.int8), np.dtype(np.uint8))
CHANNEL_BLOCK = 16
_MOST_SIDE = 65535


@dataclass(frozen=True)
class Operands:
    """A graph's op, the region's tensors for its activations, and whose results are wanted."""

    op: Op
    tensor_of: TensorOf
    kernels: KernelSet

    def source(self, index: int = 0) -> Tensor:
        """An activation of the graph."""
        tensor = operand(self.op, index)
        require(tensor.data is None, f"input {index} is a constant")
        return tensor

    def input(self, index: int = 0) -> RegionTensor:
        """An 8-bit input in the region, quantized with one scale."""
        return self._quantized(self.source(index))

    def output(self) -> RegionTensor:
        """The 8-bit output in the region, quantized with one scale."""
        return self._quantized(result_of(self.op))

    def constant(self, index: int) -> Tensor:
        """A constant input."""
        tensor = operand(self.op, index)
        require(tensor.data is not None, f"input {index} is no constant")
        return tensor

    def require_rank_4(self) -> None:
        """The main input and the output are [N, H, W, C]."""
        require(
            len(self.source().shape) == 4 and len(result_of(self.op).shape) == 4,
            "it has tensors of another rank than 4",
        )

    def require_equal_quantization(self, index: int = 0) -> None:
        """Values move without being changed."""
        mine, result = operand(self.op, index), result_of(self.op)
        same = (mine.type, mine.scale, mine.zero_point) == (result.type, result.scale, result.zero_point)
        require(same, "its input and output are quantized differently")

    def require_known_activation(self) -> None:
        """A fused activation that quantized kernels know, with limits that the runtime accepts."""
        kind = fused_activation(self.op)
        require(kind in REAL_RANGES, f"the fused activation {kind} is not known")
        require(clamp(kind, result_of(self.op)) is not None, "the runtime refuses its activation's range")

    def _quantized(self, tensor: Tensor) -> RegionTensor:
        found = self.tensor_of(tensor)
        require(found.dtype in BYTES, f"'{tensor.name}' is {tensor.type_name}, expected INT8 or UINT8")
        low, high = (-128, 127) if found.dtype == np.int8 else (0, 255)
        require(
            tensor.scale is not None and np.isfinite(tensor.scale) and tensor.scale > 0,
            f"'{tensor.name}' is not quantized with one scale",
        )
        require(
            tensor.zero_point is not None and low <= tensor.zero_point <= high,
            f"'{tensor.name}' has a wrong zero point",
        )
        require(max(found.height, found.width, found.channels) <= _MOST_SIDE, f"'{tensor.name}' is too large")
        return found


def require(condition: bool, reason: str) -> None:
    """Raises OpRefusedError with the reason."""
    if not condition:
        raise OpRefusedError(reason)


def scale_of(tensor: Tensor) -> np.float32:
    """A per-tensor scale that is known to be there."""
    assert tensor.scale is not None
    return np.float32(tensor.scale)


def raw_zero(tensor: RegionTensor) -> int:
    """What the value 0 of the tensor's own type is in the unsigned domain."""
    return 128 if tensor.dtype == np.int8 else 0


def padded(count: int, multiple: int = CHANNEL_BLOCK) -> int:
    """The next multiple."""
    return -(-count // multiple) * multiple
