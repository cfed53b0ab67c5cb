"""Gradients of quantized TFLite operators, on the real values that the integers stand for.

An adjoint takes the gradient of some scalar with respect to an op's output and gives it with respect to the op's
activation inputs. Rounding is passed through; what an activation or the integer range clips gets no gradient.
"""

from collections.abc import Callable, Iterator

import numpy as np

from fmtc_tflite.graph.model_io import Op, Tensor
from fmtc_tflite.graph.sites import activation_range
from fmtc_tflite.inference.model_runner import signed

Read = Callable[[Tensor], np.ndarray]
Gradients = Iterator[tuple[Tensor, np.ndarray]]
_SAME = 0  # schema.Padding.SAME


def real_weights(tensor: Tensor) -> np.ndarray:
    """Dequantized constant, float32 of the tensor's shape; per-tensor or per-channel quantization."""
    assert tensor.data is not None
    assert tensor.dtype is not None
    values = tensor.data.view(tensor.dtype).reshape(tensor.shape).astype(np.float32)
    parameters = tensor.quantization
    if parameters is None or parameters.scale is None or len(parameters.scale) == 0:
        return values
    shape = [1] * values.ndim
    if len(parameters.scale) > 1:
        shape[parameters.quantizedDimension] = -1
    scale = np.asarray(parameters.scale, np.float32).reshape(shape)
    return (values - np.asarray(parameters.zeroPoint, np.float32).reshape(shape)) * scale


def clipped_gradient(op: Op, output: Tensor, gradient: np.ndarray, read: Read) -> np.ndarray:
    """The gradient where the output's integer lies strictly within its range, else 0."""
    if output.dtype not in (np.int8, np.uint8):
        return gradient
    lo, hi = activation_range(op, output)
    q = signed(read(output))
    return gradient * ((q > lo) & (q < hi))


def input_gradients(op: Op, gradient: np.ndarray, read: Read) -> Gradients | None:
    """Gradients for the op's activation inputs; None for an operator that is not known here.

    Args:
      op: the operator.
      gradient: float32, of the output's shape.
      read: gives a tensor's integers as they were computed.
    """
    adjoint = _ADJOINTS.get(op.opcode)
    return None if adjoint is None else adjoint(op, gradient, read)


def _activation(tensor: Tensor | None) -> bool:
    return tensor is not None and tensor.data is None


def _inputs(op: Op) -> list[Tensor]:
    return [t for t in op.inputs if t is not None]


