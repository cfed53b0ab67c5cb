"""Gradients of quantized TFLite operators, on the real values that the integers stand for.

An adjoint takes the gradient of some scalar with respect to an op's output and gives it with respect to the op's
activation inputs. Rounding is passed through; what an activation or the integer range clips gets no gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import prod

import numpy as np

from fmtc_tflite.errors import ModelFormatError
from fmtc_tflite.graph.model_io import Op, Tensor
from fmtc_tflite.graph.operators.constants import axes, paddings, real_values, strided_slices
from fmtc_tflite.graph.operators.window import op_window, operand, result_of, window_form
from fmtc_tflite.graph.sites import activation_range
from fmtc_tflite.inference.model_runner import signed

Read = Callable[[Tensor], np.ndarray]
Gradients = Iterator[tuple[Tensor, np.ndarray]]


class _UnknownForm(Exception):
    """The op does something that its adjoint does not cover."""


def clipped_gradient(op: Op, output: Tensor, gradient: np.ndarray, read: Read) -> np.ndarray:
    """The gradient where the output's integer lies strictly within its range, else 0."""
    if output.dtype not in (np.int8, np.uint8):
        return gradient
    lo, hi = activation_range(op, output)
    q = signed(read(output))
    return gradient * ((q > lo) & (q < hi))


def input_gradients(op: Op, gradient: np.ndarray, read: Read) -> list[tuple[Tensor, np.ndarray]] | None:
    """Gradients for the op's activation inputs; None for an operator, or a form of one, that is not known here.

    Args:
      op: the operator.
      gradient: float32, of the output's shape.
      read: gives a tensor's integers as they were computed.
    """
    adjoint = _ADJOINTS.get(op.opcode)
    if adjoint is None or gradient.shape != result_of(op).shape:
        return None
    try:
        found = list(adjoint(op, gradient, read))
    except (_UnknownForm, ModelFormatError):
        return None
    return found if all(value.shape == tensor.shape for tensor, value in found) else None


def _activation(tensor: Tensor | None) -> bool:
    return tensor is not None and tensor.data is None


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

    def tap(self, row: int, column: int) -> tuple[slice, slice, slice]:
        """Where the window's tap (row, column) lies for all outputs."""
        y, x = row * self.dh, column * self.dw
        last_y, last_x = y + (self.out[1] - 1) * self.sh + 1, x + (self.out[2] - 1) * self.sw + 1
        return slice(None), slice(y, last_y, self.sh), slice(x, last_x, self.sw)

    @property
    def interior(self) -> tuple[slice, slice, slice]:
        return slice(None), slice(self.ph, self.ph + self.shape[1]), slice(self.pw, self.pw + self.shape[2])


def _conv(op: Op, gradient: np.ndarray, read: Read) -> Gradients:
    x, weights = operand(op, 0), real_values(operand(op, 1))
    _require(weights.ndim == 4 and weights.shape[0] == gradient.shape[3] and weights.shape[3:] == x.shape[3:])
    kernel = (weights.shape[1], weights.shape[2])
    scatter = SlidingWindow(op, x.shape, kernel, gradient.shape)
    for a in range(kernel[0]):
        for b in range(kernel[1]):
            scatter.padded[scatter.tap(a, b)] += gradient @ weights[:, a, b, :]
    yield x, scatter.padded[scatter.interior]


def _depthwise(op: Op, gradient: np.ndarray, read: Read) -> Gradients:
    x, weights = operand(op, 0), real_values(operand(op, 1))
    _require(weights.ndim == 4 and weights.shape[0] == 1 and weights.shape[3] == gradient.shape[3])
    _require(len(x.shape) == 4 and weights.shape[3] % max(x.shape[3], 1) == 0)
    weights = weights[0]
    scatter = SlidingWindow(op, x.shape, (weights.shape[0], weights.shape[1]), gradient.shape)
    for a in range(weights.shape[0]):
        for b in range(weights.shape[1]):
            through = (gradient * weights[a, b]).reshape(*gradient.shape[:3], x.shape[3], -1)
            scatter.padded[scatter.tap(a, b)] += through.sum(-1)
    yield x, scatter.padded[scatter.interior]


def _fully_connected(op: Op, gradient: np.ndarray, read: Read) -> Gradients:
    x, weights = operand(op, 0), real_values(operand(op, 1))
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


