"""Folded maps: what a pointwise convolution writes is computed by the decoder from what the convolution reads.

A 1x1 convolution from r channels to C >= r (the first of a MobileNetV2 block) writes a map whose pre-activation has
rank r. Its KLT has r components, and they span the same space as the r channels that the convolution reads. Where
these are coded anyway, they serve for both: nothing is stored for the wider map, whose decoders read the narrow map's
coded form with a synthesis that is the convolution itself, the activation being the decoder's clamp. That needs no new
quantization of weights or activations.
"""

import numpy as np

from fmtc_tflite.calibration.adjoints import real_weights
from fmtc_tflite.calibration.projection import signed_zero_point
from fmtc_tflite.coding.side_info import STEP_ONE, AffineTransform
from fmtc_tflite.coding.transform import fixed_point
from fmtc_tflite.graph.model_io import Tensor
from fmtc_tflite.graph.sites import Site


def can_fold(site: Site) -> bool:
    """Whether the map's producer is a pointwise convolution that does not narrow an 8-bit map."""
    op, target = site.producer, site.tensor
    if op.opcode != "CONV_2D" or len(op.inputs) < 2:
        return False
    source, weights = op.inputs[0], op.inputs[1]
    if source is None or weights is None or weights.data is None or source.data is not None:
        return False
    # Padding never adds a pixel for a kernel of one: output (y, x) is input (y * stride, x * stride).
    strides = op.options.strideH, op.options.strideW
    kept = tuple(-(-size // stride) for size, stride in zip(source.shape[1:3], strides, strict=True))
    pointwise = weights.shape[1:3] == (1, 1) and (source.shape[0], *kept) == target.shape[:3]
    return (
        pointwise
        and source.dtype == target.dtype
        and weights.shape[3] == source.shape[3] <= target.shape[3]
        and bool(source.scale)
    )


def side_information_bits(site: Site) -> int:
    """Bits of the synthesis matrix and bias, which the decoder reads once per inference."""
    source = site.producer.inputs[0]
    assert source is not None
    return 8 * site.tensor.shape[3] * (2 * source.shape[3] + 4)


def synthesis(site: Site, centres: np.ndarray, steps: np.ndarray, level: int) -> AffineTransform:
    """The convolution as a map from quantization indices to the target's integers.

    Args:
      site: one that can be folded.
      centres: of the source's quantizer in the int8 domain, [r].
      steps: in 1/16 units, [r].
      level: constant level that the accumulator must have room for.
    """
    source, weights = site.producer.inputs[0], site.producer.inputs[1]
    assert source is not None
    assert weights is not None
    matrix = real_weights(weights)[:, 0, 0, :].astype(np.float64) * _scale(source) / _scale(site.tensor)
    bias = _bias(site, source, weights) / _scale(site.tensor) + signed_zero_point(site.tensor)
    bias = bias + matrix @ (centres - signed_zero_point(source))
    return fixed_point(matrix * steps / STEP_ONE, bias, 255 << level, 0, "folded synthesis")


def _scale(tensor: Tensor) -> float:
    return float(tensor.scale or 1.0)


def _bias(site: Site, source: Tensor, weights: Tensor) -> np.ndarray:
    """Real bias, float64 [C]."""
    channels = site.tensor.shape[3]
    bias = site.producer.inputs[2] if len(site.producer.inputs) > 2 else None
    if bias is None or bias.data is None:
        return np.zeros(channels)
    scale = np.asarray(weights.quantization.scale, np.float64) * _scale(source)
    return bias.data.view(np.int32).astype(np.float64) * scale
