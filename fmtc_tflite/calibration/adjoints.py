"""Gradients of quantized TFLite operators, on the real values that the integers stand for.

An adjoint takes the gradient of some scalar with respect to an op's output and gives it with respect to the op's
activation inputs. Rounding is passed through; what an activation or the integer range clips gets no gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from math import prod

import numpy as np

from fmtc_tflite.calibration.slices import row_slices
from fmtc_tflite.errors import ModelFormatError
from fmtc_tflite.graph.model_io import Op, Tensor
from fmtc_tflite.graph.operators.activation import quantize_limit, real_range
from fmtc_tflite.graph.operators.constants import (
    axes,
    dequantized,
    integers,
    paddings,
    quantization,
    real_values,
    strided_slices,
)
from fmtc_tflite.graph.operators.window import op_window, operand, result_of, window_form

Read = Callable[[Tensor], np.ndarray]
Gradients = Iterator[tuple[Tensor, np.ndarray]]

# What these write lies among the values that they read: in the same quantization only an activation clips it.
_KEEP_THE_RANGE = {
    "AVERAGE_POOL_2D", "CONCATENATION", "MAX_POOL_2D", "MEAN", "PAD", "QUANTIZE", "RELU", "RELU6", "RESHAPE",
    "RESIZE_BILINEAR", "SQUEEZE", "STRIDED_SLICE", "TRANSPOSE",
}  # fmt: skip
_FIT_THEIR_RANGE = {"LOGISTIC", "TANH"}  # kernels demand a scale that holds all of their values


class _UnknownForm(Exception):
    """The op does something that its adjoint does not cover."""


@dataclass(frozen=True)
class Values:
    """The values of a subgraph's tensors in one inference.

    Attributes:
      read: gives a tensor's integers (or floats) as they were computed.
      computed_constants: see graph.computed_constants; weights may be among them.
    """

    read: Read
    computed_constants: Collection[Tensor] = ()

    def is_constant(self, tensor: Tensor) -> bool:
        """Whether the tensor is the same in every inference, so that it has no gradient."""
        return (tensor.data is not None and not tensor.is_variable) or tensor in self.computed_constants

    def real(self, tensor: Tensor) -> np.ndarray:
        """Real values, float32. Raises ModelFormatError, see operators.constants, and for integers without a scale."""
        if (tensor.dtype is None or tensor.dtype.kind != "f") and quantization(tensor) is None:
            raise ModelFormatError(f"tensor {tensor.name!r} has integers without a scale")
        return real_values(tensor) if tensor.data is not None else dequantized(self.read(tensor), tensor)

    def weights(self, op: Op) -> np.ndarray:
        """Weights that are constant, float32 of rank 4 or 2."""
        tensor = operand(op, 1)
        _require(self.is_constant(tensor))
        return self.real(tensor)


def input_gradients(op: Op, gradient: np.ndarray, values: Values) -> list[tuple[Tensor, np.ndarray]] | None:
    """Gradients for the op's activation inputs; None for an operator, or a form of one, that is not known here.

    Args:
      op: the operator.
      gradient: of its only output, float32 of the output's shape; changed: zeroed where the op clips.
    """
    adjoint = _ADJOINTS.get(op.opcode)
    if adjoint is None or len(op.outputs) != 1 or gradient.shape != result_of(op).shape:
        return None
    try:
        found = list(adjoint(op, _clipped(op, gradient, values), values))
    except (_UnknownForm, ModelFormatError):
        return None
    return found if all(value.shape == tensor.shape for tensor, value in found) else None


def _clipped(op: Op, gradient: np.ndarray, values: Values) -> np.ndarray:
    """The gradient where the output lies strictly within what activation and integer range let through, else 0."""
    output = result_of(op)
    low, high = _limits(op, output)
    if np.isinf(low) and np.isinf(high):
        return gradient
    if not gradient.flags.writeable:
        gradient = gradient.copy()
    found = values.read(output)
    gradient *= found > low
    gradient *= found < high
    return gradient


def _limits(op: Op, output: Tensor) -> tuple[float, float]:
    """Limits of the output in the numbers that it holds; infinite where nothing is clipped."""
    real, dtype = real_range(op), output.dtype
    if real is None or dtype is None:
        raise _UnknownForm
    if dtype.kind not in "iu":
        return real
    scale, zero_point = output.scale, output.zero_point
    if scale is None or zero_point is None:
        raise _UnknownForm
    ends = np.iinfo(dtype)
    own = [quantize_limit(limit, scale, zero_point) if np.isfinite(limit) else None for limit in real]
    low = float(ends.min if own[0] is None else max(own[0], ends.min))
    high = float(ends.max if own[1] is None else min(own[1], ends.max))
    if op.opcode in _FIT_THEIR_RANGE or (op.opcode in _KEEP_THE_RANGE and _keeps_quantization(op, output)):
        return (low if low > ends.min else -np.inf), (high if high < ends.max else np.inf)
    return low, high


def _keeps_quantization(op: Op, output: Tensor) -> bool:
    sources = _inputs(op) if op.opcode == "CONCATENATION" else [operand(op, 0)]
    parameters = (output.dtype, output.scale, output.zero_point)
    return all((t.dtype, t.scale, t.zero_point) == parameters for t in sources)


def _inputs(op: Op) -> list[Tensor]:
    return [t for t in op.inputs if t is not None]


def _require(condition: bool) -> None:
    if not condition:
        raise _UnknownForm


class SlidingWindow:
    """The padded input of a convolution or pooling, zeros at first, and where each tap of the window lies in it."""

    def __init__(self, op: Op, shape: tuple[int, ...], kernel: tuple[int, int], out: tuple[int, ...]) -> None:
        rows, columns = (window := op_window(op)).rows, window.columns
        (self.sh, self.dh, self.ph), (self.sw, self.dw, self.pw) = (
            (axis.stride, axis.dilation, axis.before) for axis in (rows, columns)
        )
        self.shape, self.out = shape, out
        height = max((out[1] - 1) * self.sh + (kernel[0] - 1) * self.dh + 1, shape[1] + self.ph)
        width = max((out[2] - 1) * self.sw + (kernel[1] - 1) * self.dw + 1, shape[2] + self.pw)
        self.padded = np.zeros((shape[0], height, width, shape[3]), np.float32)

    def tap(self, row: int, column: int, outputs: slice | None = None) -> tuple[slice, slice, slice]:
        """Where the window's tap (row, column) lies for all outputs, or for these rows of them."""
        rows = slice(0, self.out[1]) if outputs is None else outputs
        y, x = row * self.dh, column * self.dw
        last_x = x + (self.out[2] - 1) * self.sw + 1
        last_y = y + (rows.stop - 1) * self.sh + 1
        return slice(None), slice(y + rows.start * self.sh, last_y, self.sh), slice(x, last_x, self.sw)

    @property
    def interior(self) -> tuple[slice, slice, slice]:
        return slice(None), slice(self.ph, self.ph + self.shape[1]), slice(self.pw, self.pw + self.shape[2])


