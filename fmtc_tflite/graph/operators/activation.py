"""What an op's activation clamps to, in the output tensor's own integers."""

from __future__ import annotations

import numpy as np

from fmtc_tflite.graph.model import Op, Tensor
from fmtc_tflite.graph.schema import schema

_TYPES = schema.ActivationFunctionType
REAL_RANGES: dict[int, tuple[float, float]] = {
    _TYPES.NONE: (-np.inf, np.inf),
    _TYPES.RELU: (0.0, np.inf),
    _TYPES.RELU6: (0.0, 6.0),
    _TYPES.RELU_N1_TO_1: (-1.0, 1.0),
}
_OP_RANGES: dict[str, tuple[float, float]] = {
    "RELU": (0.0, np.inf),
    "RELU6": (0.0, 6.0),
    "RELU_N1_TO_1": (-1.0, 1.0),
    "RELU_0_TO_1": (0.0, 1.0),
}


def real_range(op: Op) -> tuple[float, float] | None:
    """What the op clamps to, as an activation of its own or a fused one; None where that is no range."""
    return _OP_RANGES.get(op.opcode) or REAL_RANGES.get(fused_activation(op))


def fused_activation(op: Op) -> int:
    """schema.ActivationFunctionType of the op, NONE where its kind has none."""
    return int(getattr(op.options, "fusedActivationFunction", _TYPES.NONE))


def clamp(activation: int, tensor: Tensor) -> tuple[int, int] | None:
    """Smallest and largest integer of an 8-bit tensor that a fused activation lets through.

    As CalculateActivationRangeQuantized: the real limit divided by the scale in float32, rounded half away from zero,
    plus the zero point, and the type's own range. The upper limit may lie below the lower one (then the upper wins).

    Args:
      activation: schema.ActivationFunctionType.

    Returns:
      The limits in the tensor's own domain; None for an activation that quantized kernels don't know, or where the
      runtime refuses it since the limit is no int32.
    """
    if activation not in REAL_RANGES or tensor.dtype is None or tensor.dtype.kind not in "iu":
        return None
    info = np.iinfo(tensor.dtype)
    limits = [int(info.min), int(info.max)]
    for index, real in enumerate(REAL_RANGES[activation]):
        if np.isinf(real):
            continue
        if tensor.scale is None or tensor.zero_point is None:
            return None
        quantized = quantize_limit(real, tensor.scale, tensor.zero_point)
        if quantized is None:
            return None
        limits[index] = (max, min)[index](limits[index], quantized)
    return limits[0], limits[1]


def quantize_limit(real: float, scale: float, zero_point: int) -> int | None:
    """A real limit as an integer of the tensor; None where that lies outside int32."""
    with np.errstate(over="ignore"):
        steps = float(np.float32(real) / np.float32(scale))
    if not abs(steps) <= 2.0**31:
        return None
    return int(round_half_away(steps)) + zero_point


def round_half_away(value: float) -> float:
    """C's round(): to the nearest whole number, halves away from zero."""
    # floor(|x| + 0.5) is wrong just below a half, where the sum rounds up.
    whole = np.floor(abs(value))
    return float(np.copysign(whole + (abs(value) - whole >= 0.5), value))
