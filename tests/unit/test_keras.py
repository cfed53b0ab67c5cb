"""From Keras and TF-MOT models to converted files, and codec-aware fine-tuning."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # TensorFlow's own
    tf = pytest.importorskip("tensorflow")
    keras = pytest.importorskip("tf_keras")

from fmtc_tflite import types
from fmtc_tflite.coding.side_info import STEP_ONE, SideInformation
from fmtc_tflite.errors import CalibrationError, OutputExistsError, UnsupportedModelError, UsageError
from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.graph.sites import find_sites
from fmtc_tflite.keras import convert_keras, fmtc_annotate_layer, fmtc_annotate_model, fmtc_apply, fmtc_strip
from fmtc_tflite.keras.finetune import FmtcAnnotate, FmtcSimulate
from fmtc_tflite.keras.rate import estimate_bits
from fmtc_tflite.keras.samples import read_samples

pytestmark = pytest.mark.filterwarnings("ignore")  # TensorFlow's and TF-MOT's own

SIZE = 12
OPTIONS = types.ConvertOptions(num_threads=1, execution="ops")


@pytest.fixture(scope="module")
def samples() -> np.ndarray:
    """Smooth images float32 [40, 12, 12, 1] in [0, 1]."""
    coarse = np.random.default_rng(0).random((40, 4, 4, 1), dtype=np.float32)
    return np.asarray(tf.image.resize(coarse, (SIZE, SIZE)))


def small_network() -> Any:
    """Convolutions with and without ReLU, a residual, and what cannot be annotated."""
    layers = keras.layers
    keras.utils.set_random_seed(0)
    inputs = layers.Input((SIZE, SIZE, 1), name="image")
    x = layers.ReLU(name="relu")(layers.BatchNormalization(name="norm")(layers.Conv2D(8, 3, name="conv")(inputs)))
    y = layers.Conv2D(8, 3, padding="same", name="linear")(layers.Dropout(0.1, name="dropout")(x))
    x = layers.Add(name="add")([x, y])
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(inputs, layers.Dense(4, activation="softmax", name="dense")(x))


@pytest.fixture
def network() -> Any:
    return small_network()


def annotated_names(model: Any) -> list[str]:
    return [layer.layer.name for layer in model.layers if isinstance(layer, FmtcAnnotate)]


# --- conversion -------------------------------------------------------------------------------------------------------


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


# --- samples ----------------------------------------------------------------------------------------------------------


def read(dataset: Any, *shape: int | None) -> np.ndarray:
    return read_samples(dataset, {"x": tf.TensorSpec((None, *shape), tf.float32)})["x"]


def test_forms_of_a_dataset() -> None:
    array = np.arange(24).reshape(6, 2, 2)  # becomes the input's type
    forms: list[Any] = [
        array,
        [array[:4], array[4:]],
        ([row[None]] for row in array),
        lambda: ({"x": row[None]} for row in array),
        tf.data.Dataset.from_tensor_slices(array).batch(4),
    ]
    for form in forms:
        got = read(form, 2, None)
        assert got.dtype == np.float32
        np.testing.assert_array_equal(got, array)


def spent() -> Iterator[np.ndarray]:
    generator = iter([np.zeros((1, 2), np.float32)])
    list(generator)
    return generator


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        ([], "representative_dataset: got no samples"),
        (spent(), "a generator that was read before is empty"),
        (spent, "a generator that was read before is empty"),
        (np.zeros((0, 2)), "got no samples"),
        ([np.full((1, 2), np.nan)], r"representative_dataset\[0\], input 'x': got NaN or infinity"),
        ([np.zeros((1, 2)), np.zeros((1, 3))], r"dataset\[1\].*got the shape \[1, 3\], expected \[batch, 2\]"),
        ([np.zeros(2)], r"got the shape \[2\], expected \[batch, 2\]"),
        ([(np.zeros((1, 2)), 7)], "got 2 arrays, expected 1, for x; leave labels out"),
        ([{"image": np.zeros((1, 2))}], "got the names image, expected x"),
        (["text"], "got no array of numbers"),
        (7, "got int, expected"),
    ],
)
def test_bad_datasets(dataset: Any, message: str) -> None:
    with pytest.raises(CalibrationError, match=message):
        read(dataset, 2)


# --- annotation -------------------------------------------------------------------------------------------------------


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


# --- simulation -------------------------------------------------------------------------------------------------------


def test_bits_are_close_to_what_laplacian_residuals_cost() -> None:
    rng = np.random.default_rng(0)
    scales = np.array([0.05, 0.5, 3.0, 20.0])
    indices = np.round(rng.laplace(0, scales, (8, 16, 16, 4))).astype(np.float32)
    expected = []
    for channel in range(4):
        _, counts = np.unique(indices[..., channel], return_counts=True)
        p = counts / counts.sum()
        expected.append(-(p * np.log2(p)).sum())
    np.testing.assert_allclose(estimate_bits(tf.constant(indices)), expected, rtol=0.06, atol=0.01)


def test_smooth_maps_cost_what_their_differences_cost() -> None:
    ramp = np.broadcast_to(np.arange(16, dtype=np.float32)[:, None] * 5, (2, 16, 16))[..., None]
    columns = np.swapaxes(ramp, 1, 2)
    noise = np.random.default_rng(0).permuted(ramp.reshape(-1)).reshape(ramp.shape)
    bits = [float(estimate_bits(tf.constant(x))[0]) for x in (ramp, columns, noise)]
    assert max(bits[:2]) < bits[2] / 1.5


def test_gradients_lower_the_bits() -> None:
    x = tf.Variable(np.random.default_rng(0).normal(0, 4, (2, 8, 8, 3)).astype(np.float32))
    with tf.GradientTape() as tape:
        before = tf.reduce_mean(estimate_bits(x))
    x.assign_sub(500 * tape.gradient(before, x))
    assert float(tf.reduce_mean(estimate_bits(x))) < float(before) - 0.05


def test_layer_rounds_to_its_steps_and_learns_them() -> None:
    layer = FmtcSimulate(keras.layers.Activation("linear"), 0.25, 1.0, 1.0, 48, 0.5)
    x = tf.constant(np.random.default_rng(0).normal(0, 1, (1, 4, 4, 3)).astype(np.float32))
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x)
        loss = tf.reduce_sum(y * y)
    np.testing.assert_allclose(y, np.round(x / 0.25) * 0.25, atol=1e-6)
    by_input, by_step = tape.gradient(loss, [x, layer.log_growth])
    np.testing.assert_allclose(by_input, 2 * y, atol=1e-6)
    np.testing.assert_allclose(by_step, 10 * tf.reduce_sum(2 * y * (y - x), [0, 1, 2]), atol=1e-3)
    assert len(layer.losses) == 1
    again = FmtcSimulate.from_config(layer.get_config())
    np.testing.assert_array_equal(again(x), y)


def test_steps_follow_a_map_that_shrinks() -> None:
    layer = FmtcSimulate(keras.layers.Activation("linear"), 0.25, 1.0, 1.0, 48)
    x = np.random.default_rng(0).normal(0, 1, (4, 4, 4, 3)).astype(np.float32)
    bits = []
    for scale in (1.0, 0.1, 0.1):
        tensor = tf.constant(scale * x)
        with tf.GradientTape() as tape:
            tape.watch(tensor)
            layer(tensor, training=True)
            (loss,) = layer.losses
        bits.append(float(loss))
        along = tf.reduce_sum(tape.gradient(loss, tensor) * tensor)
        assert abs(float(along)) < 0.1  # shrinking saves nothing; with a step that stays, 1 bit for each halving
    np.testing.assert_allclose(bits, bits[0], rtol=1e-3)
    for _ in range(60):
        layer(tf.constant(0.1 * x), training=True)
    np.testing.assert_allclose(layer.steps(), 0.025 * np.sqrt(np.mean(x * x)), rtol=0.02)


@pytest.mark.parametrize("train_steps", [False, True])
def test_fine_tuning_lowers_the_bits(train_steps: bool, network: Any, samples: np.ndarray) -> None:
    targets = network.predict(samples, verbose=0)
    model = fmtc_apply(fmtc_annotate_model(network), samples, rate_weight=1.0, train_steps=train_steps)
    model.compile(keras.optimizers.Adam(0.01), "kl_divergence")
    history = model.fit(samples, targets, epochs=12, verbose=0).history["bits_per_value"]
    assert history[-1] < 0.9 * history[0]
    assert model.metrics_names.count("bits_per_value") == 1
    plain = fmtc_strip(model)
    assert annotated_names(plain) == []
    assert len(plain.trainable_weights) == len(network.trainable_weights)
    assert len(model.trainable_weights) - len(plain.trainable_weights) == 3 * train_steps
    bits = [
        convert_keras(m, samples, options=replace(OPTIONS, lossless=True)).report["totals"] for m in (network, model)
    ]
    assert bits[1]["bits_per_value"] < bits[0]["bits_per_value"]


def coded_steps(content: bytes) -> dict[str, np.ndarray]:
    """The step of each channel, in int8 units, that the encoders of a converted model have, by the maps' names."""
    ops = load_model(content).subgraphs[0].ops
    return {
        op.inputs[0].name: SideInformation.from_bytes(op.inputs[1].data.tobytes()).steps / STEP_ONE
        for op in ops
        if op.opcode == "FMTC_ENCODE"
    }


