"""From Keras and TF-MOT models to converted files."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from fmtc_tflite import types
from fmtc_tflite.errors import CalibrationError, OutputExistsError, UnsupportedModelError, UsageError
from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.graph.sites import find_sites
from fmtc_tflite.keras import convert_keras, fmtc_annotate_model
from keras_networks import SIZE, small_network

pytestmark = [
    pytest.mark.extras,
    pytest.mark.filterwarnings("ignore"),  # TensorFlow's and TF-MOT's own
]

OPTIONS = types.ConvertOptions(num_threads=1, execution="ops")


def test_conversion_writes_what_it_returns(network: Any, samples: np.ndarray, tmp_path: Path) -> None:
    output, quantized = tmp_path / "model_fmtc.tflite", tmp_path / "model.tflite"
    before = network.get_weights()
    result = convert_keras(
        network, lambda: ([x[None]] for x in samples), output, options=OPTIONS, quantized_output=quantized
    )
    assert output.read_bytes() == result.content
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "model.tflite",
        "model_fmtc.json",
        "model_fmtc.tflite",
    ]
    assert result.report["data"] == "calibration"
    assert result.report["totals"]["bits_per_value"] < 8
    assert load_model(quantized.read_bytes()).subgraphs[0].inputs[0].dtype == np.int8
    for old, new in zip(before, network.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    with pytest.raises(OutputExistsError):
        convert_keras(network, samples, output, options=OPTIONS)


def test_a_network_of_no_codec_gets_regions(network: Any, samples: np.ndarray) -> None:
    report = convert_keras(network, samples, options=types.ConvertOptions(num_threads=1)).report
    assert report["execution"] == "regions"
    annotated = convert_keras(fmtc_annotate_model(network), samples, options=types.ConvertOptions(num_threads=1))
    assert annotated.report["totals"]["bits_per_value"] < 8


def quantization_aware(model: Any) -> Any:
    return importlib.import_module("tensorflow_model_optimization").quantization.keras.quantize_model(model)


def pruned(model: Any) -> Any:
    return importlib.import_module("tensorflow_model_optimization").sparsity.keras.prune_low_magnitude(model)


def clustered(model: Any) -> Any:
    clustering = importlib.import_module("tensorflow_model_optimization").clustering.keras
    return clustering.cluster_weights(
        model, number_of_clusters=8, cluster_centroids_init=clustering.CentroidInitialization.LINEAR
    )


@pytest.mark.parametrize("optimize", [quantization_aware, pruned, clustered])
def test_models_of_tf_mot(optimize: Callable[[Any], Any], samples: np.ndarray, tmp_path: Path) -> None:
    model = optimize(small_network())
    if optimize is quantization_aware:  # its ranges come from training
        model.compile("sgd", "sparse_categorical_crossentropy")
        model.fit(samples, np.zeros(len(samples)), verbose=0)
    quantized = tmp_path / "model.tflite"
    report = convert_keras(model, samples, options=OPTIONS, quantized_output=quantized).report
    sites = find_sites(load_model(quantized.read_bytes()))
    assert {site.name for site in sites} == {site["tensor"] for site in report["sites"]}
    assert len(sites) >= 3
    assert report["totals"]["bits_per_value"] < 8


def test_two_inputs(samples: np.ndarray) -> None:
    layers = keras.layers
    second = layers.Input((SIZE, SIZE, 1), name="b")
    first = layers.Input((SIZE, SIZE, 1), name="a")
    x = layers.Add()([layers.Conv2D(4, 3)(second), layers.Conv2D(4, 3)(first)])
    model = keras.Model([second, first], layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))
    named = [{"a": x[None], "b": 1 - x[None]} for x in samples]
    in_order = [(1 - x[None], x[None]) for x in samples]
    results = [convert_keras(model, data, options=OPTIONS).content for data in (named, in_order)]
    assert results[0] == results[1]


def test_labels_allow_a_bound_on_accuracy(network: Any, samples: np.ndarray) -> None:
    labels = network.predict(samples, verbose=0).argmax(1)
    options = types.ConvertOptions(num_threads=1, max_accuracy_drop=0.5)
    report = convert_keras(network, samples, options=options, labels=labels).report
    assert report["fidelity"]["accuracy_drop"] is not None
    with pytest.raises(CalibrationError, match=r"labels: got the shape \[3\], expected one for each sample"):
        convert_keras(network, samples, labels=labels[:3])


def test_what_cannot_be_converted(network: Any, samples: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"got builtins\.int, expected a tf-keras model"):
        convert_keras(3, samples)
    with pytest.raises(UsageError, match="subclassed or unbuilt"):
        convert_keras(keras.Sequential([keras.layers.Conv2D(2, 3)]), samples)
    with pytest.raises(UsageError, match="as representative_dataset is it"):
        convert_keras(
            network, samples, options=types.ConvertOptions(calibration=types.CalibrationOptions(data=tmp_path))
        )
    annotate = importlib.import_module("tensorflow_model_optimization").quantization.keras.quantize_annotate_model
    with pytest.raises(UsageError, match="quantize_apply"):
        convert_keras(annotate(network), samples)
    x = keras.Input((SIZE, SIZE, 1))
    unsupported = keras.Model(x, keras.layers.Lambda(lambda t: tf.linalg.svd(t, compute_uv=False))(x))
    with pytest.raises(UnsupportedModelError, match="TFLiteConverter cannot quantize it"):
        convert_keras(unsupported, samples)
