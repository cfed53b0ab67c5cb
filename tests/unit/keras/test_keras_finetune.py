"""The estimate of bits, and codec-aware fine-tuning."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from fmtc_tflite import types
from fmtc_tflite.coding.side_info import STEP_ONE, SideInformation
from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.graph.sites import find_sites
from fmtc_tflite.keras import convert_keras, fmtc_annotate_model, fmtc_apply, fmtc_strip
from fmtc_tflite.keras.finetune import FmtcAnnotate, FmtcSimulate
from fmtc_tflite.keras.rate import estimate_bits

pytestmark = [
    pytest.mark.extras,
    pytest.mark.filterwarnings("ignore"),  # TensorFlow's and TF-MOT's own
]

OPTIONS = types.ConvertOptions(num_threads=1, execution="ops")


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
    assert not any(isinstance(layer, FmtcAnnotate) for layer in plain.layers)
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