def test_trained_steps_arrive(network: Any, samples: np.ndarray, tmp_path: Path) -> None:
    model = fmtc_apply(fmtc_annotate_model(network), samples, train_steps=True)
    simulated = {layer.layer.name: layer for layer in model.layers if isinstance(layer, FmtcSimulate)}
    growths = np.random.default_rng(0).normal(0, 0.05, (3, 8)).astype(np.float32)
    for layer, growth in zip(simulated.values(), growths, strict=True):
        layer.log_growth.assign(growth)
    quantized = tmp_path / "model.tflite"
    result = convert_keras(model, samples, options=OPTIONS, quantized_output=quantized)
    found = coded_steps(result.content)
    sites = {site.name: site.tensor for site in find_sites(load_model(quantized.read_bytes()))}
    assert len(found) == len(sites) == 3
    for layer, (name, steps) in zip(("relu", "linear", "add"), found.items(), strict=True):
        expected = np.asarray(simulated[layer].steps()) / sites[name].scale
        assert np.ptp(expected) > 1
        np.testing.assert_allclose(steps, expected.clip(1, 255), rtol=1 / 32)
    searched = convert_keras(fmtc_strip(model), samples, options=OPTIONS)
    assert any((coded_steps(searched.content)[name] != steps).any() for name, steps in found.items())
    by_itself = convert_keras(model, samples, options=types.ConvertOptions(num_threads=1))
    assert by_itself.content == result.content
    lossless = convert_keras(model, samples, options=replace(OPTIONS, lossless=True))
    assert lossless.report["fidelity"]["bit_exact"]