def _conv(op: Op, gradient: np.ndarray, values: Values) -> Gradients:
    """Groups of output channels read as many groups of input channels, in order."""
    x, weights = operand(op, 0), values.weights(op)
    _require(weights.ndim == len(x.shape) == 4 and weights.shape[0] == gradient.shape[3])
    groups = x.shape[3] // max(weights.shape[3], 1)
    _require(groups > 0 and weights.shape[3] * groups == x.shape[3] and weights.shape[0] % groups == 0)
    kernel = (weights.shape[1], weights.shape[2])
    scatter = SlidingWindow(op, x.shape, kernel, gradient.shape)
    outputs, inputs = weights.shape[0] // groups, weights.shape[3]
    for group in range(groups):
        own = slice(group * outputs, (group + 1) * outputs)
        padded = scatter.padded[..., group * inputs : (group + 1) * inputs]
        for a in range(kernel[0]):
            for b in range(kernel[1]):
                for rows in row_slices(gradient.shape):
                    padded[scatter.tap(a, b, rows)] += gradient[:, rows, :, own] @ weights[own, a, b, :]
    yield x, scatter.padded[scatter.interior]


def _depthwise(op: Op, gradient: np.ndarray, values: Values) -> Gradients:
    x, weights = operand(op, 0), values.weights(op)
    _require(weights.ndim == 4 and weights.shape[0] == 1 and weights.shape[3] == gradient.shape[3])
    _require(len(x.shape) == 4 and weights.shape[3] % max(x.shape[3], 1) == 0)
    weights = weights[0]
    scatter = SlidingWindow(op, x.shape, (weights.shape[0], weights.shape[1]), gradient.shape)
    for a in range(weights.shape[0]):
        for b in range(weights.shape[1]):
            for rows in row_slices(gradient.shape):
                through = gradient[:, rows] * weights[a, b]
                scatter.padded[scatter.tap(a, b, rows)] += through.reshape(*through.shape[:3], x.shape[3], -1).sum(-1)
    yield x, scatter.padded[scatter.interior]


