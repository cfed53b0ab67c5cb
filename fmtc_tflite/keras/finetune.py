"""Codec-aware fine-tuning: layers that do to feature maps what the codec will do, and a loss for the bits.

Named after TF-MOT: layers are annotated, then `fmtc_apply` makes the model to train.

    model = fmtc_apply(fmtc_annotate_model(model), samples, rate_weight=0.2)
    model.compile(...); model.fit(...)
    convert_keras(model, samples, "model_fmtc.tflite")  # or model = fmtc_strip(model)

Behind each annotated layer stand quantization steps and rounding whose gradient is that of the identity; the steps can
be trained with the network (learned step sizes: Esser et al., ICLR 2020). The loss grows by `rate_weight` times the
estimated bits per value (fmtc_tflite.keras.rate), which is also the metric `bits_per_value`. Steps follow the maps'
root mean squares, so that the loss cannot fall by maps that only shrink: quantization after training scales each to 8
bits again.
"""

from __future__ import annotations

import logging
import math
from typing import Any

import numpy as np

from fmtc_tflite.errors import UsageError
from fmtc_tflite.keras.extra import check_model, keras, tf
from fmtc_tflite.keras.graph import LayerGraph, copy_layer, rebuild
from fmtc_tflite.keras.rate import estimate_bits, quantize_through, scale_gradient
from fmtc_tflite.keras.samples import RepresentativeDataset, read_samples
from fmtc_tflite.types import DEFAULT_MAX_KL

_INT8_LEVELS = 255
_RANGE_SAMPLES = 256
_RATE_SAMPLES = 4  # of each batch: an estimate for all of it, in a fraction of the time
_STEP_SPEED = 10.0  # Adam with a rate of 1e-3 changes a step by up to 1 % in each update
_MOMENTUM = 0.9  # of the maps' root mean squares
_logger = logging.getLogger(__name__)


