"""Layers that are marked to be coded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tf_keras as keras

from fmtc_tflite import types
from fmtc_tflite.errors import CalibrationError, UsageError
from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.graph.sites import find_sites
from fmtc_tflite.keras import convert_keras, fmtc_annotate_layer, fmtc_annotate_model, fmtc_apply, fmtc_strip
from fmtc_tflite.keras.finetune import FmtcAnnotate, FmtcSimulate
from keras_networks import SIZE

pytestmark = [
    pytest.mark.extras,
    pytest.mark.filterwarnings("ignore"),  # TensorFlow's and TF-MOT's own
]

OPTIONS = types.ConvertOptions(num_threads=1, execution="ops")


def annotated_names(model: Any) -> list[str]:
    return [layer.layer.name for layer in model.layers if isinstance(layer, FmtcAnnotate)]


def test_annotated_layers_are_the_sites(network: Any, samples: np.ndarray, tmp_path: Path) -> None:
    annotated = fmtc_annotate_model(network)
    assert annotated_names(annotated) == ["relu", "linear", "add"]
    assert annotated_names(network) == []
    quantized = tmp_path / "model.tflite"
    convert_keras(annotated, samples, options=OPTIONS, quantized_output=quantized)
    assert len(find_sites(load_model(quantized.read_bytes()))) == 3


def test_reasons_to_skip(network: Any, samples: np.ndarray, caplog: pytest.LogCaptureFixture) -> None:
    names = ("conv", "norm", "linear", "dropout", "pool", "dense")

    def annotate(layer: Any) -> Any:
        return fmtc_annotate_layer(layer) if layer.name in names else layer

    model = keras.models.clone_model(network, clone_function=annotate)
    simulated = fmtc_apply(model, samples)
    assert annotated_names(simulated) == ["linear"]
    reasons = "\n".join(caplog.messages)
    assert "'conv': 'norm' is computed together with it; annotate that layer" in reasons
    assert "'norm': 'relu' is computed together with it" in reasons
    assert "'dropout': no map is computed for it" in reasons
    assert "'pool': its output has the shape [None, 8]" in reasons
    assert "'dense'" in reasons


def test_maps_that_decoders_compute_are_left_out() -> None:
    layers = keras.layers
    inputs = layers.Input((SIZE, SIZE, 3))
    x = layers.Conv2D(4, 1, name="first")(inputs)  # the model's input is not coded
    x = layers.ReLU(name="wide")(layers.BatchNormalization()(layers.Conv2D(16, 1)(x)))
    x = layers.Conv2D(8, 1, name="narrow")(x)
    x = layers.Conv2D(8, 3, name="large")(x)
    model = fmtc_annotate_model(keras.Model(inputs, layers.GlobalAveragePooling2D()(x)))
    assert annotated_names(model) == ["first", "narrow", "large"]


def test_bad_arguments(network: Any, samples: np.ndarray) -> None:
    annotated = fmtc_annotate_model(network)
    with pytest.raises(UsageError, match="rate_weight: got -1"):
        fmtc_apply(annotated, samples, rate_weight=-1)
    with pytest.raises(UsageError, match=r"initial_step: got 0\.5, expected 1 to 255"):
        fmtc_apply(annotated, samples, initial_step=0.5)
    with pytest.raises(UsageError, match=r"train_steps: got rate_weight 0 and max_kl 0\.02, expected both"):
        fmtc_apply(annotated, samples, rate_weight=0, train_steps=True)
    with pytest.raises(UsageError, match="none is annotated; see fmtc_annotate_model"):
        fmtc_apply(network, samples)
    with pytest.raises(UsageError, match=r"got builtins\.str, expected a tf-keras layer"):
        fmtc_annotate_layer("conv")
    with pytest.raises(UsageError, match="expected a tf-keras layer; see fmtc_annotate_model"):
        fmtc_annotate_layer(network)
    with pytest.raises(CalibrationError, match="got no samples"):
        fmtc_apply(annotated, [])
    dark = np.zeros_like(samples)
    with pytest.raises(UsageError, match=r"all are skipped: 'relu': its output's range is \[0\.0, 0\.0\]"):
        fmtc_apply(annotated, dark)


def test_layers_of_a_sequential_model(samples: np.ndarray) -> None:
    layers = keras.layers
    convolution = fmtc_annotate_layer(layers.Conv2D(4, 3, input_shape=(SIZE, SIZE, 1), name="conv"))
    assert fmtc_annotate_layer(convolution) is convolution
    model = keras.Sequential([convolution, layers.Flatten(), layers.Dense(2)])
    simulated = fmtc_apply(model, samples)
    assert [type(layer) for layer in simulated.layers[:1]] == [FmtcSimulate]
    plain = fmtc_strip(simulated)
    np.testing.assert_array_equal(plain.predict(samples, verbose=0), model.predict(samples, verbose=0))
