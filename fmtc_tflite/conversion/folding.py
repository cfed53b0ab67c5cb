"""Folded maps: what a pointwise convolution writes is computed by the decoder from what the convolution reads.

A 1x1 convolution from r channels to C >= r (the first of a MobileNetV2 block) writes a map whose pre-activation has
rank r. Its KLT has r components, and they span the same space as the r channels that the convolution reads. Where
these are coded anyway, they serve for both: nothing is stored for the wider map, whose decoders read the narrow map's
coded form with a synthesis that is the convolution itself, the activation being the decoder's clamp. That needs no new
quantization of weights or activations.
"""

from __future__ import annotations

import numpy as np

from fmtc_tflite.calibration.projection import signed_zero_point
from fmtc_tflite.coding.side_info import STEP_ONE, AffineTransform, CompactMatrix
from fmtc_tflite.coding.transform import fixed_point
from fmtc_tflite.errors import CodingError, ModelFormatError
from fmtc_tflite.graph.model_io import Tensor
from fmtc_tflite.graph.operators.constants import bias, constant, is_constant, quantization, real_values
from fmtc_tflite.graph.operators.window import op_window
from fmtc_tflite.graph.sites import Site


def can_fold(site: Site) -> bool:
    """Whether the map's producer is a pointwise convolution that does not narrow an 8-bit map."""
    op, target = site.producer, site.tensor
    if op.opcode != "CONV_2D" or len(op.inputs) < 2:
        return False
    source, weights = op.inputs[0], op.inputs[1]
    if source is None or weights is None or not is_constant(weights) or source.data is not None:
        return False
    if len(weights.shape) != 4 or len(source.shape) != 4 or not _has_plain_scales(weights):
        return False
    try:
        bias(op, weights.shape[0])
        is_pointwise = op_window(op).is_pointwise
    except ModelFormatError:
        return False
    return (
        is_pointwise
        and source.shape[0] == target.shape[0]
        and source.dtype == target.dtype
        and weights.shape[3] == source.shape[3] <= target.shape[3]
        and bool(source.scale)
    )


def _has_plain_scales(weights: Tensor) -> bool:
    """Whether 8-bit weights have one positive scale, or one for each output channel, and zero points to match."""
    parameters = weights.quantization
    if weights.dtype not in (np.int8, np.uint8) or parameters is None or parameters.details is not None:
        return False
    counts = [0 if values is None else len(values) for values in (parameters.scale, parameters.zeroPoint)]
    per_channel = counts[0] == weights.shape[0] and parameters.quantizedDimension == 0
    return (counts[0] == 1 or per_channel) and counts[0] == counts[1] and bool(np.min(parameters.scale) > 0)


def net_side_information_bits(site: Site) -> int:
    """About the bits of a folded map's side information beyond the weights and biases of the convolution that leaves.

    The decoder reads all of it once per inference, where the convolution read its weights and biases: what counts is
    the rest, scales of the rows and the source's quantization once more.
    """
    source, weights = site.producer.inputs[0], site.producer.inputs[1]
    assert source is not None
    assert weights is not None
    channels, components = site.tensor.shape[3], source.shape[3]
    matrix = channels * components if _bytes_of(weights) is None else 2 * channels  # a second byte each, or multipliers
    return 8 * (matrix + 2 * components)


def synthesis(
    site: Site, centres: np.ndarray, steps: np.ndarray, level: int
) -> tuple[AffineTransform, CompactMatrix | None]:
    """The convolution as a map from quantization indices to the target's integers.

    Args:
      site: one that can be folded.
      centres: of the source's quantizer in the int8 domain, [r].
      steps: in 1/16 units, [r].
      level: constant level that the accumulator must have room for.

    Returns:
      The map, and its matrix in bytes; None for the latter where the weights are no signed bytes.
    """
    source, weights = site.producer.inputs[0], site.producer.inputs[1]
    assert source is not None
    assert weights is not None
    matrix = real_values(weights)[:, 0, 0, :].astype(np.float64) * _scale(source) / _scale(site.tensor)
    real_bias = bias(site.producer, len(matrix)) * (_weight_scales(weights) * _scale(source))
    offset = real_bias / _scale(site.tensor) + signed_zero_point(site.tensor)
    offset = offset + matrix @ (centres - signed_zero_point(source))
    plain = fixed_point(matrix * steps / STEP_ONE, offset, 255 << level, 0, "folded synthesis")
    stored = _bytes_of(weights)
    if stored is None:
        return plain, None
    scales = _weight_scales(weights) * _scale(source) / _scale(site.tensor)
    return _compact(stored, scales, offset, steps, plain.shift, 255 << level)


def _compact(
    weights: np.ndarray, scales: np.ndarray, bias: np.ndarray, steps: np.ndarray, shift: int, largest_input: int
) -> tuple[AffineTransform, CompactMatrix]:
    """weights * scales * steps / 16 and the bias in fixed point, the matrix in bytes.

    Args:
      shift: of the same matrix with 16 bits; this one's is as large, or one less where rounding makes a difference.
    """
    for own_shift in (shift, shift - 1):
        units = scales / STEP_ONE * 2.0**own_shift
        expansion = int(np.clip(np.floor(np.log2(65535 / units.max())), 1, 40))
        compact = CompactMatrix(weights, np.rint(units * 2.0**expansion).astype(np.uint16), expansion)
        matrix = compact.expand(steps)
        if np.abs(matrix).max() > 32767:
            continue
        found = AffineTransform(matrix.astype(np.int16), np.rint(bias * (1 << own_shift)).astype(np.int32), own_shift)
        try:
            found.check(largest_input, 0, "folded synthesis")
        except CodingError:
            continue
        return found, compact
    raise CodingError(f"folded synthesis: no fixed-point form of {weights.shape} in bytes; please report the model")


def _bytes_of(weights: Tensor) -> np.ndarray | None:
    """A pointwise convolution's weights without their zero point, int8 [C, r]; None if they exceed 8 bits then."""
    values, scales = constant(weights)[:, 0, 0, :].astype(np.int64), quantization(weights)
    if scales is not None:
        values = values - scales.zero_points[:, None]
    return values.astype(np.int8) if values.min() >= -128 and values.max() <= 127 else None


def _weight_scales(weights: Tensor) -> np.ndarray:
    """Of each output, float64 [C]."""
    scales = quantization(weights)
    assert scales is not None  # see can_fold
    return scales.per_channel(weights.shape[0]).scales.astype(np.float64)


def _scale(tensor: Tensor) -> float:
    return float(tensor.scale or 1.0)