@keras.utils.register_keras_serializable("fmtc_tflite")
class FmtcAnnotate(keras.layers.Wrapper):
    """Marks a layer whose output is to be coded; computes what the layer computes."""

    def __init__(self, layer: Any, **kwargs: Any) -> None:
        kwargs.setdefault("name", f"fmtc_annotate_{layer.name}")
        super().__init__(layer, **kwargs)
        if hasattr(layer, "_batch_input_shape"):  # a sequential model's first layer
            self._batch_input_shape = layer._batch_input_shape

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """The layer's output."""
        return self.layer(*args, **kwargs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The layer's."""
        return self.layer.compute_output_shape(input_shape)


@keras.utils.register_keras_serializable("fmtc_tflite")
class FmtcSimulate(FmtcAnnotate):
    """A layer, and behind it the codec's quantization and an estimate of the bits.

    Args:
      layer: writes a float map [N, H, W, C].
      initial_step: quantization step of all channels at first, in the map's own unit.
      initial_rms: root mean square of the map at first; steps grow and shrink with it.
      loss_weight: what one bit per value of this map adds to the loss.
      values: values of this map in one sample; its weight in `meter`.
      step_weight: what that bit is worth to the steps; 0 = they are not trained.
      meter: a Mean that all layers of the model share; None = no metric. Whoever shares it attaches it to one of them,
        or the model would list it once for each.
    """

    def __init__(
        self,
        layer: Any,
        initial_step: float,
        initial_rms: float,
        loss_weight: float,
        values: int,
        step_weight: float = 0.0,
        meter: Any = None,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("name", f"fmtc_{layer.name}")
        super().__init__(layer, **kwargs)
        self.initial_step, self.initial_rms = initial_step, initial_rms
        self.loss_weight, self.values = loss_weight, values
        self.step_weight = step_weight
        self._update_meter = None if meter is None else meter.update_state

    def build(self, input_shape: Any) -> None:
        """Makes the steps' growth, one logarithm per channel: an optimizer's rate then means a relative change."""
        super().build(input_shape)
        channels = self.layer.compute_output_shape(input_shape)[-1]
        self.log_growth = self.add_weight("log_growth", (channels,), "float32", "zeros", trainable=self.step_weight > 0)
        self.rms = self.add_weight("rms", (), "float32", keras.initializers.Constant(self.initial_rms), trainable=False)

    def call(self, *args: Any, training: Any = None, **kwargs: Any) -> Any:
        """The layer's output, quantized; adds the loss and updates the metric."""
        output = self.layer(*args, **kwargs)
        values = tf.cast(output, tf.float32)
        rms = self.rms
        if training:
            rms = tf.sqrt(tf.reduce_mean(values * values) + 1e-12)
            self.rms.assign(_MOMENTUM * self.rms + (1 - _MOMENTUM) * tf.stop_gradient(rms))
        quantized = quantize_through(values, self.steps(tf.stop_gradient(rms)))
        # The rate sees the step's dependence on the map: a map that only shrinks costs what it did.
        growth = scale_gradient(self.log_growth, self.step_weight / self.loss_weight) if self.step_weight else None
        coded = (values + tf.stop_gradient(quantized - values))[:_RATE_SAMPLES]
        bits = tf.reduce_mean(estimate_bits(coded / self.steps(rms, growth)))
        self.add_loss(self.loss_weight * bits)
        if self._update_meter is not None:
            self._update_meter(bits, float(self.values))
        return tf.cast(quantized, output.dtype)

    def steps(self, rms: Any = None, log_growth: Any = None) -> Any:
        """The quantization steps, float32 [C], in the map's own unit.

        They follow the map's root mean square, as those of an int8 map do: quantization after training scales it anew.

        Args:
          rms: of the map, float32; None = what it was in the last batches of training.
          log_growth: float32 [C]; None = the layer's own.
        """
        growth = tf.exp(_STEP_SPEED * (self.log_growth if log_growth is None else log_growth))
        relative = (self.rms if rms is None else rms) / self.initial_rms
        return self.initial_step * relative * growth

    def get_config(self) -> dict[str, Any]:
        """The arguments, without the meter."""
        own = ("initial_step", "initial_rms", "loss_weight", "values", "step_weight")
        return {**super().get_config(), **{name: getattr(self, name) for name in own}}


def fmtc_annotate_layer(to_annotate: Any) -> FmtcAnnotate:
    """Marks a layer, for `fmtc_apply` to simulate the coding of its output.

    Args:
      to_annotate: a tf-keras layer, one of a TF-MOT model too.

    Returns:
      A layer to use in its place; it holds the same layer, with its weights.

    Raises:
      UsageError: no layer.
    """
    if isinstance(to_annotate, FmtcAnnotate):
        return to_annotate
    if not isinstance(to_annotate, keras.layers.Layer) or isinstance(to_annotate, keras.Model):
        kind = f"{type(to_annotate).__module__}.{type(to_annotate).__qualname__}"
        raise UsageError(f"fmtc_annotate_layer: got {kind}, expected a tf-keras layer; see fmtc_annotate_model")
    return FmtcAnnotate(to_annotate)


def fmtc_annotate_model(to_annotate: Any) -> Any:
    """Marks all layers whose output becomes a feature map of the quantized model.

    Args:
      to_annotate: a functional or sequential tf-keras model; it is left as it is.

    Returns:
      A copy, with annotated layers.

    Raises:
      UsageError: another kind of model.
    """
    check_model(to_annotate)
    graph = LayerGraph(to_annotate)

    def annotate(layer: Any) -> Any:
        copy = copy_layer(layer)
        return copy if graph.reason_against(layer) else fmtc_annotate_layer(copy)

    return rebuild(to_annotate, annotate, _without_annotation)


def fmtc_apply(
    model: Any,
    representative_dataset: RepresentativeDataset,
    *,
    rate_weight: float = 0.2,
    initial_step: float = 4.0,
    train_steps: bool = False,
    max_kl: float = DEFAULT_MAX_KL,
) -> Any:
    """Makes the model to fine-tune: behind each annotated layer, the codec is simulated.

    A layer that cannot be simulated is skipped, and a warning says why.

    Args:
      model: with layers from fmtc_annotate_layer or fmtc_annotate_model; it is left as it is.
      representative_dataset: inputs that show the maps' ranges; see fmtc_tflite.keras.samples. At most 256 are used.
      rate_weight: what one bit per value, over all simulated maps, adds to the loss. 0 simulates quantization alone.
      initial_step: in units of the map's int8 quantization.
      train_steps: whether the steps, one for each channel, are trained with the network; convert_keras then fixes them.
        Needs a rate_weight above 0.
      max_kl: the increase of the loss, in nats, at which trained steps settle. Errors grow with a step's square, and a
        step twice as large saves a bit: at that increase, one bit per value is worth 2 ln(2) max_kl, whatever the
        rate_weight.

    Returns:
      A model with the same weights, not compiled.

    Raises:
      UsageError: arguments out of range, another kind of model, or no layer to simulate.
      CalibrationError: see read_samples.
    """
    check_model(model)
    if not 0 <= rate_weight < math.inf:
        raise UsageError(f"rate_weight: got {rate_weight}, expected 0 or a positive number, such as 0.2")
    if not 1 <= initial_step <= _INT8_LEVELS:
        raise UsageError(f"initial_step: got {initial_step}, expected 1 to {_INT8_LEVELS}, such as 4")
    if train_steps and not (rate_weight > 0 and 0 < max_kl < math.inf):
        raise UsageError(f"train_steps: got rate_weight {rate_weight} and max_kl {max_kl}, expected both above 0")
    scales = _map_scales(model, representative_dataset)
    values = {name: math.prod(LayerGraph(model).output(model.get_layer(name)).shape[1:]) for name in scales}
    meter = keras.metrics.Mean("bits_per_value")

    def simulate(layer: Any) -> Any:
        copy = copy_layer(_without_annotation(layer))
        if layer.name not in scales:
            return copy
        share = values[layer.name] / sum(values.values())
        scale, rms = scales[layer.name]
        step_weight = 2 * math.log(2) * max_kl * share if train_steps else 0.0
        return FmtcSimulate(
            copy, initial_step * scale, rms, rate_weight * share, values[layer.name], step_weight, meter
        )

    simulated = rebuild(model, simulate, _without_annotation)
    next(layer for layer in simulated.layers if isinstance(layer, FmtcSimulate)).meter = meter
    return simulated


def fmtc_strip(model: Any) -> Any:
    """Takes annotations and simulated coding out again.

    Args:
      model: from fmtc_apply or fmtc_annotate_model; it is left as it is.

    Returns:
      A plain model with the same weights, ready for quantization.

    Raises:
      UsageError: a model of another kind.
    """
    check_model(model)
    return rebuild(model, lambda layer: copy_layer(_without_annotation(layer)), _without_annotation)


def trained_steps(model: Any) -> dict[str, np.ndarray]:
    """The steps that a model from fmtc_apply trained: float [C] in the output's unit, by the layers' own names."""
    simulated = [layer for layer in model.layers if isinstance(layer, FmtcSimulate) and layer.step_weight]
    return {layer.layer.name: np.asarray(layer.steps()) for layer in simulated}


def _without_annotation(layer: Any) -> Any:
    return layer.layer if isinstance(layer, FmtcAnnotate) else layer


def _map_scales(model: Any, representative_dataset: RepresentativeDataset) -> dict[str, tuple[float, float]]:
    """The int8 scales that the annotated layers' maps would have, and their root mean squares, by the layers' names."""
    graph = LayerGraph(model)
    annotated = [layer for layer in model.layers if isinstance(layer, FmtcAnnotate)]
    skipped = {layer.layer.name: graph.reason_against(layer) for layer in annotated}
    good = [layer for layer in annotated if skipped[layer.layer.name] is None]
    scales = {}
    if good:
        samples = read_samples(representative_dataset, dict(zip(model.input_names, model.inputs, strict=True)))
        inputs = [array[:_RANGE_SAMPLES] for array in samples.values()]
        for layer, (low, high, rms) in zip(good, _ranges(model, [graph.output(x) for x in good], inputs), strict=True):
            if not np.isfinite(high - low) or high == low:
                skipped[layer.layer.name] = f"its output's range is [{low}, {high}] on the samples"
            else:
                scales[layer.name] = ((high - low) / _INT8_LEVELS, rms)
    lines = [f"'{name}': {reason}" for name, reason in skipped.items() if reason is not None]
    for line in lines:
        _logger.warning("fmtc_apply skips the layer %s", line)
    if not scales:
        why = f"all are skipped: {'; '.join(lines)}" if lines else "none is annotated; see fmtc_annotate_model"
        raise UsageError(f"fmtc_apply: no layer of the model '{model.name}' can be simulated: {why}")
    return scales


def _ranges(model: Any, outputs: list[Any], inputs: list[np.ndarray]) -> list[tuple[float, float, float]]:
    """Smallest and largest value of each output, zero included, and its root mean square."""

    def mean_square(tensor: Any, axes: list[int]) -> Any:
        return tf.reduce_mean(tf.square(tensor), axes)

    measures = (tf.reduce_min, tf.reduce_max, mean_square)
    measured = keras.Model(model.inputs, [measure(x, [1, 2, 3]) for x in outputs for measure in measures])
    found = [np.asarray(x, np.float64) for x in measured.predict(inputs, batch_size=32, verbose=0)]
    return [
        (min(0.0, float(low.min())), max(0.0, float(high.max())), float(np.sqrt(squares.mean())))
        for low, high, squares in zip(found[::3], found[1::3], found[2::3], strict=True)
    ]