def _add(op: Op, gradient: np.ndarray, read: Read) -> Gradients:
    for tensor, sign in zip(_inputs(op), (1.0, -1.0 if op.opcode == "SUB" else 1.0), strict=True):
        if _activation(tensor):
            yield tensor, sign * _reduced(gradient, tensor.shape)


def _mul(op: Op, gradient: np.ndarray, read: Read) -> Gradients:
    factors = [_real(t, read) for t in _inputs(op)]
    for tensor, other in zip(_inputs(op), factors[::-1], strict=True):
        if _activation(tensor):
            yield tensor, _reduced(gradient * other, tensor.shape)


def _real(tensor: Tensor, read: Read) -> np.ndarray:
    if tensor.data is not None:
        return real_values(tensor)
    return (read(tensor).astype(np.float32) - (tensor.zero_point or 0)) * np.float32(tensor.scale or 1.0)


def _mean(op: Op, gradient: np.ndarray, read: Read) -> Gradients:
    x = operand(op, 0)
    shape = list(x.shape)
    for axis in axes(op, len(shape)):
        shape[axis] = 1
    _require(gradient.size == prod(shape))
    yield x, np.broadcast_to(gradient.reshape(shape), x.shape) * np.float32(prod(shape) / max(prod(x.shape), 1))


def _average_pool(op: Op, gradient: np.ndarray, read: Read) -> Gradients:
    x, kernel = operand(op, 0), window_form(op).kernel
    scatter = SlidingWindow(op, x.shape, kernel, gradient.shape)
    for a in range(kernel[0]):
        for b in range(kernel[1]):
            scatter.padded[scatter.tap(a, b)] += gradient / (kernel[0] * kernel[1])
    yield x, scatter.padded[scatter.interior]


def _max_pool(op: Op, gradient: np.ndarray, read: Read) -> Gradients:
    x, kernel = operand(op, 0), window_form(op).kernel
    output = result_of(op)
    scatter = SlidingWindow(op, x.shape, kernel, gradient.shape)
    values = np.full(scatter.padded.shape, -np.inf, np.float32)
    values[scatter.interior] = read(x)
    largest, left = read(output).astype(np.float32), np.ones(gradient.shape, bool)
    for a in range(kernel[0]):
        for b in range(kernel[1]):
            tap = scatter.tap(a, b)
            hit = left & (values[tap] == largest)
            scatter.padded[tap] += gradient * hit
            left &= ~hit
    yield x, scatter.padded[scatter.interior]


def _reshape(op: Op, gradient: np.ndarray, read: Read) -> Gradients:
    x = operand(op, 0)
    _require(gradient.size == prod(x.shape))
    yield x, gradient.reshape(x.shape)


def _pad(op: Op, gradient: np.ndarray, read: Read) -> Gradients:
    pairs = paddings(op, gradient.ndim)
    yield (
        operand(op, 0),
        gradient[tuple(slice(a, n - b) for n, (a, b) in zip(gradient.shape, pairs, strict=True))],
    )


def _strided_slice(op: Op, gradient: np.ndarray, read: Read) -> Gradients:
    x, parts = operand(op, 0), strided_slices(op)
    if parts is None:
        raise _UnknownForm
    full = np.zeros(x.shape, np.float32)
    _require(full[tuple(parts)].shape == gradient.shape)
    full[tuple(parts)] = gradient
    yield x, full


def _concatenation(op: Op, gradient: np.ndarray, read: Read) -> Gradients:
    axis = op.options.axis
    _require(all(-len(t.shape) <= axis < len(t.shape) == gradient.ndim for t in _inputs(op)))
    sizes = [t.shape[axis] for t in _inputs(op)]
    yield from zip(_inputs(op), np.split(gradient, np.cumsum(sizes)[:-1], axis), strict=True)


def _resize_bilinear(op: Op, gradient: np.ndarray, read: Read) -> Gradients:
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


_ADJOINTS: dict[str, Callable[[Op, np.ndarray, Read], Gradients]] = {
    "ADD": _add,
    "AVERAGE_POOL_2D": _average_pool,
    "CONCATENATION": _concatenation,
    "CONV_2D": _conv,
    "DEPTHWISE_CONV_2D": _depthwise,
    "DEQUANTIZE": _reshape,
    "FULLY_CONNECTED": _fully_connected,
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
}
