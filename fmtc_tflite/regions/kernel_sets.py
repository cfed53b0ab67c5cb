"""Which arithmetic a runtime uses for an op: the tables of the three kernel sets.

`xnnpack` is what LiteRT and TensorFlow do by default, `builtin` the same without delegates, `reference` the reference
kernels. XNNPACK leaves some ops to the built-in kernels; what it takes is the delegate's own list of conditions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fmtc_tflite.coding.rounding import Requantization, Rule
from fmtc_tflite.graph.model import Op, Tensor
from fmtc_tflite.graph.operators import activation, constants, multipliers
from fmtc_tflite.graph.operators.constants import Scales
from fmtc_tflite.graph.operators.window import pads_same

NAMES = ("xnnpack", "builtin", "reference")  # by their number in a program
TARGETS = ("x86_64", "aarch64")


@dataclass(frozen=True)
class KernelSet:
    """The kernels whose results a region must equal.

    Attributes:
      name: one of NAMES.
      target: the processor they run on; the built-in kernels are those of x86_64.
      vectors: whether the built-in kernels are compiled with SSE4.1 and ruy for all types, as those of LiteRT and
        TensorFlow; the wheels of tflite-runtime have neither.
    """

    name: str
    target: str = "x86_64"
    vectors: bool = True

    @property
    def number(self) -> int:
        """In a program's header."""
        return NAMES.index(self.name)

    def runs(self, op: Op) -> str:
        """Whose arithmetic an op has: its own name, or 'builtin' where XNNPACK leaves the op alone."""
        return "builtin" if self.name == "xnnpack" and not xnnpack_takes(op) else self.name


def unsigned(tensor: Tensor, value: int) -> int:
    """An integer of an 8-bit tensor in the unsigned domain."""
    return value + 128 if tensor.dtype == np.int8 else value


def _source_of(op: Op) -> Tensor:
    """The activation that a convolution or FULLY_CONNECTED reads."""
    source = op.inputs[2 if op.opcode == "TRANSPOSE_CONV" else 0]
    assert source is not None
    return source


def accumulator_rule(op: Op, kernels: KernelSet) -> Rule:
    """The rule of CONV_2D, DEPTHWISE_CONV_2D, TRANSPOSE_CONV and FULLY_CONNECTED."""
    source = _source_of(op)
    own = kernels.runs(op)
    if own == "xnnpack":
        rndnu = kernels.target == "aarch64" and source.dtype == np.uint8
        return Rule.RNDNU if rndnu else Rule.FLOAT32
    is_int8 = source.dtype == np.int8
    if own == "reference":
        in_floats = op.opcode == "FULLY_CONNECTED" and kernels.vectors  # tflite-runtime's are older
        return Rule.FLOAT64 if in_floats else Rule.DOUBLE_ROUNDING
    if op.opcode == "DEPTHWISE_CONV_2D":
        return Rule.BLOCKS if is_int8 and kernels.vectors else Rule.DOUBLE_ROUNDING
    if op.opcode == "TRANSPOSE_CONV":
        return (Rule.BLOCKS if is_int8 else Rule.HALF_UP) if kernels.vectors else Rule.DOUBLE_ROUNDING
    if op.opcode == "CONV_2D" and _is_grouped(op):
        return Rule.DOUBLE_ROUNDING
    return Rule.HALF_UP if is_int8 or kernels.vectors else Rule.DOUBLE_ROUNDING  # ruy or gemmlowp


def requantization(op: Op, channels: int, kernels: KernelSet) -> Requantization:
    """Rule, scales and clamp of a convolution or FULLY_CONNECTED whose quantization is known to be whole."""
    weights, result = op.inputs[1], op.outputs[0]
    assert weights is not None
    assert result is not None
    assert result.zero_point is not None
    quantized = constants.quantization(weights)
    assert quantized is not None
    rule = accumulator_rule(op, kernels)
    reals = _effective_scales(op, rule, quantized.per_channel(channels), quantized.is_per_channel)
    low, high = clamp(op, kernels)
    zero = unsigned(result, result.zero_point)
    if rule.in_floats:
        return Requantization(rule, reals, None, zero, low, high)
    if rule is Rule.RNDNU:
        m, s = rndnu_multipliers(reals)
    else:
        m, s = multipliers.quantize_multipliers(reals)
    return Requantization(rule, m, s.astype(np.int8), zero, low, high)


def _effective_scales(op: Op, rule: Rule, weights: Scales, per_channel: bool) -> np.ndarray:
    source, result = _source_of(op), op.outputs[0]
    assert result is not None
    assert source.scale is not None
    assert result.scale is not None
    if rule in (Rule.FLOAT32, Rule.RNDNU):
        return multipliers.float32_scales(source.scale, weights.scales, result.scale)
    in_double = per_channel or rule is Rule.FLOAT64 or (op.opcode != "FULLY_CONNECTED" and source.dtype == np.int8)
    if in_double:
        return multipliers.per_channel_scales(source.scale, weights.scales, result.scale)
    one = multipliers.per_tensor_scale(source.scale, float(weights.scales[0]), result.scale)
    return np.full(len(weights.scales), one)


