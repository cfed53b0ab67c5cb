"""Convolutions that emit transform coefficients: a transform before the activation, folded into int8 weights."""

from __future__ import annotations

import numpy as np

from fmtc_tflite.calibration.projection import Components
from fmtc_tflite.coding.paper import Rows
from fmtc_tflite.graph.edits.rotate import RotatedConvolution

# Smallest requantization factor: of an output whose weights have faded, a bias must still fit 32 bits.
_LEAST_FACTOR = 2.0**-20


def rotate(components: Components, rows: Rows, step: float) -> RotatedConvolution:
    """The constants with which a map's convolution emits coefficients.

    The rotated weights are quantized again, each output with a scale of its own; what differs between the components'
    magnitudes goes there, so that one step serves all of them.

    Args:
      components: of a map with a linear producer, the basis fixed.
      rows: which coefficients are emitted, and with what offsets.
      step: of the coefficients, in the map's units.
    """
    producer, source_scale = components.producer, 0.0
    assert producer is not None
    source_scale = float(producer.source.scale or 0.0)
    basis = components.basis[rows.component] / step
    weights = np.tensordot(basis, producer.weights.astype(np.float64), 1)
    factors = np.maximum(np.abs(weights).max((1, 2, 3)) / 127, _LEAST_FACTOR)
    bias = (basis @ (producer.bias - components.mean) + rows.offset) / factors
    scale = step * float(components.site.tensor.scale or 0.0)
    return RotatedConvolution(
        weights=np.rint(weights / factors[:, None, None, None]).astype(np.int8),
        weight_scales=(factors * scale / source_scale).astype(np.float32),
        bias=np.rint(bias).astype(np.int32),
        scale=scale,
    )
