"""What kinds ask of a graph's op before they take it. Each raises OpRefusedError with the reason that users read."""

from __future__ import annotations

import numpy as np

from fmtc_tflite.graph.model import Op, Tensor
from fmtc_tflite.graph.operators import activation, multipliers
from fmtc_tflite.graph.operators.window import operand, result_of
from fmtc_tflite.regions.ops import OpRefusedError

_LARGEST_RATIO = 2.0**30
EIGHT_BITS = (np.dtype(np.int8), np.dtype(np.uint8))


def require(condition: bool, reason: str) -> None:
    """Refuses the op unless the condition holds."""
    if not condition:
        raise OpRefusedError(reason)


def quantized(tensor: Tensor) -> Tensor:
    """An activation of 8 bits with one scale and one zero point of its type."""
    require(tensor.dtype in EIGHT_BITS, f"'{tensor.name}' is {tensor.type_name}, not int8 or uint8")
    scale, zero_point = tensor.scale, tensor.zero_point
    has_scale = scale is not None and bool(np.isfinite(np.float32(scale)) and np.float32(scale) > 0)
    require(has_scale and zero_point is not None, f"'{tensor.name}' has no scale and zero point of its own")
    assert tensor.dtype is not None
    info = np.iinfo(tensor.dtype)
    assert zero_point is not None
    require(info.min <= zero_point <= info.max, f"'{tensor.name}' has a zero point outside its type")
    return tensor


def alike(op: Op) -> tuple[Tensor, Tensor]:
    """First input and output, quantized and of one type."""
    source, result = quantized(operand(op, 0)), quantized(result_of(op))
    require(source.dtype == result.dtype, "its input and output are of different types")
    return source, result


def same_quantization(op: Op) -> tuple[Tensor, Tensor]:
    """First input and output, alike and with the same scale and zero point."""
    source, result = alike(op)
    require_same_quantization(source, result)
    return source, result


def have_same_quantization(source: Tensor, result: Tensor) -> bool:
    """Whether two quantized tensors have one type, scale and zero point."""
    same = scale_of(source) == scale_of(result) and source.zero_point == result.zero_point
    return source.dtype == result.dtype and same


def require_same_quantization(source: Tensor, result: Tensor) -> None:
    """Refuses an op whose values would change between two quantized tensors."""
    require(source.dtype == result.dtype, "its input and output are of different types")
    require(have_same_quantization(source, result), "its input and output have different scales or zero points")


def known_activation(op: Op) -> None:
    """The fused activation is one that the runtime's quantized kernels clamp to."""
    kind = activation.fused_activation(op)
    require(activation.clamp(kind, result_of(op)) is not None, f"its fused activation {kind} is not supported")


def scale_of(tensor: Tensor) -> np.float32:
    """The scale of a quantized tensor as the runtime holds it."""
    assert tensor.scale is not None
    return np.float32(tensor.scale)


def zero_point_of(tensor: Tensor) -> int:
    """The zero point of a quantized tensor, in its own domain."""
    assert tensor.zero_point is not None
    return tensor.zero_point


def multiplier_of(real: np.float32) -> tuple[int, int]:
    """QuantizeMultiplier of a ratio that a kernel forms in float32, within what its shifts can be."""
    require(bool(real < _LARGEST_RATIO), "its output's scale is too small beside its input's")
    return multipliers.quantize_multiplier(float(real))


def is_4d(*tensors: Tensor) -> bool:
    """Whether all have a batch, rows, columns and channels."""
    return all(len(tensor.shape) == 4 for tensor in tensors)


def item_shape(tensor: Tensor) -> tuple[int, int, int]:
    """Rows, columns and channels of an item of rank 2 to 4; what the rank lacks is 1."""
    require(2 <= len(tensor.shape) <= 4, "its tensors are not of rank 2 to 4")
    height, width, channels = (1,) * (4 - len(tensor.shape)) + tuple(tensor.shape[1:])
    return height, width, channels


def item_axis(tensor: Tensor, axis: int) -> int:
    """Which of rows (0), columns (1) and channels (2) an axis of a tensor of rank 2 to 4 is; -1 is the batch.

    Raises:
      OpRefusedError: an axis that the tensor does not have.
    """
    rank = len(tensor.shape)
    require(2 <= rank <= 4, "its tensors are not of rank 2 to 4")
    require(-rank <= axis < rank, f"it has no axis {axis}")
    return axis % rank + 3 - rank if axis % rank else -1
