"""A differentiable estimate of the bits that the codec spends on a quantized map.

The codec predicts each value from its neighbours in the same channel and codes the residual with a static table for
each class of channels (custom_ops/FORMAT.md). Here a channel's residuals have the distribution, of a few parameters,
that fits them in this batch, and each channel takes the predictor that is cheapest for it. To train with such an
estimate is usual in learned compression (Ballé et al., "End-to-end optimized image compression", ICLR 2017). Zeros have
a probability of their own, since ReLUs make many, and that makes maps sparser (with an L1 norm for it: Georgiadis,
"Accelerating convolutional neural networks via activation map compression", CVPR 2019).
"""

from __future__ import annotations

from typing import Any

from fmtc_tflite.keras.extra import tf

_TINY = 1e-5  # a share below that counts as this, and nothing overflows


@tf.custom_gradient  # type: ignore[untyped-decorator]
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


def scale_gradient(x: Any, factor: float) -> Any:
    """x, whose gradient is multiplied by `factor`."""
    return factor * x + tf.stop_gradient((1 - factor) * x)


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
    return tf.reduce_min(_bits(tf.stack([indices - p for p in predictions])), 0)


def _bits(residuals: Any) -> Any:
    """Mean bits [P, C] of residuals [P, N, H, W, C], under the distribution that fits each channel of each of P.

    Zero or not has two probabilities, the sign two, and magnitudes from 1 on are geometrically distributed, all at
    their maximum likelihood. So the bits are entropies that follow from the mean magnitude M, the share p of nonzero
    residuals, and the share of positive ones among them:

      h(p) + p h(positive) + M h(p / M), with h the binary entropy; the last is p times that of a geometric
      distribution of mean M / p.

    min(|residual|, 1) makes p differentiable: values of magnitude 1 learn what they save by becoming zero.
    """
    magnitudes = tf.abs(residuals)
    mean = tf.reduce_mean(magnitudes, [1, 2, 3])
    nonzero = tf.reduce_mean(tf.minimum(magnitudes, 1.0), [1, 2, 3])
    excess = tf.stop_gradient(tf.reduce_mean(tf.sign(residuals), [1, 2, 3])) / tf.maximum(nonzero, _TINY)
    positive = (1 + tf.clip_by_value(excess, -1.0, 1.0)) / 2
    signs = nonzero * (_xlogx(positive) + _xlogx(1 - positive))
    zeros = _xlogx(nonzero) + _xlogx(1 - nonzero)
    magnitude = _xlogx(nonzero) + _xlogx(mean - nonzero) - _xlogx(mean)
    return -(zeros + signs + magnitude) / tf.math.log(2.0)


def _xlogx(x: Any) -> Any:
    x = tf.maximum(x, _TINY)
    return x * tf.math.log(x)
