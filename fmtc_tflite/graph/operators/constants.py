"""Constants of operators as checked numpy arrays: weights, biases, axes, paddings, slices, sizes."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from fmtc_tflite.errors import ModelFormatError
from fmtc_tflite.graph.model import Op, Tensor
from fmtc_tflite.graph.operators.window import describe, operand


def constant(tensor: Tensor) -> np.ndarray:
    """A constant's values in its own dtype and shape (read-only view of the file).

    Raises:
      ModelFormatError: no constant, a type without a numpy dtype, sparse, or not as many bytes as its shape says.
    """
    if tensor.data is None or tensor.dtype is None or tensor.raw.sparsity is not None:
        kind = "sparse" if tensor.raw.sparsity is not None else "no constant of a plain type"
        raise ModelFormatError(f"tensor {tensor.name!r} ({tensor.type_name}) is {kind}")
    expected = prod(tensor.shape) * tensor.dtype.itemsize
    if tensor.data.size != expected:
        raise ModelFormatError(
            f"constant {tensor.name!r} has {tensor.data.size} bytes, its shape {tensor.shape} needs {expected}"
        )
    return tensor.data.view(tensor.dtype).reshape(tensor.shape)


def is_constant(tensor: Tensor | None) -> bool:
    """Whether `constant` would give the tensor's values."""
    if tensor is None or tensor.data is None or tensor.dtype is None or tensor.raw.sparsity is not None:
        return False
    return tensor.data.size == prod(tensor.shape) * tensor.dtype.itemsize


@dataclass(frozen=True)
class Scales:
    """A tensor's quantization along one axis, or one for all.

    Attributes:
      scales: float32 [1] or [channels].
      zero_points: int64, of the same length.
      axis: which axis `scales` runs over; meaningless if there is one.
    """

    scales: np.ndarray
    zero_points: np.ndarray
    axis: int

    @property
    def is_per_channel(self) -> bool:
        """As TFLite decides: more than one scale."""
        return len(self.scales) > 1

    def per_channel(self, channels: int) -> Scales:
        """The same with one entry a channel."""
        return Scales(np.broadcast_to(self.scales, channels), np.broadcast_to(self.zero_points, channels), self.axis)


def quantization(tensor: Tensor) -> Scales | None:
    """The tensor's affine quantization; None if it has none.

    Raises:
      ModelFormatError: scales that are no positive finite numbers, or zero points of another count.
    """
    parameters = tensor.quantization
    if parameters is None or parameters.details is not None or parameters.scale is None or len(parameters.scale) == 0:
        return None
    scales = np.asarray(parameters.scale, np.float32)
    given = parameters.zeroPoint
    zeros = np.zeros(len(scales), np.int64) if given is None or len(given) == 0 else np.asarray(given, np.int64)
    if len(zeros) == 1:
        zeros = np.broadcast_to(zeros, len(scales))
    axis = int(parameters.quantizedDimension)
    wrong_axis = len(scales) > 1 and not (0 <= axis < len(tensor.shape) and tensor.shape[axis] == len(scales))
    if len(zeros) != len(scales) or not (np.isfinite(scales).all() and (scales > 0).all()) or wrong_axis:
        raise ModelFormatError(
            f"tensor {tensor.name!r} of shape {tensor.shape} has {len(scales)} scales and {len(zeros)} zero points "
            f"on axis {axis}, which do not fit or are no positive numbers"
        )
    return Scales(scales, zeros, axis)


def real_values(tensor: Tensor) -> np.ndarray:
    """A constant dequantized, float32 of its shape; its plain values where it has no quantization.

    Raises:
      ModelFormatError: see constant and quantization; 4-bit integers are taken as well.
    """
    return dequantized(_four_bits(tensor) if tensor.type_name == "INT4" else constant(tensor), tensor)


def _four_bits(tensor: Tensor) -> np.ndarray:
    """Values of an INT4 constant, int8 of its shape: two in a byte, the first in its lower half."""
    count = prod(tensor.shape)
    if tensor.data is None or tensor.raw.sparsity is not None or tensor.data.size != (count + 1) // 2:
        raise ModelFormatError(f"tensor {tensor.name!r} ({tensor.type_name}) is no dense constant of its shape")
    halves = np.stack([tensor.data << 4, tensor.data & 0xF0], axis=1).view(np.int8) >> 4
    return halves.reshape(-1)[:count].reshape(tensor.shape)


def dequantized(integers: np.ndarray, tensor: Tensor) -> np.ndarray:
    """A tensor's integers as real values, float32; as they are where it has no quantization.

    Raises:
      ModelFormatError: see quantization.
    """
    values, parameters = integers.astype(np.float32), quantization(tensor)
    if parameters is None:
        return values
    shape = [1] * values.ndim
    if parameters.is_per_channel:
        shape[parameters.axis] = -1
    return (values - parameters.zero_points.astype(np.float32).reshape(shape)) * parameters.scales.reshape(shape)


