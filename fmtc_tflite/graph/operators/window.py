"""Windows of convolutions and poolings: kernel, stride, dilation and padding of both axes, as TFLite computes them."""

from __future__ import annotations

from dataclasses import dataclass

from fmtc_tflite.errors import ModelFormatError
from fmtc_tflite.graph.model import Op, Tensor
from fmtc_tflite.graph.schema import schema

_CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D")


@dataclass(frozen=True)
class WindowAxis:
    """One axis of a window: output i reads inputs i * stride + k * dilation - before, for k in 0 .. kernel - 1.

    Attributes:
      size, outputs: length of the input and of the output.
      before, after: padding that the windows read; `after` is what the last window needs (VALID: both 0).
    """

    size: int
    outputs: int
    kernel: int
    stride: int
    dilation: int
    before: int
    after: int

    @property
    def extent(self) -> int:
        """Inputs from a window's first tap to its last, both included."""
        return (self.kernel - 1) * self.dilation + 1

    def span(self, output: int) -> tuple[int, int]:
        """First and last input under the window of an output, not clipped: padding lies below 0 and from `size` on."""
        first = output * self.stride - self.before
        return first, first + self.extent - 1

    def clipped(self, output: int) -> tuple[int, int]:
        """First and last input that the window of an output covers, within the input; empty if first > last."""
        first, last = self.span(output)
        return max(first, 0), min(last, self.size - 1)


@dataclass(frozen=True)
class Window:
    """The rows' axis and the columns' axis."""

    rows: WindowAxis
    columns: WindowAxis

    @property
    def taps(self) -> int:
        """Positions of the kernel."""
        return self.rows.kernel * self.columns.kernel

    @property
    def is_pointwise(self) -> bool:
        """Whether output (y, x) reads input (y * stride, x * stride) only."""
        return self.taps == 1


def pads_same(op: Op) -> bool:
    """Whether the op's padding is SAME."""
    return bool(op.options.padding == schema.Padding.SAME)


@dataclass(frozen=True)
class WindowForm:
    """What an op says of its window whatever its shapes: (height, width) of each."""

    kernel: tuple[int, int]
    strides: tuple[int, int]
    dilations: tuple[int, int]


def window_form(op: Op) -> WindowForm:
    """Kernel, strides and dilations of a convolution or pooling.

    Raises:
      ModelFormatError: no 4-D weights.
    """
    options = op.options
    if op.opcode in _CONVOLUTIONS:
        filters = operand(op, 1).shape
        if len(filters) != 4:
            raise ModelFormatError(f"{describe(op)} needs 4-D weights, found {filters}")
        kernel = (filters[1], filters[2])
    else:
        kernel = (options.filterHeight, options.filterWidth)
    # Poolings have no dilation; 0 is what old writers left where 1 is meant.
    dilations = (getattr(options, "dilationHFactor", 1) or 1, getattr(options, "dilationWFactor", 1) or 1)
    return WindowForm(kernel, (options.strideH, options.strideW), dilations)


def op_window(op: Op) -> Window:
    """The window of a convolution or pooling.

    Raises:
      ModelFormatError: no [N, H, W, C] input or output, a kernel, stride or dilation below 1, or an output whose size
        the options contradict.
    """
    source, result = operand(op, 0), result_of(op)
    if len(source.shape) != 4 or len(result.shape) != 4:
        raise ModelFormatError(f"{describe(op)} needs 4-D tensors, found {source.shape} -> {result.shape}")
    form = window_form(op)
    kernel, strides, dilations, options = form.kernel, form.strides, form.dilations, op.options
    axes = [
        window_axis(size, k, stride, dilation, options.padding)
        for size, k, stride, dilation in zip(source.shape[1:3], kernel, strides, dilations, strict=True)
    ]
    if any(axis is None for axis in axes):
        raise ModelFormatError(
            f"{describe(op)} has a window that cannot be: input {source.shape}, kernel {kernel}, strides {strides}, "
            f"dilations {dilations}, padding {options.padding}"
        )
    rows, columns = axes
    assert rows is not None
    assert columns is not None
    if (rows.outputs, columns.outputs) != tuple(result.shape[1:3]):
        raise ModelFormatError(
            f"{describe(op)} writes {rows.outputs} x {columns.outputs} pixels, its output says {result.shape}"
        )
    return Window(rows, columns)


def window_axis(size: int, kernel: int, stride: int, dilation: int, padding: int) -> WindowAxis | None:
    """One axis, with TFLite's padding (ComputeOutSize, ComputePaddingWithOffset); None if there is no output.

    Args:
      padding: schema.Padding.SAME or VALID.
    """
    if min(size, kernel, stride, dilation) < 1 or padding not in (schema.Padding.SAME, schema.Padding.VALID):
        return None
    extent = (kernel - 1) * dilation + 1
    outputs = -(-size // stride) if padding == schema.Padding.SAME else (size + stride - extent) // stride
    if outputs < 1:
        return None
    total = max((outputs - 1) * stride + extent - size, 0)
    return WindowAxis(size, outputs, kernel, stride, dilation, total // 2, total - total // 2)


def operand(op: Op, index: int) -> Tensor:
    """An input that the op cannot do without.

    Raises:
      ModelFormatError: it is absent.
    """
    if index >= len(op.inputs) or op.inputs[index] is None:
        raise ModelFormatError(f"{describe(op)} has no input {index}")
    tensor = op.inputs[index]
    assert tensor is not None
    return tensor


def result_of(op: Op) -> Tensor:
    """The op's first output.

    Raises:
      ModelFormatError: it has none.
    """
    if not op.outputs or op.outputs[0] is None:
        raise ModelFormatError(f"an op {op.opcode} has no output")
    return op.outputs[0]


def describe(op: Op) -> str:
    """The op for messages: its kind and the name of what it writes."""
    written = [t.name for t in op.outputs if t is not None]
    return f"{op.opcode} {written[0]!r}" if written else op.opcode