def _same_padding(size: int, kernel: int, stride: int, dilation: int) -> int:
    out = -(-size // stride)
    return max((out - 1) * stride + (kernel - 1) * dilation + 1 - size, 0) // 2


def _window(op: Op, shape: tuple[int, ...], kernel: tuple[int, int]) -> tuple[tuple[int, int], ...]:
    """(stride, dilation, padding in front) of each spatial axis."""
    o = op.options
    steps = ((o.strideH, getattr(o, "dilationHFactor", 1)), (o.strideW, getattr(o, "dilationWFactor", 1)))
    pads = [
        _same_padding(n, k, s, d) if o.padding == _SAME else 0
        for n, k, (s, d) in zip(shape[1:3], kernel, steps, strict=True)
    ]
    return (steps[0], steps[1], (pads[0], pads[1]))


class SlidingWindow:
    """The padded input of a convolution or pooling, zeros at first, and where each tap of the window lies in it."""

    def __init__(self, op: Op, shape: tuple[int, ...], kernel: tuple[int, int], out: tuple[int, ...]) -> None:
        (self.sh, self.dh), (self.sw, self.dw), (self.ph, self.pw) = _window(op, shape, kernel)
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
    x, weights = _inputs(op)[0], real_weights(_inputs(op)[1])
    kernel = (weights.shape[1], weights.shape[2])
    scatter = SlidingWindow(op, x.shape, kernel, gradient.shape)
    for a in range(kernel[0]):
        for b in range(kernel[1]):
            scatter.padded[scatter.tap(a, b)] += gradient @ weights[:, a, b, :]
    yield x, scatter.padded[scatter.interior]


def _depthwise(op: Op, gradient: np.ndarray, read: Read) -> Gradients:
    x, weights = _inputs(op)[0], real_weights(_inputs(op)[1])[0]
    scatter = SlidingWindow(op, x.shape, (weights.shape[0], weights.shape[1]), gradient.shape)
    for a in range(weights.shape[0]):
        for b in range(weights.shape[1]):
            through = (gradient * weights[a, b]).reshape(*gradient.shape[:3], x.shape[3], -1)
            scatter.padded[scatter.tap(a, b)] += through.sum(-1)
    yield x, scatter.padded[scatter.interior]


def _fully_connected(op: Op, gradient: np.ndarray, read: Read) -> Gradients:
    x, weights = _inputs(op)[0], real_weights(_inputs(op)[1])
    yield x, (gradient.reshape(-1, gradient.shape[-1]) @ weights).reshape(x.shape)


def _reduced(gradient: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Undoes numpy broadcasting by summing."""
    axes = tuple(i for i, n in enumerate(shape) if n == 1 and gradient.shape[i] != 1)
    return gradient.sum(axes, keepdims=True) if axes else gradient


def _add(op: Op, gradient: np.ndarray, read: Read) -> Gradients:
    for tensor, sign in zip(_inputs(op), (1.0, -1.0 if op.opcode == "SUB" else 1.0), strict=False):
        if _activation(tensor) and len(tensor.shape) == gradient.ndim:
            yield tensor, sign * _reduced(gradient, tensor.shape)


def _mul(op: Op, gradient: np.ndarray, read: Read) -> Gradients:
    factors = [_real(t, read) for t in _inputs(op)]
    for tensor, other in zip(_inputs(op), factors[::-1], strict=True):
        if _activation(tensor) and len(tensor.shape) == gradient.ndim:
            yield tensor, _reduced(gradient * other, tensor.shape)


def _real(tensor: Tensor, read: Read) -> np.ndarray:
    if tensor.data is not None:
        return real_weights(tensor)
    return (read(tensor).astype(np.float32) - (tensor.zero_point or 0)) * np.float32(tensor.scale or 1.0)


def _mean(op: Op, gradient: np.ndarray, read: Read) -> Gradients:
    x = _inputs(op)[0]
    axes = _inputs(op)[1].data
    assert axes is not None
    shape = list(x.shape)
    for axis in axes.view(np.int32).tolist():
        shape[axis] = 1
    yield x, np.broadcast_to(gradient.reshape(shape), x.shape) * np.float32(np.prod(shape) / np.prod(x.shape))


def _average_pool(op: Op, gradient: np.ndarray, read: Read) -> Gradients:
    x, kernel = _inputs(op)[0], (op.options.filterHeight, op.options.filterWidth)
    scatter = SlidingWindow(op, x.shape, kernel, gradient.shape)
    for a in range(kernel[0]):
        for b in range(kernel[1]):
            scatter.padded[scatter.tap(a, b)] += gradient / (kernel[0] * kernel[1])
    yield x, scatter.padded[scatter.interior]


def _max_pool(op: Op, gradient: np.ndarray, read: Read) -> Gradients:
    x, kernel = _inputs(op)[0], (op.options.filterHeight, op.options.filterWidth)
    output = op.outputs[0]
    assert output is not None
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
    yield _inputs(op)[0], gradient.reshape(_inputs(op)[0].shape)


def _pad(op: Op, gradient: np.ndarray, read: Read) -> Gradients:
    amounts = _inputs(op)[1].data
    assert amounts is not None
    pairs = amounts.view(np.int32).reshape(-1, 2).tolist()
    yield _inputs(op)[0], gradient[tuple(slice(a, n - b) for n, (a, b) in zip(gradient.shape, pairs, strict=True))]


def _strided_slice(op: Op, gradient: np.ndarray, read: Read) -> Gradients:
    x, o = _inputs(op)[0], op.options
    begin, end, stride = (t.data.view(np.int32).tolist() for t in _inputs(op)[1:4] if t.data is not None)
    if o.ellipsisMask or o.newAxisMask or o.shrinkAxisMask:
        return
    full = np.zeros(x.shape, np.float32)
    index = tuple(
        slice(None if o.beginMask >> i & 1 else b, None if o.endMask >> i & 1 else e, s)
        for i, (b, e, s) in enumerate(zip(begin, end, stride, strict=True))
    )
    full[index] = gradient
    yield x, full


def _concatenation(op: Op, gradient: np.ndarray, read: Read) -> Gradients:
    axis = op.options.axis
    sizes = [t.shape[axis] for t in _inputs(op)]
    yield from zip(_inputs(op), np.split(gradient, np.cumsum(sizes)[:-1], axis), strict=True)


def _resize_bilinear(op: Op, gradient: np.ndarray, read: Read) -> Gradients:
    x = _inputs(op)[0]
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
