"""A differentiable estimate of the bits that the codec spends on a quantized map.

The codec predicts each value from its neighbours in the same channel and codes the residual with a static table for
each class of channels (custom_ops/FORMAT.md). Here a channel's residuals have a Laplacian distribution integrated over
the quantization bins, as is usual in learned compression (Ballé et al., "End-to-end optimized image compression", ICLR
2017), with the scale estimated from the batch; each channel takes the predictor that is cheapest for it.
"""

import os
from typing import Any

from fmtc_tflite.keras.extra import tf

_SMALLEST_SCALE = 0.05  # a channel of zeros then costs 7e-5 bits a value, and nothing overflows


@tf.custom_gradient
def quantize_through(x: Any, step: Any) -> Any:
    """Rounds to multiples of a step; gradients pass as if it did not (the straight-through estimator).

    Args:
      x: float32 tensor [..., C].
      step: float32 tensor [C].

    Returns:
      A tensor of x's shape. The gradient of a step is that of a learned step size (Esser et al., ICLR 2020).
    """
    rounded = tf.round(x / step) * step

    def gradient(upstream: Any) -> tuple[Any, Any]:
        return upstream, tf.reduce_sum(upstream * (rounded - x), range(x.shape.rank - 1)) / step

    return rounded, gradient


def estimate_bits(indices: Any) -> Any:
    """Estimated bits per value of each channel.

    Args:
      indices: float32 tensor [N, H, W, C] of quantization indices: integers, whatever their gradient.

    Returns:
      A float32 tensor [C].
    """
    left = tf.pad(indices[:, :, :-1], [[0, 0], [0, 0], [1, 0], [0, 0]])
    up = tf.concat([left[:, :1], indices[:, :-1]], 1)
    predictions = [tf.zeros_like(indices), left, up, tf.stop_gradient(tf.floor((left + up) / 2 + 0.25))]
    if os.environ.get("RATE") == "lap":
        return tf.reduce_min(tf.stack([_laplacian_bits(tf.abs(indices - p)) for p in predictions]), 0)
    return tf.reduce_min(tf.stack([_geometric_bits(indices - p) for p in predictions]), 0)


def _laplacian_bits(magnitudes: Any) -> Any:
    mean = tf.reduce_mean(magnitudes, [0, 1, 2])
    zeros = tf.reduce_mean(tf.cast(magnitudes < 0.5, tf.float32), [0, 1, 2])
    scale = tf.maximum(mean, _SMALLEST_SCALE)  # maximum likelihood
    zero = -tf.math.log1p(-tf.exp(-0.5 / scale))
    other = tf.math.log(2.0) - tf.math.log1p(-tf.exp(-1 / scale))
    nats = zeros * zero + (1 - zeros) * (other - 0.5 / scale) + mean / scale
    return nats / tf.math.log(2.0)


def _geometric_bits(residuals: Any) -> Any:
    magnitudes = tf.abs(residuals)
    mean = tf.reduce_mean(magnitudes, [0, 1, 2])
    used = tf.reduce_mean(tf.minimum(magnitudes, 1.0), [0, 1, 2])
    signed = tf.stop_gradient(tf.abs(tf.reduce_mean(tf.sign(residuals), [0, 1, 2])))
    q = (1 + signed / tf.maximum(used, 1e-9)) / 2
    sign = -_xlogx(q) - _xlogx(1 - q)
    nats = _xlogx(mean) - _xlogx(mean - used) - 2 * _xlogx(used) - _xlogx(1 - used) + used * sign
    return nats / tf.math.log(2.0)


def _xlogx(x: Any) -> Any:
    x = tf.maximum(x, 1e-5)
    return x * tf.math.log(x)
