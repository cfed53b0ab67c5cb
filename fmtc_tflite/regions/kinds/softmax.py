"""SOFTMAX in fixed point: the reference kernels of TensorFlow Lite Micro, and no others."""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fmtc_tflite.coding import rounding
from fmtc_tflite.graph.model import Op, Tensor
from fmtc_tflite.graph.operators import multipliers
from fmtc_tflite.regions.kernel_sets import KernelSet
from fmtc_tflite.regions.kinds.elementwise import ElementwiseOp, Table
from fmtc_tflite.regions.kinds.facts import alike, require, scale_of, zero_point_of
from fmtc_tflite.regions.ops import RegionOp, RegionTensor

_STRUCT = struct.Struct("<I12x")
_INTEGER_BITS = 5  # of what is rescaled before its exponential is taken, beside 26 of a fraction
_FRACTION_BITS = 31 - _INTEGER_BITS
_MOST_CHANNELS = 4095
_OUTPUT_SCALE = np.float32(1 / 256)
# exp(-2^i) for i from -2 on, fractions of 31 bits.
_EXPONENTIALS_OF_POWERS = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)


@dataclass(frozen=True, eq=False)
class Softmax(ElementwiseOp):
    """SOFTMAX of each pixel's channels.

    Attributes:
      exponentials: int32 [256], of so many steps below the largest value.
    """

    kind: ClassVar[int] = 37
    exponentials: np.ndarray

    @property
    def cost_kind(self) -> str:
        """Not measured: it is in regions of microcontrollers only, for which no times are predicted."""
        return Table.__name__

    def parameters(self, add: Callable[[bytes, int], int], outside: Collection[RegionTensor]) -> bytes:
        return _STRUCT.pack(add(self.exponentials.astype("<i4").tobytes(), 4))


def build_softmax(op: Op, tensor_of: Callable[[Tensor], RegionTensor], kernels: KernelSet) -> RegionOp:
    """SOFTMAX of the last axis."""
    source, result = alike(op)
    require(source.shape == result.shape, "its input and output have different shapes")
    lowest = -128 if result.dtype == np.int8 else 0
    usual = scale_of(result) == _OUTPUT_SCALE and zero_point_of(result) == lowest
    require(usual, "its output's scale is not 1/256 from the lowest value on")
    x, y = tensor_of(source), tensor_of(result)
    require(x.channels == source.shape[-1], "it is not one of channels")
    require(x.channels <= _MOST_CHANNELS, f"it has more than {_MOST_CHANNELS} channels")
    return Softmax(op, (x,), y, 1, exponentials(float(op.options.beta), float(scale_of(source))))


def exponentials(beta: float, scale: float) -> np.ndarray:
    """exp(-beta scale d) for steps d of 0 to 255, fractions of 31 bits, int32 [256].

    Raises:
      OpRefusedError: numbers that kernels cannot rescale with.
    """
    real = min(beta * scale * (1 << _FRACTION_BITS), (1 << 31) - 1.0)
    require(real > 1, "its input's scale is too small")
    multiplier, shift = multipliers.quantize_multiplier(real)
    farthest = (((1 << _INTEGER_BITS) - 1) << _FRACTION_BITS) >> shift
    distances = -np.arange(256, dtype=np.int64)
    rescaled = rounding.double_high(rounding.wrap(distances << shift), multiplier)
    return np.where(-distances <= farthest, _exp_of_negative(rescaled), 0).astype(np.int32)


def _exp_of_negative(a: np.ndarray) -> np.ndarray:
    """gemmlowp's exp_on_negative_values of numbers with 26 bits of fraction: fractions of 31 bits."""
    quarter = 1 << (_FRACTION_BITS - 2)
    rest = (a & (quarter - 1)) - quarter
    found = _exp_within_a_quarter(rest << _INTEGER_BITS)
    for bit, factor in enumerate(_EXPONENTIALS_OF_POWERS, _FRACTION_BITS - 2):
        found = np.where((rest - a) & (1 << bit), rounding.double_high(found, factor), found)
    return np.where(a == 0, rounding.INT32_MAX, found)


def _exp_within_a_quarter(a: np.ndarray) -> np.ndarray:
    """Of numbers from -1/4 on and below 0, by Taylor's series around -1/8; all are fractions of 31 bits."""
    at_minus_eighth, third = 1895147668, 715827883
    x = a + (1 << 28)
    squared = rounding.double_high(x, x)
    cubed, fourth = rounding.double_high(squared, x), rounding.double_high(squared, squared)
    terms = rounding.double_high(rounding.shift_away(fourth, 2) + cubed, third) + squared
    return at_minus_eighth + rounding.double_high(x + rounding.shift_away(terms, 1), at_minus_eighth)