def bias(op: Op, channels: int, index: int = 2) -> np.ndarray:
    """The biases of a convolution or FULLY_CONNECTED, int32 [channels]; zeros where they are absent.

    Args:
      index: the input that they are: 3 of TRANSPOSE_CONV.

    Raises:
      ModelFormatError: not int32, or of another length.
    """
    tensor = op.inputs[index] if len(op.inputs) > index else None
    if tensor is None:
        return np.zeros(channels, np.int32)
    values = constant(tensor).reshape(-1)
    if values.dtype != np.int32 or len(values) != channels:
        raise ModelFormatError(
            f"{describe(op)} has a bias of {len(values)} x {values.dtype}, expected {channels} x int32"
        )
    return values


def integers(op: Op, index: int) -> list[int]:
    """A small constant input of whole numbers (axes, a shape, begins, sizes), flat.

    Raises:
      ModelFormatError: no constant of int32 or int64.
    """
    values = constant(operand(op, index))
    if values.dtype not in (np.int32, np.int64):
        raise ModelFormatError(f"{describe(op)} has input {index} of {values.dtype}, expected int32 or int64")
    return [int(value) for value in values.reshape(-1)]


def axes(op: Op, rank: int) -> tuple[int, ...]:
    """The axes that a reduction runs over, each once, 0 to rank - 1, ascending.

    Raises:
      ModelFormatError: an axis outside the tensor.
    """
    found = integers(op, 1)
    if any(not -rank <= axis < rank for axis in found):
        raise ModelFormatError(f"{describe(op)} reduces axes {found} of a tensor of rank {rank}")
    return tuple(sorted({axis % rank for axis in found}))


def paddings(op: Op, rank: int) -> list[tuple[int, int]]:
    """What PAD or PADV2 puts before and after each axis.

    Raises:
      ModelFormatError: another count than two an axis, or a negative one.
    """
    flat = integers(op, 1)
    if len(flat) != 2 * rank or min(flat, default=0) < 0:
        raise ModelFormatError(f"{describe(op)} has paddings {flat} for a tensor of rank {rank}")
    return list(zip(flat[::2], flat[1::2], strict=True))


def padding_value(op: Op) -> int | None:
    """The one value that a PADV2 pads with; None if it is computed, or of another type or scale than the output.

    Raises:
      ModelFormatError: a constant of a type without numbers.
    """
    tensor, result = operand(op, 2), op.outputs[0]
    if not is_constant(tensor) or result is None or prod(tensor.shape) != 1:
        return None
    same = (tensor.type, tensor.scale, tensor.zero_point) == (result.type, result.scale, result.zero_point)
    return int(constant(tensor).reshape(-1)[0]) if same else None


def slices(op: Op) -> list[slice] | None:
    """SLICE as one slice an axis; a size of -1 is what is left. None if it cuts beyond its input.

    Raises:
      ModelFormatError: begins and sizes of other counts than the input has axes.
    """
    shape, begins, sizes = operand(op, 0).shape, integers(op, 1), integers(op, 2)
    if not len(begins) == len(sizes) == len(shape):
        raise ModelFormatError(f"{describe(op)} slices {begins}, {sizes} out of shape {shape}")
    ends = [size if length == -1 else begin + length
            for begin, length, size in zip(begins, sizes, shape, strict=True)]  # fmt: skip
    if not all(0 <= begin < end <= size for begin, end, size in zip(begins, ends, shape, strict=True)):
        return None
    return [slice(begin, end, 1) for begin, end in zip(begins, ends, strict=True)]


def strided_slices(op: Op, drops: bool = False) -> list[slice] | None:
    """STRIDED_SLICE as one slice an axis with begin, end and step resolved (0 <= begin, end <= size, step >= 1).

    None where it does more than that: new, dropped or implied axes, offsets, negative steps.

    Args:
      drops: dropped axes are slices of one element.

    Raises:
      ModelFormatError: begins, ends and strides of other counts than the input has axes.
    """
    shape, options = operand(op, 0).shape, op.options
    begins, ends, steps = (integers(op, index) for index in (1, 2, 3))
    if not len(begins) == len(ends) == len(steps) <= len(shape):
        raise ModelFormatError(f"{describe(op)} slices {begins}, {ends}, {steps} out of shape {shape}")
    if options.ellipsisMask or options.newAxisMask or getattr(options, "offset", False):
        return None
    if any(step < 1 for step in steps) or (options.shrinkAxisMask and not drops):
        return None
    found = [slice(0, size, 1) for size in shape]
    for axis, (begin, end, step) in enumerate(zip(begins, ends, steps, strict=True)):
        if options.shrinkAxisMask >> axis & 1:
            found[axis] = _one_element(op, 0 if options.beginMask >> axis & 1 else begin, shape[axis])
            continue
        first = None if options.beginMask >> axis & 1 else begin
        last = None if options.endMask >> axis & 1 else end
        found[axis] = slice(*slice(first, last, step).indices(shape[axis]))
    return found


def _one_element(op: Op, place: int, size: int) -> slice:
    """An axis that a STRIDED_SLICE drops; places below 0 count from the end."""
    if not -size <= place < size:
        raise ModelFormatError(f"{describe(op)} takes element {place} of an axis of {size}")
    return slice(place % size, place % size + 1, 1)