# --- the extra, and the examples --------------------------------------------------------------------------------------


@pytest.mark.parametrize("missing", ["tensorflow", "tf_keras"])
def test_missing_extra_is_named(missing: str) -> None:
    code = (
        "import sys, types\n"
        "for name in ('tensorflow', 'tf_keras'): sys.modules[name] = types.ModuleType(name)\n"
        f"sys.modules[{missing!r}] = None\n"
        "from fmtc_tflite.errors import UsageError\n"
        "try: import fmtc_tflite.keras\n"
        "except UsageError as error: print(error)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "run `pip install tensorflow tf-keras tensorflow-model-optimization`" in result.stdout, result.stderr


def run_example(script: Path, *arguments: str) -> str:
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, str(script), *arguments]
    result = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_example_of_conversion(repository: Path, network: Any, samples: np.ndarray, tmp_path: Path) -> None:
    network.save(tmp_path / "model.keras")
    np.savez(tmp_path / "images.npz", x=np.round(255 * samples).astype(np.uint8))
    script = repository / "examples" / "convert_keras.py"
    printed = run_example(script, "--keras_model=model.keras", "--data=images.npz", "--max_kl=0.1")
    assert "bits/value, written to model_fmtc.tflite" in printed
    printed = run_example(script, "--keras_model=model.keras", "--data=images.npz", "--overwrite")
    assert "bytes of arena, written to model_fmtc.tflite" in printed


def test_example_of_fine_tuning(repository: Path, samples: np.ndarray, tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", x=np.round(255 * samples).astype(np.uint8), y=np.arange(len(samples)) % 4)
    settings = ("--train_data=data.npz", "--test_data=data.npz", "--epochs=0", "--finetune_epochs=1", "--width=2")
    printed = run_example(repository / "examples" / "finetune.py", *settings, "--rate_weights=0,0.1", "--max_kl=0.5")
    assert "rate_weight 0.1: " in printed
    results = json.loads((tmp_path / "finetuned" / "results.json").read_text())
    bits = [run["bits_per_value"] for run in results["runs"]]
    assert results["summary"][1]["bits_change"][0] == pytest.approx(bits[1] / bits[0] - 1)


def test_example_of_a_quantized_network(repository: Path, real_data: Path, tmp_path: Path) -> None:
    quantized, data = real_data / "models" / "resnet8_cifar10_int8.tflite", real_data / "cifar10" / "calibration.npz"
    script = repository / "examples" / "resnet8_from_tflite.py"
    printed = run_example(script, f"--tflite={quantized}", f"--data={data}", "--output=resnet8.keras")
    agreement = re.search(r"they agree on (\S+) of 500 images", printed)
    assert agreement is not None
    assert float(agreement[1]) > 0.9
    assert keras.models.load_model(tmp_path / "resnet8.keras", compile=False).count_params() > 70_000


def test_snippets_of_the_documentation(repository: Path, network: Any, samples: np.ndarray, tmp_path: Path) -> None:
    text = (repository / "docs" / "keras.md").read_text()
    snippets = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert len(snippets) == 2
    train_data = tf.data.Dataset.from_tensor_slices((samples, np.arange(len(samples)) % 4)).batch(20)
    for snippet in snippets:
        names = {"model": network, "samples": samples, "representative_dataset": samples, "train_data": train_data}
        exec(snippet, names)
        (tmp_path / "model_fmtc.tflite").unlink()
        (tmp_path / "model_fmtc.json").unlink()