def _fully_connected(op: Op, gradient: np.ndarray, values: Values) -> Gradients:
    x, weights = operand(op, 0), values.weights(op)
    _require(getattr(op.options, "weightsFormat", 0) == 0)  # others are shuffled
    _require(weights.ndim == 2 and gradient.shape[-1:] == weights.shape[:1])
    found = gradient.reshape(-1, gradient.shape[-1]) @ weights
    _require(found.size == prod(x.shape))
    yield x, found.reshape(x.shape)


def _reduced(gradient: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Undoes numpy broadcasting by summing."""
    _require(len(shape) <= gradient.ndim)
    full = (1,) * (gradient.ndim - len(shape)) + shape
    _require(all(own in (1, size) for own, size in zip(full, gradient.shape, strict=True)))
    summed = tuple(i for i, n in enumerate(full) if n == 1 and gradient.shape[i] != 1)
    return (gradient.sum(summed, keepdims=True) if summed else gradient).reshape(shape)


def _add(op: Op, gradient: np.ndarray, values: Values) -> Gradients:
    _require(len(_inputs(op)) == 2)
    for tensor, sign in zip(_inputs(op), (1.0, -1.0 if op.opcode == "SUB" else 1.0), strict=True):
        if not values.is_constant(tensor):
            yield tensor, sign * _reduced(gradient, tensor.shape)


def _mul(op: Op, gradient: np.ndarray, values: Values) -> Gradients:
    _require(len(_inputs(op)) == 2)
    factors = [values.real(t) for t in _inputs(op)]
    for tensor, other in zip(_inputs(op), factors[::-1], strict=True):
        if not values.is_constant(tensor):
            yield tensor, _reduced(gradient * other, tensor.shape)


def _mean(op: Op, gradient: np.ndarray, values: Values) -> Gradients:
    x = operand(op, 0)
    shape = list(x.shape)
    for axis in axes(op, len(shape)):
        shape[axis] = 1
    _require(gradient.size == prod(shape))
    yield x, np.broadcast_to(gradient.reshape(shape), x.shape) * np.float32(prod(shape) / max(prod(x.shape), 1))


def _average_pool(op: Op, gradient: np.ndarray, values: Values) -> Gradients:
    x, kernel = operand(op, 0), window_form(op).kernel
    scatter = SlidingWindow(op, x.shape, kernel, gradient.shape)
    window = op_window(op)
    rows, columns = (
        np.array([axis.clipped(i)[1] - axis.clipped(i)[0] + 1 for i in range(axis.outputs)], np.float32)
        for axis in (window.rows, window.columns)
    )
    share = gradient / (rows[:, None, None] * columns[:, None])  # padding does not count
    for a in range(kernel[0]):
        for b in range(kernel[1]):
            scatter.padded[scatter.tap(a, b)] += share
    yield x, scatter.padded[scatter.interior]


def _max_pool(op: Op, gradient: np.ndarray, values: Values) -> Gradients:
    x, kernel = operand(op, 0), window_form(op).kernel
    output = result_of(op)
    scatter = SlidingWindow(op, x.shape, kernel, gradient.shape)
    padded = np.full(scatter.padded.shape, -np.inf, np.float32)
    padded[scatter.interior] = values.read(x)
    largest, left = values.read(output).astype(np.float32), np.ones(gradient.shape, bool)
    for a in range(kernel[0]):
        for b in range(kernel[1]):
            tap = scatter.tap(a, b)
            hit = left & (padded[tap] == largest)
            scatter.padded[tap] += gradient * hit
            left &= ~hit
    yield x, scatter.padded[scatter.interior]


def _reshape(op: Op, gradient: np.ndarray, values: Values) -> Gradients:
    x = operand(op, 0)
    _require(gradient.size == prod(x.shape))
    yield x, gradient.reshape(x.shape)


def _pad(op: Op, gradient: np.ndarray, values: Values) -> Gradients:
    pairs = paddings(op, gradient.ndim)
    yield (
        operand(op, 0),
        gradient[tuple(slice(a, n - b) for n, (a, b) in zip(gradient.shape, pairs, strict=True))],
    )


def _strided_slice(op: Op, gradient: np.ndarray, values: Values) -> Gradients:
    x, parts = operand(op, 0), strided_slices(op)
    if parts is None:
        raise _UnknownForm
    full = np.zeros(x.shape, np.float32)
    _require(full[tuple(parts)].shape == gradient.shape)
    full[tuple(parts)] = gradient
    yield x, full


def _concatenation(op: Op, gradient: np.ndarray, values: Values) -> Gradients:
    axis = op.options.axis
    _require(all(-len(t.shape) <= axis < len(t.shape) == gradient.ndim for t in _inputs(op)))
    sizes = [t.shape[axis] for t in _inputs(op)]
    yield from zip(_inputs(op), np.split(gradient, np.cumsum(sizes)[:-1], axis), strict=True)


def _resize_bilinear(op: Op, gradient: np.ndarray, values: Values) -> Gradients:
    x = operand(op, 0)
    _require(len(x.shape) == gradient.ndim == 4)
    rows, columns = (_interpolation(op, x.shape[i], gradient.shape[i]) for i in (1, 2))
    yield x, np.einsum("nyxc,yh,xw->nhwc", gradient, rows, columns, optimize=True)


def _interpolation(op: Op, size: int, new_size: int) -> np.ndarray:
    """Linear interpolation from `size` to `new_size` points as a matrix, float32 [new_size, size]."""
    places = np.arange(new_size, dtype=np.float64)
    if op.options.alignCorners and new_size > 1:
        places *= (size - 1) / (new_size - 1)
    elif op.options.halfPixelCenters:
        places = (places + 0.5) * size / new_size - 0.5
    else:
        places *= size / new_size
    places = np.clip(places, 0, size - 1)
    low = np.floor(places).astype(int)
    matrix = np.zeros((new_size, size), np.float32)
    matrix[np.arange(new_size), low] += 1 - (places - low)
    matrix[np.arange(new_size), np.minimum(low + 1, size - 1)] += places - low
    return matrix


def _transpose(op: Op, gradient: np.ndarray, values: Values) -> Gradients:
    order = integers(op, 1)
    _require(sorted(order) == list(range(gradient.ndim)))
    yield operand(op, 0), gradient.transpose(np.argsort(order))


def _elementwise(op: Op, gradient: np.ndarray, values: Values) -> Gradients:
    x = operand(op, 0)
    yield x, gradient * _derivative(op, values.real(x))


def _derivative(op: Op, x: np.ndarray) -> np.ndarray:
    if op.opcode == "LOGISTIC":
        small = np.exp(-np.abs(x))
        return np.asarray(small / (1 + small) ** 2)
    if op.opcode == "TANH":
        return np.asarray(1 - np.tanh(x) ** 2)
    if op.opcode == "LEAKY_RELU":
        return np.where(x >= 0, np.float32(1), np.float32(op.options.alpha))
    assert op.opcode == "HARD_SWISH"
    return np.where(np.abs(x) < 3, (2 * x + 3) / 6, np.float32(1) * (x > 0))


_ADJOINTS: dict[str, Callable[[Op, np.ndarray, Values], Gradients]] = {
    "ADD": _add,
    "AVERAGE_POOL_2D": _average_pool,
    "CONCATENATION": _concatenation,
    "CONV_2D": _conv,
    "DEPTHWISE_CONV_2D": _depthwise,
    "DEQUANTIZE": _reshape,
    "FULLY_CONNECTED": _fully_connected,
    "HARD_SWISH": _elementwise,
    "LEAKY_RELU": _elementwise,
    "LOGISTIC": _elementwise,
    "MAX_POOL_2D": _max_pool,
    "MEAN": _mean,
    "MUL": _mul,
    "PAD": _pad,
    "QUANTIZE": _reshape,
    "RELU": _reshape,
    "RELU6": _reshape,
    "RESHAPE": _reshape,
    "RESIZE_BILINEAR": _resize_bilinear,
    "SQUEEZE": _reshape,
    "STRIDED_SLICE": _strided_slice,
    "SUB": _add,
    "TANH": _elementwise,
    "TRANSPOSE": _transpose,
}