def rndnu_multipliers(scales: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """m and s of rule 5 for float32 scales: their 24-bit mantissas as they are, int32 [n] both."""
    bits = scales.astype(np.float32).view(np.uint32).astype(np.int64)
    return (((bits & 0x7FFFFF) | 0x800000) << 7).astype(np.int32), ((bits >> 23) - 126).astype(np.int32)


def clamp(op: Op, kernels: KernelSet) -> tuple[int, int]:
    """What the fused activation leaves, unsigned domain; the runtime is known to accept it."""
    result = op.outputs[0]
    assert result is not None
    kind = activation.fused_activation(op)
    if kernels.runs(op) == "xnnpack":
        low, high = (_xnnpack_limit(result, real) for real in activation.REAL_RANGES[kind])
    else:
        found = activation.clamp(kind, result)
        assert found is not None
        low, high = found
    # Outside a byte: the lowest clamp that a value of the type can reach.
    return min(max(unsigned(result, low), 0), 255), min(max(unsigned(result, high), 0), 255)


def _xnnpack_limit(result: Tensor, real: float) -> int:
    """xnn_qs8_quantize: in float32, halves to even, the zero point added before rounding."""
    assert result.dtype is not None
    assert result.scale is not None
    assert result.zero_point is not None
    info = np.iinfo(result.dtype)
    with np.errstate(over="ignore"):
        place = np.float32(real) / np.float32(result.scale) + np.float32(result.zero_point)
    return int(np.rint(np.clip(place, np.float32(info.min), np.float32(info.max))))


def _is_grouped(op: Op) -> bool:
    source, weights = op.inputs[0], op.inputs[1]
    return source is not None and weights is not None and source.shape[3] != weights.shape[3]


def xnnpack_takes(op: Op) -> bool:
    """Whether the delegate claims an op of 8-bit (or partly float32) tensors; of those whose results depend on it."""
    result = op.outputs[0]
    if result is not None and result.dtype == np.float32:
        return op.opcode in _XNNPACK_FLOATS
    takes = _XNNPACK.get(op.opcode)
    return takes is not None and takes(op)


def _has_bias(op: Op) -> bool:
    return len(op.inputs) == 3 and op.inputs[2] is not None


def _known_activation(op: Op) -> bool:
    return activation.fused_activation(op) in activation.REAL_RANGES


def _takes_convolution(op: Op) -> bool:
    return _has_bias(op) and _known_activation(op)


def _takes_transpose_conv(op: Op) -> bool:
    weights, result, options = op.inputs[1], op.outputs[0], op.options
    assert weights is not None
    assert result is not None
    if not _known_activation(op):
        return False
    kernel, strides = weights.shape[1:3], (options.strideH, options.strideW)
    if pads_same(op):
        return all(taps >= stride for taps, stride in zip(kernel, strides, strict=True))
    return all(taps <= size for taps, size in zip(kernel, result.shape[1:3], strict=True))


def _takes_fully_connected(op: Op) -> bool:
    weights = op.inputs[1]
    return _known_activation(op) and weights is not None and (weights.dtype == np.uint8 or not weights.zero_point)


def _takes_add(op: Op) -> bool:
    result = op.outputs[0]
    assert result is not None
    assert result.scale is not None
    sources = [t for t in op.inputs if t is not None]
    ratios = [np.float32(t.scale or 0.0) / np.float32(result.scale) for t in sources]
    return _known_activation(op) and all(1 / 1024 <= ratio < 256 for ratio in ratios)


def _takes_max_pool(op: Op) -> bool:
    options = op.options
    strides = (options.strideH, options.strideW)
    kernel = (options.filterHeight, options.filterWidth)
    fits = strides[0] <= kernel[0] and strides[1] <= kernel[1]
    return fits and not (kernel == (1, 1) and max(strides) > 1) and _known_activation(op)


def _takes_quantize(op: Op) -> bool:
    source, result = op.inputs[0], op.outputs[0]
    assert source is not None
    assert result is not None
    if source.dtype == np.float32:
        return True
    if source.dtype != result.dtype or source.scale is None or result.scale is None:
        return False
    return bool(1 / 256 <= np.float32(source.scale) / np.float32(result.scale) <= 128)


def _takes_leaky_relu(op: Op) -> bool:
    source, result = op.inputs[0], op.outputs[0]
    alpha = np.float32(getattr(op.options, "alpha", np.nan))
    if source is None or result is None or source.scale is None or result.scale is None:
        return False
    positive = np.float32(source.scale) / np.float32(result.scale)
    negative = positive * alpha
    is_normal = bool(np.isfinite(alpha) and abs(alpha) >= np.finfo(np.float32).tiny)
    fits = 1 / 256 <= positive <= 128 and -127.99609375 <= negative <= 128 and abs(negative) >= 1 / 256
    return is_normal and bool(fits)


def _takes_mul(op: Op) -> bool:
    a, b, result = op.inputs[0], op.inputs[1], op.outputs[0]
    if a is None or b is None or result is None or None in (a.scale, b.scale, result.scale):
        return False
    product = np.float32(a.scale) * np.float32(b.scale)
    return _known_activation(op) and bool(1 / 65536 <= product / np.float32(result.scale) < 256)


def _always(op: Op) -> bool:
    return True


_XNNPACK = {
    "CONV_2D": _takes_convolution,
    "DEPTHWISE_CONV_2D": _takes_convolution,
    "FULLY_CONNECTED": _takes_fully_connected,
    "TRANSPOSE_CONV": _takes_transpose_conv,
    "ADD": _takes_add,
    "MEAN": _always,
    "SUM": _always,
    "MAX_POOL_2D": _takes_max_pool,
    "QUANTIZE": _takes_quantize,
    "RESIZE_BILINEAR": _always,
    "SUB": _takes_add,
    "MUL": _takes_mul,
    "LOGISTIC": _always,
    "TANH": _always,
    "LEAKY_RELU": _takes_leaky_relu,
}
# Of ops whose output is float32, if their activation is known.
_XNNPACK_FLOATS = (
    "ADD", "SUB", "MUL", "DIV", "MAXIMUM", "MINIMUM", "SQUARED_DIFFERENCE", "SQUARE", "SQRT", "LOGISTIC",
    "RELU", "RELU6", "RELU_N1_TO_1", "DEQUANTIZE",
)  # fmt: skip
