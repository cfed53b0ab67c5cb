"""A differentiable estimate of the bits that the codec spends on a quantized map.

The codec predicts each value from its neighbours in the same channel and codes the residual with a static table for
each class of channels (custom_ops/FORMAT.md). Here a channel's residuals have a Laplacian distribution integrated over
the quantization bins, as is usual in learned compression (Ballé et al., "End-to-end optimized image compression", ICLR
2017), with the scale estimated from the batch; each channel takes the predictor that is cheapest for it.
"""

from typing import Any

from fmtc_tflite.keras.extra import tf

_SMALLEST_SCALE = 0.05  # a channel of zeros then costs 7e-5 bits a value, and nothing overflows


def round_through(x: Any) -> Any:
    """Rounds; the gradient passes as if it did not (the straight-through estimator)."""
    return x + tf.stop_gradient(tf.round(x) - x)


def estimate_bits(indices: Any) -> Any:
    """Estimated bits per value of each channel.

    Args:
      indices: float32 tensor [N, H, W, C] of quantization indices: integers, whatever their gradient.

    Returns:
      A float32 tensor [C].
    """
    left = tf.pad(indices[:, :, :-1], [[0, 0], [0, 0], [1, 0], [0, 0]])
    up = tf.concat([left[:, :1], indices[:, :-1]], 1)
    predictions = [tf.zeros_like(indices), left, up, tf.stop_gradient(tf.floor((left + up) / 2))]
    return tf.reduce_min(tf.stack([_laplacian_bits(tf.abs(indices - p)) for p in predictions]), 0)


def _laplacian_bits(magnitudes: Any) -> Any:
    """Mean bits [C] of residuals of these magnitudes [N, H, W, C], under the Laplacian that fits each channel.

    P(0) = 1 - exp(-1/2b), P(k) = exp(-(|k| - 1/2)/b) (1 - exp(-1/b))/2: all that the mean of -log2 P needs is the share
    of zeros and the mean magnitude, which carries the gradient.
    """
    mean = tf.reduce_mean(magnitudes, [0, 1, 2])
    zeros = tf.reduce_mean(tf.cast(magnitudes < 0.5, tf.float32), [0, 1, 2])
    scale = tf.maximum(mean, _SMALLEST_SCALE)  # maximum likelihood
    zero = -tf.math.log1p(-tf.exp(-0.5 / scale))
    other = tf.math.log(2.0) - tf.math.log1p(-tf.exp(-1 / scale))
    nats = zeros * zero + (1 - zeros) * (other - 0.5 / scale) + mean / scale
    return nats / tf.math.log(2.0)
